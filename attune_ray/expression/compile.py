"""Jinja2 trees → one Python function for a whole nested value.

The function is built as a Python syntax tree. Each of its nodes carries as "line number" the number of the *site* it
was made from, so that a traceback tells which part of which expression failed, and the good path pays nothing for it.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import nodes

from attune_ray.expression import operators, runtime, syntax
from attune_ray.expression.constants import fresh
from attune_ray.expression.context import ItemContext
from attune_ray.expression.filters import FILTERS, TESTS
from attune_ray.expression.functions import FUNCTIONS
from attune_ray.expression.parse import Expression
from attune_ray.expression.reader import Fixed, Kind, Mixed, Parsed, Word
from attune_ray.expression.references import PARAMETERS, TASKS, VARIABLES

__all__ = ["FILENAME", "Code", "Site"]

FILENAME: Final = "<attune template>"
_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "add": operators.add,
    "concat": operators.concat,
    "contains": operators.contains,
    "divide": operators.divide,
    "equal": operators.equal,
    "greater": operators.greater,
    "greater_equal": operators.greater_equal,
    "less": operators.less,
    "less_equal": operators.less_equal,
    "multiply": operators.multiply,
    "negate": operators.negate,
    "not_contains": operators.not_contains,
    "not_equal": operators.not_equal,
    "remainder": operators.remainder,
    "slice_of": operators.slice_of,
    "subscript": operators.subscript,
    "subtract": operators.subtract,
}
_BINARY: Final = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "remainder"}
_COMPARE: Final = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "lteq": "less_equal",
    "gt": "greater",
    "gteq": "greater_equal",
    "in": "contains",
    "notin": "not_contains",
}
_GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {"len": len, "Exception": Exception},
    **_OPERATORS,
    **runtime.NAMES,
    **{f"function_{name}": call for name, call in FUNCTIONS.items()},
    **{f"filter_{name}": call for name, call in FILTERS.items()},
    **{f"test_{name}": call for name, call in TESTS.items()},
}
_ROOTS: Final = {
    **dict.fromkeys(TASKS, "tasks"),
    **dict.fromkeys(VARIABLES, "variables"),
    PARAMETERS: "parameters",
    "config": "config",
    "keystore": "keystore",
    "system": "system",
}
_PLAIN_NODES: Final = (
    nodes.Compare,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Const,
    nodes.Test,
    nodes.BinExpr,
    nodes.Dict,
)
_BOOLEAN_NODES: Final = (nodes.Compare, nodes.And, nodes.Or, nodes.Not, nodes.Test)


@dataclass(frozen=True, slots=True)
class Site:
    """What one line number of the compiled function stands for."""

    expression: Expression
    node: nodes.Expr


class Code:
    """The function under construction, and what its error path needs to know.

    Attributes:
        sites: line number - 2 → what was compiled there; line 1 is the prologue.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self._globals: dict[str, Any] = dict(_GLOBALS)
        self._roots: set[str] = set()
        self._n_constants = 0

    def function(self, body: ast.expr, explain: Callable[[Exception, ItemContext], Exception]) -> Any:
        """``def render(scope)`` that gives the body's value, and words its errors with ``explain``."""
        self._globals["explain"] = explain
        attempt: list[ast.stmt] = []
        if self._roots:
            attempt.append(syntax.assign("context", syntax.attribute("scope", "context", 1)))
            roots = sorted(self._roots - {"context"})
            attempt += [syntax.assign(root, syntax.attribute("context", root, 1)) for root in roots]
        module = syntax.render(attempt, body)
        exec(compile(module, FILENAME, "exec"), self._globals)  # noqa: S102 - our own tree: names, constants, calls of ours
        return self._globals["render"]

    def body(self, kind: Kind, parsed: Parsed) -> ast.expr:
        """The value of the whole."""
        if kind == "items" and isinstance(parsed, Expression):
            return self._leaf(parsed, handed_out_by="as_items")
        if kind == "condition" and isinstance(parsed, Expression):
            return syntax.negated(self.expression(parsed), 1, times=2)
        return self._part(parsed)

    def _part(self, parsed: Parsed) -> ast.expr:  # noqa: PLR0911 - a table of what there is
        match parsed:
            case Fixed(value=value):
                return self._fresh(value)
            case Expression():
                return self._leaf(parsed)
            case Mixed():
                return self._mixed(parsed)
            case Word(text=text):
                return syntax.call("word", self._part(text), line=1)
            case dict():
                keys: list[ast.expr] = [syntax.constant(key, 1) for key in parsed]
                return syntax.mapped(keys, [self._part(part) for part in parsed.values()], 1)
            case list():
                return syntax.listed([self._part(part) for part in parsed], 1)
            case _:
                return syntax.call(self._constant(parsed.render), syntax.name("scope", 1), line=1)

    def _fresh(self, value: Any) -> ast.expr:
        """A part without templates, made anew each time: what an action does to its input stays its own."""
        if isinstance(value, Mapping | list | tuple):
            return syntax.call(self._constant(fresh(value)), line=1)
        if value is None or isinstance(value, str | bool | int):
            return syntax.constant(value, 1)
        return syntax.name(self._constant(value), 1)

    def _mixed(self, text: Mixed) -> ast.expr:
        pieces: list[str | tuple[ast.expr, int]] = []
        for part in text.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            value = self.expression(part)
            line, found = value.lineno, syntax.name("v", value.lineno)
            is_text = syntax.compare(syntax.class_of(value, line), ast.In(), syntax.name("TEXTS", line), line)
            written = syntax.call("text_of", found, line=line)
            pieces.append((syntax.conditional(is_text, found, written, line), line))
        length = syntax.call("len", syntax.named("v", syntax.joined(pieces, 1), 1), line=1)
        fits = syntax.compare(length, ast.LtE(), syntax.name("LIMIT", 1), 1)
        return syntax.conditional(fits, syntax.name("v", 1), syntax.call("too_long", line=1), 1)

    def _leaf(self, expression: Expression, *, handed_out_by: str = "plain") -> ast.expr:
        """A pure expression: its value, lazy lists made plain."""
        value = self.expression(expression)
        if isinstance(expression.node, _PLAIN_NODES):
            return value
        line, found = value.lineno, syntax.name("v", value.lineno)
        is_core = syntax.compare(syntax.class_of(value, line), ast.In(), syntax.name("CORE", line), line)
        return syntax.conditional(is_core, found, syntax.call(handed_out_by, found, line=line), line)

    def expression(self, expression: Expression) -> ast.expr:
        """The value of one expression."""
        return _Builder(self, expression).build(expression.node)

    def line(self, site: Site) -> int:
        """The line number that stands for a site."""
        self.sites.append(site)
        return len(self.sites) + 1

    def root(self, name: str, line: int) -> ast.expr:
        """A part of the context, read once a call."""
        self._roots.add(name)
        return syntax.name(name, line)

    def _constant(self, value: Any) -> str:
        """The name under which the function finds a value."""
        name = f"constant_{self._n_constants}"
        self._n_constants += 1
        self._globals[name] = value
        return name


