"""Texts with ``{% %}``: Jinja2 runs them, sandboxed, on the operators, functions and filters of the language.

The tree is rewritten before Jinja2 compiles it, so that no Python operator meets a value, every loop and every piece
of output is counted against a budget, and no name but those of the context is looked up.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined, meta, nodes, pass_context
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.filters import do_default
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import test_defined, test_undefined
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from attune_ray.errors import EvaluationError, ExpressionSyntaxError
from attune_ray.expression import operators, runtime
from attune_ray.expression.budget import BUDGET, Budget, counted
from attune_ray.expression.check import check, require_shallow
from attune_ray.expression.context import ItemContext, LazyList
from attune_ray.expression.explain import reason_for, unknown_name
from attune_ray.expression.fault import LIMIT, Fault, kind
from attune_ray.expression.filters import FILTERS, TESTS, member
from attune_ray.expression.functions import FUNCTIONS
from attune_ray.expression.parse import Strict, excerpt
from attune_ray.expression.references import PARAMETERS, TASKS, VARIABLES, References, references_of
from attune_ray.expression.text import text_of

__all__ = ["Block"]

_MACRO_STEPS: Final = 50  # 45 µs, against one for a turn of a loop
_CHEAP: Final = frozenset({"add", "concat", "slice", "mul", "truth"})  # they copy references at most
_OURS: Final = "ƒ"  # no name of the language is non-ASCII: what starts so is out of a template's reach
_STATEMENTS: Final = (
    nodes.Output,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.With,
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.Scope,
)
_LOOP: Final = frozenset(
    [
        "index",
        "index0",
        "revindex",
        "revindex0",
        "first",
        "last",
        "length",
        "depth",
        "depth0",
        "previtem",
        "nextitem",
        "cycle",
        "changed",
    ]
)
_UNDEFINED_NAME: Final = re.compile(r"'(\w+)' is undefined")


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()  # noqa: SLF001 - the only way to its words
    return value


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which fails on what is undefined."""
    return lambda *arguments: function(*map(_defined, arguments))


def _bounded(text: str) -> str:
    if len(text) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return text


@pass_context
def _finalize(context: Context, value: Any) -> str:
    budget: Budget = context.parent[BUDGET]
    return budget.write(text_of(_defined(value)))


@pass_context
def _each(context: Context, value: Any) -> Any:
    _defined(value)
    if not isinstance(value, str | list | LazyList | Mapping):
        raise Fault(f"a loop needs a list, an object or a text, not {kind(value)}")
    context.parent[BUDGET].step(len(value))
    return list(value)


_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "add": operators.add,
    "sub": operators.subtract,
    "mul": operators.multiply,
    "div": operators.divide,
    "mod": operators.remainder,
    "neg": operators.negate,
    "concat": operators.concat,
    "slice": operators.slice_of,
    "truth": bool,
    "eq": operators.equal,
    "ne": operators.not_equal,
    "lt": operators.less,
    "lteq": operators.less_equal,
    "gt": operators.greater,
    "gteq": operators.greater_equal,
    "in": operators.contains,
    "notin": operators.not_contains,
}


class _Environment(Strict, ImmutableSandboxedEnvironment):
    """A sandbox where a dot is a key of an object, and nothing of Python is reachable."""

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, finalize=_finalize, keep_trailing_newline=True, optimized=False, cache_size=0
        )
        ours = {
            f"{_OURS}{name}": counted(_strict(function), cheap=name in _CHEAP) for name, function in _OPERATORS.items()
        }
        filters = {name: counted(call) for name, call in FILTERS.items()}
        self.filters = {**filters, "default": do_default, "d": do_default, **ours, f"{_OURS}each": _each}
        tests = {name: counted(call) for name, call in TESTS.items()}
        self.tests = {**tests, "defined": test_defined, "undefined": test_undefined}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of an object; of ``loop`` and of a namespace, their own."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, Namespace) and not attribute.startswith("_"):
            return getattr(obj, attribute, StrictUndefined(name=attribute))
        return member(obj, attribute, shown=f"'{attribute}'")

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An element or a key."""
        return member(obj, _defined(argument))

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A function of the language, a macro or ``loop``; each call is a step, so is each element it goes over."""
        budget: Budget = context.parent[BUDGET]
        budget.step(_MACRO_STEPS if isinstance(function, Macro) else 1)
        if isinstance(function, LoopContext):
            budget.step(sum(len(value) for value in args if isinstance(value, list | LazyList | Mapping | str)))
        return counted(context.call)(context, function, *args, **kwargs)


