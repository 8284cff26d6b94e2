"""Why an expression has no value, before it is known where: raised by operators, functions and filters."""

from typing import Any, Final

from attune_ray.expression.context import LazyList

__all__ = ["LIMIT", "Fault", "Missing", "kind"]

LIMIT: Final = 10 * 1024 * 1024
"""The longest text (in characters) and the longest list (in elements) that an expression may make."""


class Fault(Exception):  # noqa: N818 - it never leaves the package: it becomes an EvaluationError
    """The reason, in one sentence, never with a value in it."""


class Missing(Fault):
    """What is asked for is not there: ``default`` and ``is defined`` accept that, unlike other faults."""


_KINDS: Final = {
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
    bytes: "bytes",
}


def kind(value: Any) -> str:
    """What a value is, in the words of the language: ``a text``, ``a list``, ``null``."""
    if (name := _KINDS.get(type(value))) is not None:
        return name
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | LazyList | tuple):
        return "a list"
    for base, word in _KINDS.items():
        if isinstance(value, base):
            return word
    return "an object" if hasattr(value, "keys") else "a foreign value"
