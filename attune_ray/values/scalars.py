"""The value of a plain YAML scalar, the same in workflow files, pack files and what scripts write.

Only ``true``/``false``, ``null``/``~``, decimal integers and floats are resolved (in the three spellings of case of
YAML 1.2's core schema); whatever else is plain stays text: ``yes``, ``no``, ``on``, ``off``, ``12:30``, ``010``, dates.
A number that JSON cannot carry (outside 64 bits, or infinite) stays text too: no digit is lost.
"""

import math
import re
from collections.abc import Mapping

__all__ = ["resolve_plain"]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1


def resolve_plain(text: str) -> str | float | bool | None:
    """The value of a plain scalar, ``text`` as it is written."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= len(str(_UINT64_MAX)) + 1 and _INTEGER.fullmatch(text):
        number = int(text)
        return number if _INT64_MIN <= number <= _UINT64_MAX else text
    if _FLOAT.fullmatch(text) and not _INTEGER.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text
