"""Jinja2 trees → one Python function for a whole nested value.

The function is built as a Python syntax tree. Each of its nodes carries as "line number" the number of the *site* it
was made from, so that a traceback tells which part of which expression failed, and the good path pays nothing for it.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import nodes

from attune_ray.expression import operators, runtime
from attune_ray.expression.block import Block
from attune_ray.expression.constants import fresh
from attune_ray.expression.context import ItemContext
from attune_ray.expression.filters import FILTERS, TESTS
from attune_ray.expression.functions import FUNCTIONS
from attune_ray.expression.parse import BlockSource, Expression, split
from attune_ray.expression.references import EMPTY, PARAMETERS, TASKS, VARIABLES, References, references_of

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
    **{f"function_{name}": function.call for name, function in FUNCTIONS.items()},
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
    """The function under construction, and what its error path and its context need to know.

    Attributes:
        sites: line number - 2 → what was compiled there; line 1 is the prologue.
        references: what the expressions compiled so far read.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.references: References = EMPTY
        self._globals: dict[str, Any] = dict(_GLOBALS)
        self._roots: set[str] = set()
        self._n_constants = 0

    def function(self, body: ast.expr, explain: Callable[[Exception, ItemContext], Exception]) -> Any:
        """``def render(scope)`` that gives the body's value, and words its errors with ``explain``."""
        self._globals["explain"] = explain
        attempt: list[ast.stmt] = []
        if self._roots:
            attempt.append(_assign("context", _attribute("scope", "context")))
            attempt += [_assign(root, _attribute("context", root)) for root in sorted(self._roots - {"context"})]
        attempt.append(ast.Return(body))
        failed = ast.Raise(exc=_call("explain", _name("error"), _name("scope")), cause=ast.Constant(None))
        handler = ast.ExceptHandler(type=_name("Exception"), name="error", body=[failed])
        arguments = ast.arguments(posonlyargs=[], args=[ast.arg("scope")], kwonlyargs=[], kw_defaults=[], defaults=[])
        render = ast.FunctionDef(
            name="render",
            args=arguments,
            body=[ast.Try(body=attempt, handlers=[handler], orelse=[], finalbody=[])],
            decorator_list=[],
        )
        module = ast.fix_missing_locations(ast.Module(body=[render], type_ignores=[]))
        exec(compile(module, FILENAME, "exec"), self._globals)  # noqa: S102 - our own tree: names, constants, calls of ours
        return self._globals["render"]

    def value(self, value: Any, path: str) -> ast.expr | None:
        """A nested value; None if there is no template in it."""
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, Mapping):
            parts = [self.value(entry, f"{path}.{key}" if path else str(key)) for key, entry in value.items()]
            if all(part is None for part in parts):
                return None
            entries = [part or self._fresh(entry) for part, entry in zip(parts, value.values(), strict=True)]
            return ast.Dict(keys=[ast.Constant(key) for key in value], values=entries)
        if isinstance(value, list | tuple):
            parts = [self.value(entry, f"{path}[{at}]") for at, entry in enumerate(value)]
            if all(part is None for part in parts):
                return None
            entries = [part or self._fresh(entry) for part, entry in zip(parts, value, strict=True)]
            return ast.List(elts=entries, ctx=ast.Load())
        return None

    def _fresh(self, value: Any) -> ast.expr:
        """A part without templates, made anew each time: what an action does to its input stays its own."""
        if not isinstance(value, Mapping | list | tuple):
            return self._constant(value)
        return ast.Call(func=self._constant(fresh(value)), args=[], keywords=[])

    def text(self, text: str, path: str) -> ast.expr | None:
        """One text; None if it is literal."""
        if "{{" not in text:
            return None
        parts = split(text, path)
        if isinstance(parts, BlockSource):
            block = Block(parts.source, parts.path)
            self.references |= block.references
            return ast.Call(func=self._constant(block.render), args=[_name("scope")], keywords=[])
        if len(parts) == 1:
            return None if isinstance(parts[0], str) else self.leaf(parts[0])
        if all(isinstance(part, str) for part in parts):
            return None
        return self._mixed(parts)

    def _mixed(self, parts: list[str | Expression]) -> ast.expr:
        pieces: list[ast.expr] = []
        for part in parts:
            if isinstance(part, str):
                pieces.append(ast.Constant(part))
                continue
            value = self.expression(part)
            is_text = ast.Compare(_class_of(value), [ast.Is()], [_name("str_type")])
            text = ast.IfExp(is_text, _name("v"), _call("text_of", _name("v")))
            pieces.append(ast.FormattedValue(ast.copy_location(text, value), -1))
        joined = ast.NamedExpr(ast.Name("v", ast.Store()), ast.JoinedStr(pieces))
        fits = ast.Compare(_call("len", joined), [ast.LtE()], [_name("LIMIT")])
        return ast.IfExp(fits, _name("v"), _call("too_long"))

    def leaf(self, expression: Expression) -> ast.expr:
        """A pure expression: its value, lazy lists made plain."""
        value = self.expression(expression)
        if isinstance(expression.node, _PLAIN_NODES):
            return value
        is_core = ast.Compare(_class_of(value), [ast.In()], [_name("CORE")])
        return ast.copy_location(ast.IfExp(is_core, _name("v"), _call("plain", _name("v"))), value)

    def expression(self, expression: Expression) -> ast.expr:
        """The value of one expression."""
        self.references |= references_of(expression.node, path=expression.path, offset=expression.offset)
        return _Builder(self, expression).build(expression.node)

    def line(self, site: Site) -> int:
        """The line number that stands for a site."""
        self.sites.append(site)
        return len(self.sites) + 1

    def root(self, name: str) -> ast.expr:
        """A part of the context, read once a call."""
        self._roots.add(name)
        return _name(name)

    def _constant(self, value: Any) -> ast.expr:
        if value is None or isinstance(value, str | bool | int):
            return ast.Constant(value)
        name = f"constant_{self._n_constants}"
        self._n_constants += 1
        self._globals[name] = value
        return _name(name)


