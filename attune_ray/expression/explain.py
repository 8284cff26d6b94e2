"""Which part of an expression failed, and why, in the author's words: names and types, never a value."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import nodes

from attune_ray.errors import ActionError
from attune_ray.expression.check import did_you_mean
from attune_ray.expression.context import ItemContext, LazyList
from attune_ray.expression.fault import Fault, kind
from attune_ray.expression.references import PARAMETERS, ROOTS, TASKS

__all__ = ["described", "reason_for", "unknown_name"]

_MAX_KEYS: Final = 10
_MAX_CHARS: Final = 40
Evaluate = Callable[[nodes.Expr], Any]


def reason_for(error: Exception, node: nodes.Expr | None, scope: ItemContext, evaluate: Evaluate) -> str:  # noqa: PLR0911 - a table
    """The sentence that tells what went wrong at a node.

    Args:
        error: what Python raised there.
        node: where; None if it is not known.
        scope: what the template was evaluated in.
        evaluate: gives the value of a part of the expression again.
    """
    if isinstance(error, Fault | ActionError):  # the latter by a lazy list, whose elements cannot be read
        return str(error)
    match node, error:
        case nodes.Name(name="item" | "index" as name), AttributeError():
            return f"{name} is only known inside with_items"
        case nodes.Name(name=name), KeyError():
            return unknown_name(name, scope)
        case ((nodes.Getattr() | nodes.Getitem()), (LookupError() | TypeError() | AttributeError())):
            return _subscript_reason(node, evaluate)
    if isinstance(error, RecursionError):
        return "the value is nested too deeply"
    if isinstance(error, MemoryError):
        return "there is not enough memory for the value"
    if isinstance(error, ArithmeticError):
        return "the result is out of bounds"
    return f"it cannot be evaluated ({type(error).__name__})"


def unknown_name(name: str, scope: ItemContext) -> str:
    """Why a bare name is not known, and what may be meant."""
    context = scope.context
    if name in context.parameters:
        return f"unknown name '{name}'; a parameter is read as 'parameters.{name}'"
    if name in context.tasks:
        return f"unknown name '{name}'; a task's result is read as 'task.{name}'"
    return f"unknown name '{name}'{did_you_mean(name, {*context.variables, *ROOTS})}"


def described(node: nodes.Node) -> str:  # noqa: PLR0911 - a table of node types
    """The text of a path, rebuilt; "the value" for what is no path."""
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=of, attr=key):
            return f"{described(of)}.{key}"
        case nodes.Getitem(node=of, arg=nodes.Const(value=str() as key)):
            return f'{described(of)}["{_short(key)}"]'
        case nodes.Getitem(node=of, arg=nodes.Const(value=key)):
            return f"{described(of)}[{key}]"
        case nodes.Getitem(node=of, arg=arg) if not isinstance(arg, nodes.Slice):
            return f"{described(of)}[{described(arg)}]"
        case nodes.Neg(node=nodes.Const(value=number)):
            return f"-{number}"
        case nodes.Call(node=nodes.Name(name=name)):
            return f"{name}()"
    return "the value"


def _subscript_reason(node: nodes.Getattr | nodes.Getitem, evaluate: Evaluate) -> str:
    value = evaluate(node.node)
    name = described(node.node)
    if isinstance(node, nodes.Getattr):
        return _key_reason(node.node, name, value, node.attr, f"'.{node.attr}'")
    shown = _index_shown(node.arg)
    index = evaluate(node.arg)
    if isinstance(index, str):
        constant = isinstance(node.arg, nodes.Const)
        return _key_reason(node.node, name, value, index if constant else None, f"'[{shown}]'")
    if isinstance(value, Mapping):
        return f"{name} is an object, indexed by a text, not by {kind(index)}"
    if isinstance(value, list | LazyList | str):
        unit = "character" if isinstance(value, str) else "element"
        return f"index {shown} is out of range: {name} has {len(value)} {unit}{'' if len(value) == 1 else 's'}"
    return f"{name} is {kind(value)}, '[{shown}]' needs a list or a text"


def _key_reason(of: nodes.Node, name: str, value: Any, key: str | None, sign: str) -> str:
    if not isinstance(value, Mapping):
        return f"{name} is {kind(value)}, {sign} needs an object"
    if isinstance(of, nodes.Name) and of.name in TASKS:
        return (
            f"task '{_short(key)}' has not ended"
            if key is not None
            else f"{name}{sign[1:-1]} names a task that has not ended"
        )
    if key is not None and isinstance(of, nodes.Name) and of.name == PARAMETERS:
        return f"there is no parameter '{_short(key)}'{did_you_mean(key, value) or '; ' + _keys('there is', value)}"
    wanted = f"key '{_short(key)}'" if key is not None else f"key {sign[1:-1]}"
    return f"{name} has no {wanted}; {_keys('it has', value)}"


def _keys(verb: str, value: Mapping[str, Any]) -> str:
    if not value:
        return "it is empty" if verb == "it has" else "there are none"
    names = [_short(str(key)) for key, _ in zip(value, range(_MAX_KEYS), strict=False)]
    more = f" and {len(value) - _MAX_KEYS} more" if len(value) > _MAX_KEYS else ""
    return f"{verb} {', '.join(names)}{more}"


def _index_shown(arg: nodes.Node) -> str:
    match arg:
        case nodes.Const(value=str() as key):
            return f'"{_short(key)}"'
        case nodes.Const(value=number):
            return str(number)
    return described(arg)


def _short(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}…"
