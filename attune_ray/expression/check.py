"""What Jinja2 can parse and the language does not have: unknown names, wrong arity, calls on values."""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from attune_ray.expression.fault import Fault
from attune_ray.expression.filters import FILTERS, TESTS
from attune_ray.expression.functions import CONTEXT_FUNCTIONS, FUNCTIONS
from attune_ray.expression.patterns import compiled

__all__ = ["FILTER_NAMES", "TEST_NAMES", "check", "did_you_mean", "require_shallow"]

FILTER_NAMES: Final = frozenset({*FILTERS, "default", "d"})
TEST_NAMES: Final = frozenset({*TESTS, "defined", "undefined"})
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})
_MAX_DEPTH: Final = 100


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a known name is close, else nothing."""
    close = get_close_matches(name, sorted(names), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def require_shallow(root: nodes.Node) -> None:
    """Refuse a tree that is deeper than what walks it may recurse."""
    level: list[nodes.Node] = [root]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise TemplateSyntaxError("it is nested too deeply; split it into several steps", root.lineno)


def check(root: nodes.Node, *, local_calls: Callable[[nodes.Call], bool] = lambda _: False) -> None:
    """Refuse what is not of the language.

    Args:
        root: an expression, or a whole block.
        local_calls: tells the calls of what a block defines itself.

    Raises:
        TemplateSyntaxError: with the place of the node.
    """
    for node in _walk(root):
        if (reason := _fault(node, local_calls)) is not None:
            raise TemplateSyntaxError(reason, node.lineno)


def _walk(root: nodes.Node) -> Iterator[nodes.Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(node.iter_child_nodes())))


def _fault(node: nodes.Node, local_calls: Callable[[nodes.Call], bool]) -> str | None:  # noqa: PLR0911 - a table
    match node:
        case nodes.Name(name=name) if name in _KEYWORDS:
            return f"'{name}' is a word of the language, not a name"
        case nodes.Pos():
            return "there is no sign '+'"
        case nodes.Tuple(items=[]):
            return "'()' is empty"
        case nodes.Getitem(arg=nodes.Tuple()):
            return "'[ ]' takes one index"
        case nodes.Call() if not local_calls(node):
            return _call_fault(node)
        case nodes.Filter(name=str(name)) if name not in FILTER_NAMES:
            return f"unknown filter '{name}'{did_you_mean(name, FILTER_NAMES)}"
        case nodes.Filter(name=("default" | "d") as name) if len(node.args) > 2 or node.dyn_args or node.dyn_kwargs:
            return f"the filter '{name}' takes a value and whether it replaces falsy ones too"
        case nodes.Test(name=name) if name not in TEST_NAMES:
            return f"unknown test '{name}'{did_you_mean(name, TEST_NAMES)}"
    return None


def _call_fault(node: nodes.Call) -> str | None:
    if not isinstance(node.node, nodes.Name):
        return "only a function can be called, by its bare name"
    name = node.node.name
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        return f"{name}() takes its arguments by position alone"
    if name in CONTEXT_FUNCTIONS:
        return f"{name}() takes no arguments" if name in {"now", "uuid"} and node.args else None
    function = FUNCTIONS.get(name)
    if function is None:
        return f"unknown function '{name}'{did_you_mean(name, {*FUNCTIONS, *CONTEXT_FUNCTIONS})}"
    if not function.least <= len(node.args) <= function.most:
        return f"{name}() takes {function.arity}, not {len(node.args)}"
    return _pattern_fault(node.args[0]) if name == "match" else None


def _pattern_fault(pattern: Any) -> str | None:
    if not (isinstance(pattern, nodes.Const) and isinstance(pattern.value, str)):
        return None
    try:
        compiled(pattern.value)
    except Fault as fault:
        return str(fault)
    return None
