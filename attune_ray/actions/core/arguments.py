"""What the core actions ask of their parameters' values."""

import json
from typing import Any

__all__ = ["as_integer", "as_text"]


def as_integer(value: Any) -> int | None:
    """The integer that ``value`` is, or that its ASCII digits say; None for anything else.

    Text counts because a template in mixed text gives text: Attune's shell actions get all parameters so.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return None


def as_text(value: Any) -> str:
    """``value`` as a template in mixed text shows it: null is "", objects are compact JSON with sorted keys."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