class _Builder:
    """Python for the nodes of one expression."""

    def __init__(self, code: Code, expression: Expression) -> None:
        self._code = code
        self._expression = expression

    def build(self, node: nodes.Expr) -> ast.expr:
        """Python for a node, placed at a site of its own."""
        line = self._code.line(Site(self._expression, node))
        built = self._built(node)
        if not hasattr(built, "lineno"):
            built.lineno = built.end_lineno = line
            built.col_offset = built.end_col_offset = 0
        return built

    def _built(self, node: nodes.Expr) -> ast.expr:  # noqa: C901, PLR0911, PLR0912 - a table of node types
        match node:
            case nodes.Const(value=value):
                return ast.Constant(value)
            case nodes.Name(name=name):
                return self._named(name)
            case nodes.Getattr(node=of, attr=key):
                return _subscript(self.build(of), key)
            case nodes.Getitem():
                return self._item(node)
            case nodes.Compare():
                return self._compare(node)
            case nodes.And() | nodes.Or():
                return self._logic(node)
            case nodes.Not(node=of):
                return ast.UnaryOp(ast.Not(), self.build(of))
            case nodes.Neg(node=nodes.Const(value=int() | float() as number)) if not isinstance(number, bool):
                return ast.Constant(-number)
            case nodes.Neg(node=of):
                return _call("negate", self.build(of))
            case nodes.BinExpr(left=left, right=right, operator=sign):
                return _call(_BINARY[sign], self.build(left), self.build(right))
            case nodes.Concat(nodes=parts):
                return _call("concat", *map(self.build, parts))
            case nodes.CondExpr(test=test, expr1=then, expr2=other):
                orelse = ast.Constant(None) if other is None else self.build(other)
                return ast.IfExp(self.build(test), self.build(then), orelse)
            case _:
                return self._composed(node)

    def _composed(self, node: nodes.Expr) -> ast.expr:  # noqa: PLR0911 - a table of node types
        match node:
            case nodes.List(items=items) | nodes.Tuple(items=items):
                return ast.List([self.build(item) for item in items], ast.Load())
            case nodes.Dict(items=pairs):
                return ast.Dict([self._key(pair.key) for pair in pairs], [self.build(pair.value) for pair in pairs])
            case nodes.Call():
                return self._called(node)
            case nodes.Filter(name=("default" | "d")):
                return self._default(node)
            case nodes.Filter(node=nodes.Expr() as of, name=name):
                return self._applied(f"filter_{name}", of, node)
            case nodes.Test(node=of, name="defined"):
                return _call("is_defined", _thunk(self.build(of)))
            case nodes.Test(node=of, name="undefined"):
                return ast.UnaryOp(ast.Not(), _call("is_defined", _thunk(self.build(of))))
            case nodes.Test(node=of, name=name):
                return self._applied(f"test_{name}", of, node)
        raise AssertionError(type(node).__name__)  # the parser gives no others in an expression

    def _named(self, name: str) -> ast.expr:
        if name == "null":
            return ast.Constant(None)
        if name in {"item", "index"}:
            return _attribute("scope", name)
        if name in _ROOTS:
            return self._code.root(_ROOTS[name])
        return ast.Subscript(self._code.root("variables"), ast.Constant(name), ast.Load())

    def _item(self, node: nodes.Getitem) -> ast.expr:
        of = self.build(node.node)
        match node.arg:
            case nodes.Slice(start=start, stop=stop, step=step):
                bounds = [ast.Constant(None) if bound is None else self.build(bound) for bound in (start, stop, step)]
                return _call("slice_of", of, *bounds)
            case nodes.Const(value=str() | int() as index) if not isinstance(index, bool):
                return _subscript(of, index)
            case nodes.Neg(node=nodes.Const(value=int() as index)) if not isinstance(index, bool):
                return _subscript(of, -index)
        return _call("subscript", of, self.build(node.arg))

    def _compare(self, node: nodes.Compare) -> ast.expr:
        built = self.build(node.expr)
        for operand in node.ops:
            right = self.build(operand.expr)
            if operand.op in {"eq", "ne"} and isinstance(right, ast.Constant):
                built = _equal_constant(built, right, negated=operand.op == "ne")
            else:
                built = _call(_COMPARE[operand.op], built, right)
        return built

    def _logic(self, node: nodes.And | nodes.Or) -> ast.expr:
        sign = ast.And() if isinstance(node, nodes.And) else ast.Or()
        both = ast.BoolOp(sign, [self.build(node.left), self.build(node.right)])
        if isinstance(node.left, _BOOLEAN_NODES) and isinstance(node.right, _BOOLEAN_NODES):
            return both
        return ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), both))

    def _key(self, key: nodes.Expr) -> ast.expr:
        built = self.build(key)
        return built if isinstance(built, ast.Constant) and isinstance(built.value, str) else _call("text_key", built)

    def _called(self, node: nodes.Call) -> ast.expr:
        name = node.node.name  # type: ignore[attr-defined]  # checked: a bare name
        arguments = [self.build(argument) for argument in node.args]
        if name in FUNCTIONS:
            return _call(f"function_{name}", *arguments)
        if name == "now":
            self._code.root("context")
            return _attribute("context", "now")
        if name == "uuid":
            at = self._expression
            return _call("uuid_of", _name("scope"), ast.Constant(f"{at.path}|{at.offset + node.lineno}|{at.source}"))
        if name == "result":
            value: ast.expr = _call("result_of", _name("scope"))
        else:
            value = ast.Compare(_attribute("scope", "outcome"), [ast.Eq()], [ast.Constant(name)])
        if not arguments:
            return value
        return ast.Subscript(ast.Tuple([*arguments, value], ast.Load()), ast.Constant(-1), ast.Load())

    def _applied(self, name: str, of: nodes.Expr, node: nodes.Filter | nodes.Test) -> ast.expr:
        arguments = [self.build(of), *(self.build(argument) for argument in node.args or ())]
        if node.dyn_args is not None:
            arguments.append(ast.Starred(self.build(node.dyn_args), ast.Load()))
        options = [ast.keyword(option.key, self.build(option.value)) for option in _keywords(node)]
        if node.dyn_kwargs is not None:
            options.append(ast.keyword(None, self.build(node.dyn_kwargs)))
        return ast.Call(_name(name), arguments, options)

    def _default(self, node: nodes.Filter) -> ast.expr:
        given = dict(zip(("default_value", "boolean"), node.args, strict=False))
        given |= {option.key: option.value for option in _keywords(node)}
        value, boolean = given.get("default_value"), given.get("boolean")
        return _call(
            "default",
            _thunk(self.build(node.node)),  # type: ignore[arg-type]  # a filter of an expression has one
            _thunk(ast.Constant("") if value is None else self.build(value)),
            ast.Constant(value=False) if boolean is None else self.build(boolean),
        )


