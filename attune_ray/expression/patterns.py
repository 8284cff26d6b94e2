"""Regular expressions of data: RE2 alone, whose time is linear in the text whatever the pattern."""

from functools import lru_cache
from typing import Any, Final

import re2

from attune_ray.expression.fault import Fault

__all__ = ["compiled", "found"]

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_MAX_PATTERN: Final = 10_000


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """A pattern, compiled once.

    Raises:
        Fault: it is no regular expression of RE2, or too long.
    """
    if len(pattern) > _MAX_PATTERN:
        raise Fault("the pattern is too long")
    try:
        return re2.compile(pattern, _OPTIONS)
    except (re2.error, UnicodeError):
        raise Fault("the pattern is not a valid regular expression (RE2 syntax)") from None


def found(pattern: str, text: str) -> bool:
    """Whether a pattern matches anywhere in a text."""
    try:
        return compiled(pattern).search(text) is not None
    except UnicodeError:
        raise Fault("the text is not valid Unicode") from None