_ENVIRONMENT: Final = _Environment()


class _Rewriter(NodeTransformer):
    """Operators, loops, calls and literal text, turned into what is checked and counted."""

    def __init__(self, is_local: Callable[[nodes.Call], bool]) -> None:
        self._is_local = is_local

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        if isinstance(node.node, nodes.Name) and (node.node.name == "namespace" or not self._is_local(node)):
            node.node = nodes.Name(f"{_OURS}_{node.node.name}", "load", lineno=node.node.lineno)
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        left = node.expr
        for operand in node.ops:
            left = _apply(operand.op, left, operand.expr)
        return left

    def visit_And(self, node: nodes.And) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        return _apply("truth", self.generic_visit(node))

    def visit_Or(self, node: nodes.Or) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        return _apply("truth", self.generic_visit(node))

    def visit_Neg(self, node: nodes.Neg) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        return _apply("neg", node.node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        return _apply("concat", *node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        none = nodes.Const(None, lineno=node.lineno)
        return _apply("slice", node.node, node.arg.start or none, node.arg.stop or none, node.arg.step or none)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        node.expr2 = node.expr2 or nodes.Const(None, lineno=node.lineno)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        self.generic_visit(node)
        node.iter = _apply("each", node.iter)
        return node

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        return nodes.Const(node.data, lineno=node.lineno)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - Jinja2's own name
        return nodes.Const(None, lineno=node.lineno) if node.name == "null" and node.ctx == "load" else node

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        visited = super().generic_visit(node, *args, **kwargs)
        names = {nodes.Add: "add", nodes.Sub: "sub", nodes.Mul: "mul", nodes.Div: "div", nodes.Mod: "mod"}
        if isinstance(visited, nodes.BinExpr) and type(visited) in names:
            return _apply(names[type(visited)], visited.left, visited.right)
        return visited


def _apply(operator: str, of: Any, *operands: Any) -> nodes.Filter:
    return nodes.Filter(of, f"{_OURS}{operator}", list(operands), [], None, None, lineno=of.lineno)


class Block:
    """A text with ``{% %}``, compiled once.

    Attributes:
        references: what it reads from its context.
    """

    def __init__(self, source: str, path: str) -> None:
        self._source, self._path = source, path
        try:
            tree = Parser(_ENVIRONMENT, source).parse()
            require_shallow(tree)
            _require_plain(tree)
            is_local = _locals_of(tree)
            check(tree, local_calls=is_local)
            names = {name.name for name in tree.find_all(nodes.Name)}
            own = frozenset(names - _undeclared(tree)) | {"loop", "namespace"}
            self.references: References = references_of(tree, path=path, offset=0, own=own)
            _Rewriter(is_local).visit(tree)
            tree.set_environment(_ENVIRONMENT)
            self._names = frozenset(_undeclared(tree))
            code: Any = _ENVIRONMENT.compile(tree)
        except TemplateSyntaxError as error:
            raise self._error(ExpressionSyntaxError, (error.message or "").rstrip("."), error.lineno) from None
        except RecursionError:
            raise self._error(ExpressionSyntaxError, "it is nested too deeply", 1) from None
        except SyntaxError as error:  # Python's own limits: 20 loops in one another, an argument named twice
            raise self._error(ExpressionSyntaxError, f"it cannot be compiled: {error.msg}", 1) from None
        self._template = _ENVIRONMENT.template_class.from_code(_ENVIRONMENT, code, {})

    def render(self, scope: ItemContext) -> str:
        """The text in a context.

        Raises:
            EvaluationError: with the tag that failed.
        """
        context = self._template.new_context({BUDGET: Budget(), **dict(self._found(scope))})
        try:
            text = _bounded("".join(self._template.root_render_func(context)))
        except Exception as error:  # noqa: BLE001 - whatever fails in it is the template's
            raise self._error(EvaluationError, self._reason(error, scope), self._place(error.__traceback__)) from None
        return text

    def _found(self, scope: ItemContext) -> Iterator[tuple[str, Any]]:
        """The names that the text reads and the context has."""
        context = scope.context
        roots = {
            PARAMETERS: context.parameters,
            **dict.fromkeys(TASKS, context.tasks),
            **dict.fromkeys(VARIABLES, context.variables),
            "config": context.config,
            "keystore": context.keystore,
            "system": context.system,
        }
        calls = self._calls(scope)
        for name in self._names:
            if name.startswith(_OURS):
                yield name, calls.get(name) or _strict(FUNCTIONS[name[len(_OURS) + 1 :]])
            elif name in roots:
                yield name, roots[name]
            elif name in {"item", "index"}:
                if hasattr(scope, name):
                    yield name, getattr(scope, name)
            elif name in context.variables:
                yield name, context.variables[name]

    def _calls(self, scope: ItemContext) -> dict[str, Callable[..., Any]]:
        turns = count()
        calls: dict[str, Callable[..., Any]] = {
            "now": lambda: scope.context.now,
            "uuid": lambda: runtime.uuid_of(scope, f"{self._path}|{next(turns)}|{self._source}"),
            "result": _strict(lambda *_: runtime.result_of(scope)),
            "succeeded": _strict(lambda *_: scope.outcome == "succeeded"),
            "failed": _strict(lambda *_: scope.outcome == "failed"),
            "timed_out": _strict(lambda *_: scope.outcome == "timed_out"),
            "namespace": Namespace,
        }
        return {f"{_OURS}_{name}": call for name, call in calls.items()}

    def _reason(self, error: Exception, scope: ItemContext) -> str:
        if isinstance(error, UndefinedError):
            match = _UNDEFINED_NAME.fullmatch(error.message or "")
            if match is None:
                return error.message or "it is undefined"
            name = match[1]
            return f"{name} is only known inside with_items" if name in {"item", "index"} else unknown_name(name, scope)
        return reason_for(error, None, scope, lambda _: None)

    def _place(self, traceback: TracebackType | None) -> int:
        line = 0
        while traceback is not None:
            if traceback.tb_frame.f_globals is self._template.root_render_func.__globals__:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return self._template.get_corresponding_lineno(line) if line else 1

    def _error(
        self, error: type[EvaluationError | ExpressionSyntaxError], reason: str, place: int
    ) -> EvaluationError | ExpressionSyntaxError:
        """An error at a 1-based offset, with the text of the tag that stands there."""
        offset = max(place, 1) - 1
        start = max(self._source.rfind("{{", 0, offset + 2), self._source.rfind("{%", 0, offset + 2))
        ends = [end for sign in ("}}", "%}") if (end := self._source.find(sign, offset)) >= 0]
        tag = self._source[start + 2 : min(ends)] if start >= 0 and ends else ""
        return error(reason, expression=excerpt(tag.strip("-+")), path=self._path, offset=offset)


def _undeclared(tree: nodes.Template) -> set[str]:
    """The names that a text takes from its context.

    As `jinja2.meta.find_undeclared_variables`, which would fold constants on the way: ``'a' * 10**9``, say.
    """
    tracker = meta.TrackingCodeGenerator(_ENVIRONMENT)
    tracker.optimizer = None
    tracker.visit(tree)
    return tracker.undeclared_identifiers


def _require_plain(tree: nodes.Template) -> None:
    """Refuse the statements that need other templates, or that switch the sandbox's ways."""
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _STATEMENTS):
            name = type(statement).__name__.lower()
            raise TemplateSyntaxError(f"the statement '{name}' is not available", statement.lineno)


def _locals_of(tree: nodes.Template) -> Callable[[nodes.Call], bool]:
    """Tells whether a call is one of the text's own: a macro, ``caller()``, ``loop.cycle()``, ``namespace()``."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)} | {"caller", "loop", "namespace"}

    def is_local(call: nodes.Call) -> bool:
        match call.node:
            case nodes.Name(name=name):
                return name in macros
            case nodes.Getattr(node=nodes.Name(name="loop"), attr="cycle" | "changed"):
                return True
        return False

    return is_local
