"""What a compiled template calls besides operators, functions and filters."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID, uuid5

from attune_ray.expression.context import ItemContext
from attune_ray.expression.fault import LIMIT, Fault, Missing, kind
from attune_ray.expression.text import as_items, plain, text_of

__all__ = ["NAMES", "result_of", "uuid_of", "word"]

_NAMESPACE: Final = UUID("6f1d6c1e-8a44-4f0b-9a39-6f1c6a0d9b52")  # ours alone; any constant would do
_LOOKUP_ERRORS: Final = (KeyError, IndexError, TypeError, AttributeError, Missing)
_WORDS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def word(text: str) -> bool:
    """The truth of a condition that is a longer text: true, 1, yes, or false, 0, no, nothing."""
    try:
        return _WORDS[text.strip().lower()]
    except KeyError:
        raise Fault("the condition is a text that is neither true, 1, yes nor false, 0, no or empty") from None


def result_of(scope: ItemContext) -> Any:
    """``result()``: null where nothing has ended."""
    return getattr(scope, "result", None)


def uuid_of(scope: ItemContext, salt: str) -> str:
    """``uuid()``: the same each time this place is evaluated for this item of this task run.

    Raises:
        Fault: there is no run to derive it from.
    """
    if not scope.context.seed:
        raise Fault("uuid() is derived from a run, and there is none here")
    return str(uuid5(_NAMESPACE, f"{scope.context.seed}|{getattr(scope, 'index', '')}|{salt}"))


def _default(value: Callable[[], Any], instead: Callable[[], Any], boolean: Any) -> Any:
    try:
        found = value()
    except _LOOKUP_ERRORS:
        return instead()
    return instead() if boolean and not found else found


def _is_defined(value: Callable[[], Any]) -> bool:
    try:
        value()
    except _LOOKUP_ERRORS:
        return False
    return True


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        raise Fault(f"the keys of an object are texts, not {kind(key)}")
    return key


def _too_long() -> None:
    raise Fault("the text is above 10 MiB")


NAMES: Final[dict[str, Any]] = {
    "CORE": frozenset({str, int, float, bool, type(None), dict, list}),
    "LIMIT": LIMIT,
    "TEXTS": frozenset({str, int}),  # what an f-string writes as the language does
    "default": _default,
    "is_defined": _is_defined,
    "as_items": as_items,
    "plain": plain,
    "result_of": result_of,
    "text_key": _text_key,
    "text_of": text_of,
    "too_long": _too_long,
    "uuid_of": uuid_of,
    "word": word,
}
