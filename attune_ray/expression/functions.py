"""The functions of the language: each takes and gives JSON values, and refuses other types."""

import math
import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any, Final

from attune_ray.expression.fault import LIMIT, Fault, kind
from attune_ray.expression.operators import checked, contains, equal, greater, is_list, is_number, less
from attune_ray.expression.patterns import found
from attune_ray.expression.text import require_bounded, text_of, truthy

__all__ = ["FUNCTIONS"]

_MAX_RANGE: Final = 1_000_000
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)


def _need(function: str, wanted: str, value: Any, test: bool) -> None:  # noqa: FBT001 - the outcome of the test
    if not test:
        raise Fault(f"{function}() needs {wanted}, not {kind(value)}")


def _need_text(function: str, *values: Any) -> None:
    for value in values:
        _need(function, "a text", value, isinstance(value, str))


def _need_list(function: str, value: Any) -> None:
    _need(function, "a list", value, is_list(value))


def _need_number(function: str, value: Any) -> None:
    _need(function, "a number", value, is_number(value))


def _need_integer(function: str, value: Any) -> None:
    _need(function, "an integer", value, isinstance(value, int) and not isinstance(value, bool))


def _bounded(length: int) -> None:
    if length > LIMIT:
        raise Fault("the text is above 10 MiB")


def _string(value: Any) -> str:
    return "null" if value is None else text_of(value)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return float(value)
    if is_number(value):
        return value
    _need("number", "a number, a boolean or a text", value, isinstance(value, str))
    if _FLOAT.fullmatch(value) is None:
        raise Fault("number() cannot read this text as a number")
    return checked(float(value))


def _int(value: Any) -> int:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return int(checked(math.trunc(value)))
    _need("int", "a number, a boolean or a text", value, isinstance(value, str))
    if _INTEGER.fullmatch(value) is not None:
        return int(checked(int(value)))
    if _FLOAT.fullmatch(value) is None:
        raise Fault("int() cannot read this text as a number")
    return int(checked(math.trunc(checked(float(value)))))


def _type_of(value: Any) -> str:
    names = {"a text": "string", "a boolean": "boolean", "a number": "number", "null": "null", "a list": "array"}
    return names.get(word := kind(value), "object" if word == "an object" else word)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass"))
    _need("length", "a text, a list or an object", value, is_list(value) or hasattr(value, "keys"))
    return len(value)


def _keys(value: Any) -> list[str]:
    _need("keys", "an object", value, hasattr(value, "keys"))
    return sorted(value)


def _values(value: Any) -> list[Any]:
    _need("values", "an object", value, hasattr(value, "keys"))
    return [value[key] for key in sorted(value)]


def _abs(value: Any) -> Any:
    _need_number("abs", value)
    return abs(value)


def _floor(value: Any) -> int:
    _need_number("floor", value)
    return int(checked(math.floor(value)))


def _ceil(value: Any) -> int:
    _need_number("ceil", value)
    return int(checked(math.ceil(value)))


def _round(value: Any) -> int:
    _need_number("round", value)
    if isinstance(value, int):
        return value
    whole = math.trunc(value)  # not floor(value + 0.5): 0.49999999999999994 + 0.5 is 1.0
    away = 1 if value > 0 else -1
    return int(checked(whole + away if abs(value - whole) >= 0.5 else whole))  # noqa: PLR2004 - a half is a half


def _min(left: Any, right: Any) -> Any:
    return _pick(left, right, right if less(right, left) else left)


def _max(left: Any, right: Any) -> Any:
    return _pick(left, right, right if greater(right, left) else left)


def _pick(left: Any, right: Any, chosen: Any) -> Any:
    mixed = isinstance(left, float) != isinstance(right, float)
    return float(chosen) if mixed and is_number(chosen) else chosen


def _sum(values: Any) -> Any:
    _need_list("sum", values)
    numbers = list(values)
    for number in numbers:
        _need("sum", "a list of numbers", number, is_number(number))
    return checked(sum(numbers))


def _lower(text: Any) -> str:
    _need_text("lower", text)
    return str(text.lower())


def _upper(text: Any) -> str:
    _need_text("upper", text)
    return str(text.upper())


def _trim(text: Any) -> str:
    _need_text("trim", text)
    return str(text.strip())


def _split(text: Any, separator: Any) -> list[str]:
    _need_text("split", text, separator)
    return text.split(separator) if separator else ["", *text, ""]


def _join(values: Any, separator: Any) -> str:
    _need_list("join", values)
    _need_text("join", separator)
    texts = [_string(value) for value in values]
    _bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return str(separator.join(texts))


def _replace(text: Any, old: Any, new: Any) -> str:
    _need_text("replace", text, old, new)
    _bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return str(text.replace(old, new))


def _starts_with(text: Any, part: Any) -> bool:
    _need_text("starts_with", text, part)
    return bool(text.startswith(part))