def _keywords(node: nodes.Filter | nodes.Test) -> list[nodes.Keyword]:
    options: Any = node.kwargs or []  # Jinja2 declares them as pairs; its parser builds these
    return list(options)


def _equal_constant(left: ast.expr, right: ast.Constant, *, negated: bool) -> ast.expr:
    """``x == "text"`` as Python's own, where it agrees with ours; 0 and 1 are equal to booleans in Python."""
    if isinstance(left, ast.Constant):  # Python warns of `1 is None`
        return _call("not_equal" if negated else "equal", left, right)
    if right.value is None or isinstance(right.value, bool):
        return ast.Compare(left, [ast.IsNot() if negated else ast.Is()], [right])
    if isinstance(right.value, str) or right.value not in {0, 1}:
        return ast.Compare(left, [ast.NotEq() if negated else ast.Eq()], [right])
    return _call("not_equal" if negated else "equal", left, right)


def _subscript(of: ast.expr, key: str | int) -> ast.expr:
    if isinstance(of, ast.Constant | ast.List | ast.Dict):  # Python warns of `1["x"]`
        return _call("subscript", of, ast.Constant(key))
    return ast.Subscript(of, ast.Constant(key), ast.Load())


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _attribute(of: str, name: str) -> ast.expr:
    return ast.Attribute(_name(of), name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_name(name), list(arguments), [])


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _class_of(value: ast.expr) -> ast.expr:
    return ast.Attribute(ast.NamedExpr(ast.Name("v", ast.Store()), value), "__class__", ast.Load())


def _thunk(body: ast.expr) -> ast.expr:
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(arguments, body)
