"""Values without the names that only a view of them has."""

from typing import Any

import orjson

__all__ = ["plain"]

_SUBCLASSES = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def plain(value: Any) -> Any:
    """The value as JSON would hold it: where it is a view of a result, or holds one, that is its object alone.

    A view knows names that its object does not have (``result``, ``output``), and JSON would lose them. Lists that
    decode their elements when they are read stay as they are: nothing but JSON is in them.
    """
    return _without_views(value) if _holds_view(value) else value


def _holds_view(value: Any) -> bool:
    """Whether a part of it is more than a dict; looked for by C code, since most values hold none."""
    found = False

    def look(part: Any) -> None:
        nonlocal found
        found |= isinstance(part, dict)

    try:
        orjson.dumps(value, default=look, option=_SUBCLASSES)
    except TypeError:  # it is no JSON: what keeps or sends it will say so
        return True
    return found


def _without_views(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_views(part) for name, part in value.items()}
    return [_without_views(part) for part in value] if type(value) is list else value
