"""What Jinja2 can parse and the language does not have: unknown names, wrong arity, calls on values.

What functions and filters do is not loaded for it: a file is checked in half of the time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from attune_ray.expression.fault import Fault
from attune_ray.expression.signatures import (
    CONTEXT_FUNCTIONS,
    FILTER_PARAMETERS,
    FUNCTION_ARITY,
    TEST_PARAMETERS,
    Parameters,
    told_arity,
)

__all__ = ["check", "did_you_mean", "require_shallow"]

_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})
_MAX_DEPTH: Final = 100
_NAMES_OTHERS: Final[Mapping[str, tuple[int, str, Mapping[str, Parameters]]]] = {
    "map": (0, "filter", FILTER_PARAMETERS),
    **dict.fromkeys(("select", "reject"), (0, "test", TEST_PARAMETERS)),
    **dict.fromkeys(("selectattr", "rejectattr"), (1, "test", TEST_PARAMETERS)),
}
"""Filters that are given the name of another filter or of a test: the place of the argument, and what it names."""


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
        case nodes.Filter(name=str(name)):
            return _applied_fault(node, "filter", name, FILTER_PARAMETERS)
        case nodes.Test(name=name):
            return _applied_fault(node, "test", name, TEST_PARAMETERS)
    return None


def _applied_fault(
    node: nodes.Filter | nodes.Test, word: str, name: str, known: Mapping[str, Parameters]
) -> str | None:
    if name not in known:
        return f"unknown {word} '{name}'{did_you_mean(name, known)}"
    if name in _NAMES_OTHERS and (fault := _named_fault(node, *_NAMES_OTHERS[name])) is not None:
        return fault
    parameters = known[name]
    if parameters is None:
        return None
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return f"the {word} '{name}' takes its arguments one by one" if name in {"default", "d"} else None
    return _arguments_fault(f"the {word} '{name}'", parameters, len(node.args or ()), _keywords(node))


def _arguments_fault(what: str, parameters: tuple[str, ...], n_given: int, named: list[str]) -> str | None:
    """What is wrong with so many arguments by position and these by name."""
    names = [parameter.rstrip("?") for parameter in parameters]
    if n_given > len(names):
        most = told_arity(len(names), len(names)) if names else "no arguments"
        return f"{what} takes {most}{' at most' if '?' in ''.join(parameters) else ''}, not {n_given}"
    for name in named:
        if name not in names:
            return f"{what} takes no '{name}'{did_you_mean(name, names)}"
        if name in names[:n_given]:
            return f"{what} is given '{name}' twice"
    for parameter in parameters[n_given:]:
        if not parameter.endswith("?") and parameter not in named:
            return f"{what} needs '{parameter}'"
    return None


def _named_fault(node: nodes.Filter | nodes.Test, place: int, word: str, known: Mapping[str, Parameters]) -> str | None:
    """Of ``map('upper')``, ``select('odd')``: whether there is what the text at ``place`` names."""
    match node.args[place : place + 1]:
        case [nodes.Const(value=str(name))] if name not in known:
            return f"unknown {word} '{name}'{did_you_mean(name, known)}"
    return None


def _keywords(node: nodes.Filter | nodes.Test) -> list[str]:
    options: Any = node.kwargs or []  # Jinja2 declares them as pairs; its parser builds these
    return [option.key for option in options]


def _call_fault(node: nodes.Call) -> str | None:
    if not isinstance(node.node, nodes.Name):
        return "only a function can be called, by its bare name"
    name = node.node.name
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        return f"{name}() takes its arguments by position alone"
    if name in CONTEXT_FUNCTIONS:
        return f"{name}() takes no arguments" if name in {"now", "uuid"} and node.args else None
    if name not in FUNCTION_ARITY:
        return f"unknown function '{name}'{did_you_mean(name, {*FUNCTION_ARITY, *CONTEXT_FUNCTIONS})}"
    least, most = FUNCTION_ARITY[name]
    if not least <= len(node.args) <= most:
        return f"{name}() takes {told_arity(least, most)}, not {len(node.args)}"
    return _pattern_fault(node.args[0]) if name == "match" else None


def _pattern_fault(pattern: Any) -> str | None:
    if not (isinstance(pattern, nodes.Const) and isinstance(pattern.value, str)):
        return None
    from attune_ray.expression.patterns import compiled  # noqa: PLC0415  loads RE2

    try:
        compiled(pattern.value)
    except Fault as fault:
        return str(fault)
    return None
