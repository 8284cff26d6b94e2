"""What one template text names; each text is compiled once, however often it is asked about."""

import enum
import functools

from attune_ray.expression import References, compile_condition, compile_text, compile_value

__all__ = ["Kind", "references_in"]


class Kind(enum.Enum):
    """How a template is compiled: as a part of a JSON value, as a text, or as a condition."""

    VALUE = "value"
    TEXT = "text"
    CONDITION = "condition"


_COMPILE = {Kind.VALUE: compile_value, Kind.TEXT: compile_text, Kind.CONDITION: compile_condition}


@functools.lru_cache(maxsize=4096)  # validation and planning ask about the same texts; a compilation costs 0.2 ms
def references_in(kind: Kind, text: str) -> References:
    """What the template names.

    Raises:
        ExpressionSyntaxError: it does not compile.
    """
    return _COMPILE[kind](text).references