class _Builder:
    """Python for the nodes of one expression."""

    def __init__(self, code: Code, expression: Expression) -> None:
        self._code = code
        self._expression = expression

    def build(self, node: nodes.Expr) -> ast.expr:
        """Python for a node, placed at a site of its own."""
        return self._built(node, self._code.line(Site(self._expression, node)))

    def _built(self, node: nodes.Expr, line: int) -> ast.expr:  # noqa: C901, PLR0911, PLR0912 - a table of node types
        match node:
            case nodes.Const(value=value):
                return syntax.constant(value, line)
            case nodes.Name(name=name):
                return self._named(name, line)
            case nodes.Getattr(node=of, attr=key):
                return _subscript(self.build(of), key, line)
            case nodes.Getitem():
                return self._item(node, line)
            case nodes.Compare():
                return self._compare(node, line)
            case nodes.And() | nodes.Or():
                return self._logic(node, line)
            case nodes.Not(node=of):
                return syntax.negated(self.build(of), line)
            case nodes.Neg(node=nodes.Const(value=int() | float() as number)) if not isinstance(number, bool):
                return syntax.constant(-number, line)
            case nodes.Neg(node=of):
                return syntax.call("negate", self.build(of), line=line)
            case nodes.BinExpr(left=left, right=right, operator=sign):
                return syntax.call(_BINARY[sign], self.build(left), self.build(right), line=line)
            case nodes.Concat(nodes=parts):
                return syntax.call("concat", *map(self.build, parts), line=line)
            case nodes.CondExpr(test=test, expr1=then, expr2=other):
                orelse = syntax.constant(None, line) if other is None else self.build(other)
                return syntax.conditional(self.build(test), self.build(then), orelse, line)
            case _:
                return self._composed(node, line)

    def _composed(self, node: nodes.Expr, line: int) -> ast.expr:  # noqa: PLR0911 - a table of node types
        match node:
            case nodes.List(items=items) | nodes.Tuple(items=items):
                return syntax.listed([self.build(item) for item in items], line)
            case nodes.Dict(items=pairs):
                keys = [self._key(pair.key, line) for pair in pairs]
                return syntax.mapped(keys, [self.build(pair.value) for pair in pairs], line)
            case nodes.Call():
                return self._called(node, line)
            case nodes.Filter(name=("default" | "d")):
                return self._default(node, line)
            case nodes.Filter(node=nodes.Expr() as of, name=name):
                return self._applied(f"filter_{name}", of, node, line)
            case nodes.Test(node=of, name="defined"):
                return syntax.call("is_defined", syntax.thunk(self.build(of), line), line=line)
            case nodes.Test(node=of, name="undefined"):
                return syntax.negated(syntax.call("is_defined", syntax.thunk(self.build(of), line), line=line), line)
            case nodes.Test(node=of, name=name):
                return self._applied(f"test_{name}", of, node, line)
        raise AssertionError(type(node).__name__)  # the parser gives no others in an expression

    def _named(self, name: str, line: int) -> ast.expr:
        if name == "null":
            return syntax.constant(None, line)
        if name in {"item", "index"}:
            return syntax.attribute("scope", name, line)
        if name in _ROOTS:
            return self._code.root(_ROOTS[name], line)
        return syntax.index(self._code.root("variables", line), name, line)

    def _item(self, node: nodes.Getitem, line: int) -> ast.expr:
        of = self.build(node.node)
        match node.arg:
            case nodes.Slice(start=start, stop=stop, step=step):
                bounds = [
                    syntax.constant(None, line) if bound is None else self.build(bound) for bound in (start, stop, step)
                ]
                return syntax.call("slice_of", of, *bounds, line=line)
            case nodes.Const(value=str() | int() as index) if not isinstance(index, bool):
                return _subscript(of, index, line)
            case nodes.Neg(node=nodes.Const(value=int() as index)) if not isinstance(index, bool):
                return _subscript(of, -index, line)
        return syntax.call("subscript", of, self.build(node.arg), line=line)

    def _compare(self, node: nodes.Compare, line: int) -> ast.expr:
        built = self.build(node.expr)
        for operand in node.ops:
            right = self.build(operand.expr)
            if operand.op in {"eq", "ne"} and isinstance(right, ast.Constant):
                built = _equal_constant(built, right, line, negated=operand.op == "ne")
            else:
                built = syntax.call(_COMPARE[operand.op], built, right, line=line)
        return built

    def _logic(self, node: nodes.And | nodes.Or, line: int) -> ast.expr:
        sign = ast.And() if isinstance(node, nodes.And) else ast.Or()
        both = ast.BoolOp(sign, [self.build(node.left), self.build(node.right)], lineno=line, col_offset=0)
        if isinstance(node.left, _BOOLEAN_NODES) and isinstance(node.right, _BOOLEAN_NODES):
            return both
        return syntax.negated(both, line, times=2)

    def _key(self, key: nodes.Expr, line: int) -> ast.expr:
        built = self.build(key)
        if isinstance(built, ast.Constant) and isinstance(built.value, str):
            return built
        return syntax.call("text_key", built, line=line)

    def _called(self, node: nodes.Call, line: int) -> ast.expr:
        name = node.node.name  # type: ignore[attr-defined]  # checked: a bare name
        arguments = [self.build(argument) for argument in node.args]
        if name in FUNCTIONS:
            return syntax.call(f"function_{name}", *arguments, line=line)
        scope = syntax.name("scope", line)
        if name == "now":
            self._code.root("context", line)
            return syntax.attribute("context", "now", line)
        if name == "uuid":
            at = self._expression
            salt = syntax.constant(f"{at.path}|{at.offset + node.lineno}|{at.source}", line)
            return syntax.call("uuid_of", scope, salt, line=line)
        if name == "result":
            value = syntax.call("result_of", scope, line=line)
        else:
            outcome = syntax.attribute("scope", "outcome", line)
            value = syntax.compare(outcome, ast.Eq(), syntax.constant(name, line), line)
        if not arguments:
            return value
        return syntax.index(syntax.listed([*arguments, value], line), -1, line)

    def _applied(self, name: str, of: nodes.Expr, node: nodes.Filter | nodes.Test, line: int) -> ast.expr:
        arguments = [self.build(of), *(self.build(argument) for argument in node.args or ())]
        if node.dyn_args is not None:
            arguments.append(syntax.spread(self.build(node.dyn_args), line))
        options = [syntax.passed(option.key, self.build(option.value), line) for option in _keywords(node)]
        if node.dyn_kwargs is not None:
            options.append(syntax.passed(None, self.build(node.dyn_kwargs), line))
        return syntax.call(name, *arguments, line=line, options=options)

    def _default(self, node: nodes.Filter, line: int) -> ast.expr:
        given = dict(zip(("default_value", "boolean"), node.args, strict=False))
        given |= {option.key: option.value for option in _keywords(node)}
        value, boolean = given.get("default_value"), given.get("boolean")
        return syntax.call(
            "default",
            syntax.thunk(self.build(node.node), line),  # type: ignore[arg-type]  # a filter of an expression has one
            syntax.thunk(syntax.constant("", line) if value is None else self.build(value), line),
            syntax.constant(value=False, line=line) if boolean is None else self.build(boolean),
            line=line,
        )


def _keywords(node: nodes.Filter | nodes.Test) -> list[nodes.Keyword]:
    options: Any = node.kwargs or []  # Jinja2 declares them as pairs; its parser builds these
    return list(options)


def _equal_constant(left: ast.expr, right: ast.Constant, line: int, *, negated: bool) -> ast.expr:
    """``x == "text"`` as Python's own, where it agrees with ours; 0 and 1 are equal to booleans in Python."""
    ours = "not_equal" if negated else "equal"
    if isinstance(left, ast.Constant):  # Python warns of `1 is None`
        return syntax.call(ours, left, right, line=line)
    if right.value is None or isinstance(right.value, bool):
        return syntax.compare(left, ast.IsNot() if negated else ast.Is(), right, line)
    if isinstance(right.value, str) or right.value not in {0, 1}:
        return syntax.compare(left, ast.NotEq() if negated else ast.Eq(), right, line)
    return syntax.call(ours, left, right, line=line)


def _subscript(of: ast.expr, key: str | int, line: int) -> ast.expr:
    if isinstance(of, ast.Constant | ast.List | ast.Dict):  # Python warns of `1["x"]`
        return syntax.call("subscript", of, syntax.constant(key, line), line=line)
    return syntax.index(of, key, line)
