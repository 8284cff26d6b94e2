"""Jinja2's filters and tests on JSON values: the pure ones, bounded, and blind to Python attributes."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import markupsafe
from jinja2 import Environment, StrictUndefined, Undefined, filters, tests
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context

from attune_ray.expression.context import LazyList
from attune_ray.expression.fault import LIMIT, Fault, Missing, kind
from attune_ray.expression.functions import FUNCTIONS
from attune_ray.expression.operators import (
    checked,
    contains,
    equal,
    greater,
    greater_equal,
    is_list,
    is_number,
    less,
    less_equal,
    not_equal,
    subscript,
)
from attune_ray.expression.text import require_bounded, text_of

__all__ = ["FILTERS", "TESTS", "member"]

_MAX_COUNT: Final = 1_000_000
_MAX_SLOW: Final = 100_000  # characters; what Jinja2 does there is quadratic
_FORMAT: Final = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|[0-9]+)?(?:\.(\*|[0-9]+))?")
_MAX_WIDTH: Final = 1_000


def member(value: Any, key: Any, *, shown: str = "") -> Any:
    """``value.key`` or ``value[key]`` as Jinja2 asks for it: what is not there is undefined, never an attribute.

    Args:
        value: what is looked into.
        key: a key or an index.
        shown: the key as errors show it, where it stands in the template; one that comes from data is not shown.
    """
    if isinstance(value, Undefined):
        return value
    try:
        return subscript(value, key)
    except (LookupError, Fault):
        if isinstance(key, str):
            return StrictUndefined(
                hint=f"{kind(value)} has no key {shown}" if shown else f"{kind(value)} has no such key"
            )
        return StrictUndefined(hint=f"{kind(value)} has no such element")


class _DataEnvironment(Environment):
    """What Jinja2's filters look things up in: keys of objects and elements of lists, nothing else."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An element or a key."""
        return member(obj, argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key."""
        return member(obj, attribute)


_ENVIRONMENT: Final = _DataEnvironment(undefined=StrictUndefined)
_CONTEXT: Final = Context(_ENVIRONMENT, {}, None, {})
_LEADING: Final[dict[str | None, tuple[Any, ...]]] = {
    None: (),
    "context": (_CONTEXT,),
    "eval_context": (_CONTEXT.eval_ctx,),
    "environment": (_ENVIRONMENT,),
}


def _guarded(name: str, word: str, function: Callable[..., Any], ready: Callable[[Any], Any]) -> Callable[..., Any]:
    """A filter or test that takes and gives JSON values and raises `Fault` alone."""
    leading = _LEADING[getattr(getattr(function, "jinja_pass_arg", None), "name", None)]

    def call(value: Any, /, *arguments: Any, **options: Any) -> Any:
        try:
            for argument in (value, *arguments, *options.values()):
                _require_defined(argument)
            return _json(function(*leading, ready(value), *arguments, **options))
        except Fault:
            raise
        except UndefinedError as error:
            raise Missing(str(error)) from None
        except Exception:  # noqa: BLE001 - Jinja2's filters fail in any way on a wrong operand
            raise Fault(
                f"the {word} '{name}' does not accept these operands: {kind(value)} and its arguments"
            ) from None

    return call


def _require_defined(value: Any) -> None:
    if isinstance(value, Undefined):
        raise Missing(value._undefined_message)  # noqa: SLF001 - the only way to its words


def _json(value: Any) -> Any:
    """What a filter gave, as a JSON value: no generators, tuples, marked-up texts or undefined elements."""
    _require_defined(value)
    if isinstance(value, str):
        if len(value) > LIMIT:
            raise Fault("the text is above 10 MiB")
        return value if value.__class__ is str else str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return checked(value)
    if isinstance(value, list | tuple | Iterator):
        return [entry if entry.__class__ is str else _json(entry) for entry in value]
    return list(value) if isinstance(value, LazyList) else value


def _value(value: Any) -> Any:
    return list(value) if isinstance(value, LazyList) else value


def _slow(value: Any) -> str:
    text = text_of(value)
    if len(text) > _MAX_SLOW:
        raise Fault(f"the text is above {_MAX_SLOW:,} characters")
    return text


def _data(value: Any) -> Any:
    require_bounded(value)
    return _value(value)


def _count(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MAX_COUNT:
        raise Fault(f"a count is an integer from 1 to {_MAX_COUNT:,}")
    return number


def _batch(value: Any, linecount: Any, fill_with: Any = None) -> Any:
    return filters.do_batch(value, _count(linecount), fill_with)


def _slice(value: Any, slices: Any, fill_with: Any = None) -> Any:
    return filters.sync_do_slice(value, _count(slices), fill_with)


def _center(text: str, width: Any = 80) -> str:
    return text.center(_count(width))


def _indent(text: str, width: Any = 4, first: Any = False, blank: Any = False) -> str:  # noqa: FBT002 - Jinja2's own
    indention = width if isinstance(width, str) else " " * _count(width)
    if len(text) + len(indention) * (len(text.splitlines()) + 1) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return filters.do_indent(text, indention, first, blank)


def _wordwrap(text: str, width: Any = 79, break_long_words: Any = True, wrapstring: Any = "\n") -> str:  # noqa: FBT002 - Jinja2's own
    if len(text) * len(text_of(wrapstring)) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return filters.do_wordwrap(_ENVIRONMENT, text, _count(width), break_long_words, text_of(wrapstring))


def _format(text: str, *values: Any, **named: Any) -> str:
    for numbers in _FORMAT.findall(text):
        if any(number == "*" or int(number[:9] or 0) > _MAX_WIDTH for number in numbers):
            raise Fault(f"a width in a format is {_MAX_WIDTH:,} at most")
    if named:
        return text % {key: _printable(value) for key, value in named.items()}
    return text % tuple(map(_printable, values))


def _printable(value: Any) -> Any:
    return value if is_number(value) else text_of(value)


def _replace(text: str, old: Any, new: Any, count: Any = None) -> str:
    before, after = text_of(old), text_of(new)
    if len(text) + text.count(before) * max(0, len(after) - len(before)) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return text.replace(before, after, -1 if count is None else count)


def _join(value: Any, d: Any = "", attribute: Any = None) -> str:
    elements = value if attribute is None else (_part(element, attribute) for element in value)
    return str(FUNCTIONS["join"]([text_of(element) for element in elements], text_of(d)))


def _sum(value: Any, attribute: Any = None, start: Any = 0) -> Any:
    elements = value if attribute is None else (_part(element, attribute) for element in value)
    return FUNCTIONS["sum"]([start, *elements])


def _part(value: Any, path: Any) -> Any:
    steps = path.split(".") if isinstance(path, str) else [path]
    for step in steps:
        value = member(value, int(step) if isinstance(step, str) and step.isdecimal() else step)
    return _json(value) if isinstance(value, Undefined) else value


def _reverse(value: Any) -> Any:
    return FUNCTIONS["reversed"](value)


def _round(value: Any, precision: Any = 0, method: Any = "common") -> Any:
    if isinstance(precision, bool) or not isinstance(precision, int) or abs(precision) > 300:
        raise Fault("a precision is an integer from -300 to 300")
    return filters.do_round(value, precision, method)


def _tojson(value: Any, indent: Any = None) -> str:
    if indent is not None and _count(indent) > 16:
        raise Fault("an indent is 16 at most")
    return filters.do_tojson(_CONTEXT.eval_ctx, value, indent)


def _escape(text: str) -> str:
    return str(markupsafe.escape(text))


def _same(value: Any) -> Any:
    return value


def _divides(value: Any, number: Any) -> bool:
    if not (is_number(value) and is_number(number)):
        raise Fault(f"only numbers divide, not {kind(value)} and {kind(number)}")
    return bool(value % number == 0)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, str | list | LazyList | Mapping)


_OF_TEXTS: Final[dict[str, Callable[..., Any]]] = {
    "capitalize": filters.do_capitalize,
    "center": _center,
    "e": _escape,
    "escape": _escape,
    "format": _format,
    "indent": _indent,
    "lower": filters.do_lower,
    "replace": _replace,
    "safe": _same,
    "string": _same,
    "title": filters.do_title,
    "trim": filters.do_trim,
    "truncate": filters.do_truncate,
    "upper": filters.do_upper,
    "wordcount": filters.do_wordcount,
}
_OF_SHORT_TEXTS: Final[dict[str, Callable[..., Any]]] = {"striptags": filters.do_striptags, "wordwrap": _wordwrap}
_OF_VALUES: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "batch": _batch,
    "dictsort": filters.do_dictsort,
    "filesizeformat": filters.do_filesizeformat,
    "first": filters.sync_do_first,
    "float": filters.do_float,
    "groupby": filters.sync_do_groupby,
    "int": filters.do_int,
    "items": filters.do_items,
    "last": filters.do_last,
    "list": list,
    "map": filters.sync_do_map,
    "max": filters.do_max,
    "min": filters.do_min,
    "reject": filters.sync_do_reject,
    "rejectattr": filters.sync_do_rejectattr,
    "reverse": _reverse,
    "round": _round,
    "select": filters.sync_do_select,
    "selectattr": filters.sync_do_selectattr,
    "slice": _slice,
    "sort": filters.do_sort,
    "sum": _sum,
    "tojson": _tojson,
    "unique": filters.sync_do_unique,
    "urlencode": filters.do_urlencode,
}
_SHALLOW: Final[dict[str, Callable[..., Any]]] = {"count": len, "join": _join, "length": len}
"""Of values whose inner parts they do not look into: no matter how many these are."""
_OWN_TESTS: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(("eq", "equalto", "=="), equal),
    **dict.fromkeys(("ne", "!="), not_equal),
    **dict.fromkeys(("lt", "lessthan", "<"), less),
    **dict.fromkeys(("le", "<="), less_equal),
    **dict.fromkeys(("gt", "greaterthan", ">"), greater),
    **dict.fromkeys(("ge", ">="), greater_equal),
    "in": contains,
    "sameas": lambda value, other: type(value) is type(other) and equal(value, other),
    "divisibleby": _divides,
    "even": lambda value: _divides(value, 2),
    "odd": lambda value: not _divides(value, 2),
    "iterable": _is_sequence,
    "sequence": _is_sequence,
    "lower": lambda value: text_of(value).islower(),
    "upper": lambda value: text_of(value).isupper(),
    "list": is_list,
}
_JINJA_TESTS: Final[dict[str, Callable[..., Any]]] = {
    "boolean": tests.test_boolean,
    "false": tests.test_false,
    "float": tests.test_float,
    "integer": tests.test_integer,
    "mapping": tests.test_mapping,
    "none": tests.test_none,
    "number": tests.test_number,
    "string": tests.test_string,
    "true": tests.test_true,
}

FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{name: _guarded(name, "filter", call, text_of) for name, call in _OF_TEXTS.items()},
    **{name: _guarded(name, "filter", call, _slow) for name, call in _OF_SHORT_TEXTS.items()},
    **{name: _guarded(name, "filter", call, _data) for name, call in _OF_VALUES.items()},
    **{name: _guarded(name, "filter", call, _same) for name, call in _SHALLOW.items()},
}
"""Every filter but ``default``, which is compiled, because it accepts what is not there."""

TESTS: Final[dict[str, Callable[..., Any]]] = {
    **{name: _guarded(name, "test", call, _value) for name, call in _OWN_TESTS.items()},
    **{name: _guarded(name, "test", _JINJA_TESTS[name], _value) for name in _JINJA_TESTS},
}
"""Every test but ``defined`` and ``undefined``, which are compiled, because they accept what is not there."""

# What `map` and `select` name, they find here; there an element may be undefined.
_ENVIRONMENT.filters = {**FILTERS, "default": filters.do_default, "d": filters.do_default}
_ENVIRONMENT.tests = {**TESTS, "defined": tests.test_defined, "undefined": tests.test_undefined}
