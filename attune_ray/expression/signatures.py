"""What functions, filters and tests take: names and counts alone, so that checking loads none of what they do."""

from collections.abc import Mapping
from typing import Final

__all__ = ["CONTEXT_FUNCTIONS", "FILTER_PARAMETERS", "FUNCTION_ARITY", "TEST_PARAMETERS", "Parameters", "told_arity"]

Parameters = tuple[str, ...] | None
"""What is given beside the value: names, those that may be left out ending in ``?``; None: anything."""

FUNCTION_ARITY: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("abs", "bool", "ceil", "flat", "floor", "int", "keys", "length", "lower", "number"), (1, 1)),
    **dict.fromkeys(("reversed", "round", "sort", "string", "sum", "trim", "type_of", "unique", "upper"), (1, 1)),
    "values": (1, 1),
    "range": (1, 2),
    **dict.fromkeys(("chunks", "contains", "count", "ends_with", "index_of", "join", "match", "max"), (2, 2)),
    **dict.fromkeys(("merge", "min", "split", "starts_with", "zip"), (2, 2)),
    "slice": (2, 3),
    "replace": (3, 3),
}
"""Function → the least and the most arguments."""

CONTEXT_FUNCTIONS: Final = frozenset({"result", "succeeded", "failed", "timed_out", "now", "uuid"})
"""What reads the context as well; the first four ignore their arguments, the last two take none."""

_NONE: Final = ("abs", "capitalize", "count", "e", "escape", "first", "items", "last", "length", "list", "lower")
_MORE_NONE: Final = ("reverse", "safe", "string", "striptags", "title", "upper", "urlencode", "wordcount")
_ANY: Final = ("format", "map", "reject", "rejectattr", "select", "selectattr")

FILTER_PARAMETERS: Final[Mapping[str, Parameters]] = {
    **dict.fromkeys((*_NONE, *_MORE_NONE), ()),
    **dict.fromkeys(_ANY),
    "batch": ("linecount", "fill_with?"),
    "center": ("width?",),
    **dict.fromkeys(("d", "default"), ("default_value?", "boolean?")),
    "dictsort": ("case_sensitive?", "by?", "reverse?"),
    "filesizeformat": ("binary?",),
    "float": ("default?",),
    "groupby": ("attribute", "default?", "case_sensitive?"),
    "indent": ("width?", "first?", "blank?"),
    "int": ("default?", "base?"),
    "join": ("d?", "attribute?"),
    **dict.fromkeys(("max", "min", "unique"), ("case_sensitive?", "attribute?")),
    "replace": ("old", "new", "count?"),
    "round": ("precision?", "method?"),
    "slice": ("slices", "fill_with?"),
    "sort": ("reverse?", "case_sensitive?", "attribute?"),
    "sum": ("attribute?", "start?"),
    "tojson": ("indent?",),
    "trim": ("chars?",),
    "truncate": ("length?", "killwords?", "end?", "leeway?"),
    "wordwrap": ("width?", "break_long_words?", "wrapstring?"),
}

TEST_PARAMETERS: Final[Mapping[str, Parameters]] = {
    **dict.fromkeys(("boolean", "defined", "even", "false", "float", "integer", "iterable", "list", "lower"), ()),
    **dict.fromkeys(("mapping", "none", "number", "odd", "sequence", "string", "true", "undefined", "upper"), ()),
    **dict.fromkeys(("eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<="), ("right",)),
    **dict.fromkeys(("gt", "greaterthan", ">", "ge", ">="), ("right",)),
    "divisibleby": ("number",),
    "in": ("hay",),
    "sameas": ("other",),
}


def told_arity(least: int, most: int) -> str:
    """``1 argument``, ``2 or 3 arguments``."""
    numbers = f"{least}" if least == most else f"{least} or {most}"
    return f"{numbers} argument{'' if numbers == '1' else 's'}"