def _ends_with(text: Any, part: Any) -> bool:
    _need_text("ends_with", text, part)
    return bool(text.endswith(part))


def _match(pattern: Any, text: Any) -> bool:
    _need_text("match", pattern, text)
    return found(pattern, text)


def _contains(hay: Any, needle: Any) -> bool:
    return contains(needle, hay)


def _reversed(value: Any) -> Any:
    if isinstance(value, str):
        return value[::-1]
    _need("reversed", "a list or a text", value, is_list(value))
    return list(value)[::-1]


def _compare(left: Any, right: Any) -> int:
    return 1 if less(right, left) else -1 if less(left, right) else 0


def _sort(values: Any) -> list[Any]:
    _need_list("sort", values)
    found_values = list(values)
    if len(found_values) < 2:
        return found_values
    if all(isinstance(value, str) for value in found_values) or all(map(is_number, found_values)):
        return sorted(found_values)
    require_bounded(found_values)
    return sorted(found_values, key=cmp_to_key(_compare))


def _unique(values: Any) -> list[Any]:
    _need_list("unique", values)
    require_bounded(values)
    firsts: dict[Any, Any] = {}
    for value in values:
        firsts.setdefault(_identity(value), value)
    return list(firsts.values())


def _identity(value: Any) -> Any:
    """A key that is equal exactly where the language's ``==`` holds; linear in the value."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, dict):
        return (dict, frozenset((key, _identity(entry)) for key, entry in value.items()))
    if is_list(value):
        return (list, tuple(map(_identity, value)))
    return value


def _flat(values: Any) -> list[Any]:
    _need_list("flat", values)
    flat: list[Any] = []
    for value in values:
        if is_list(value):
            flat.extend(value)
        else:
            flat.append(value)
        if len(flat) > LIMIT:
            raise Fault("the list is too long")
    return flat


def _zip(left: Any, right: Any) -> list[list[Any]]:
    _need_list("zip", left)
    _need_list("zip", right)
    return [list(pair) for pair in zip(left, right, strict=False)]


def _range(*bounds: Any) -> list[int]:
    for bound in bounds:
        _need_integer("range", bound)
    start, end = bounds if len(bounds) > 1 else (0, *bounds)
    if end - start > _MAX_RANGE:
        raise Fault(f"range() makes {_MAX_RANGE:,} elements at most")
    return list(range(start, end))


def _slice(value: Any, start: Any, stop: Any = None) -> Any:
    _need("slice", "a list or a text", value, isinstance(value, str) or is_list(value))
    _need_integer("slice", start)
    if stop is not None:
        _need_integer("slice", stop)
    whole = value if isinstance(value, str) else list(value)
    end = len(whole) if stop is None or stop < 0 else stop
    return whole[start:end] if start >= 0 else whole[:0]


def _index_of(value: Any, wanted: Any) -> int:
    if isinstance(value, str):
        _need_text("index_of", wanted)
        at = value.find(wanted)
        return at if at < 0 else len(value[:at].encode(errors="surrogatepass"))
    _need("index_of", "a list or a text", value, is_list(value))
    return next((at for at, element in enumerate(value) if equal(element, wanted)), -1)


def _count(value: Any, wanted: Any) -> int:
    if isinstance(value, str):
        _need_text("count", wanted)
        return value.count(wanted)
    _need("count", "a list or a text", value, is_list(value))
    return sum(equal(element, wanted) for element in value)


def _merge(left: Any, right: Any) -> dict[str, Any]:
    _need("merge", "two objects", left, hasattr(left, "keys"))
    _need("merge", "two objects", right, hasattr(right, "keys"))
    return {**left, **right}


def _chunks(values: Any, size: Any) -> list[list[Any]]:
    _need_list("chunks", values)
    _need_integer("chunks", size)
    if size < 1:
        raise Fault("chunks() needs a size of 1 or more")
    whole = list(values)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": _abs,
    "bool": truthy,
    "ceil": _ceil,
    "chunks": _chunks,
    "contains": _contains,
    "count": _count,
    "ends_with": _ends_with,
    "flat": _flat,
    "floor": _floor,
    "index_of": _index_of,
    "int": _int,
    "join": _join,
    "keys": _keys,
    "length": _length,
    "lower": _lower,
    "match": _match,
    "max": _max,
    "merge": _merge,
    "min": _min,
    "number": _number,
    "range": _range,
    "replace": _replace,
    "reversed": _reversed,
    "round": _round,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "starts_with": _starts_with,
    "string": _string,
    "sum": _sum,
    "trim": _trim,
    "type_of": _type_of,
    "unique": _unique,
    "upper": _upper,
    "values": _values,
    "zip": _zip,
}
"""What can be called on values alone; how much each takes is in ``signatures``."""
