"""What ``+ - * / %``, comparisons, ``in`` and ``[ ]`` do to JSON values.

All are total on JSON: a wrong type or a result out of bounds is a `Fault`. Nothing is coerced: true is not 1, nor is
"1".
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from attune_ray.expression.context import LazyList
from attune_ray.expression.fault import LIMIT, Fault, Missing, kind
from attune_ray.expression.text import require_bounded, text_of

__all__ = [
    "add",
    "checked",
    "concat",
    "contains",
    "divide",
    "equal",
    "greater",
    "greater_equal",
    "is_list",
    "is_number",
    "less",
    "less_equal",
    "multiply",
    "negate",
    "not_contains",
    "not_equal",
    "remainder",
    "slice_of",
    "subscript",
    "subtract",
]

_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_NUMBERS: Final = frozenset({int, float})
_SCALARS: Final = frozenset({str, int, float, type(None)})


def is_number(value: Any) -> bool:
    """An int or a float; a boolean is neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_list(value: Any) -> bool:
    """A list, decoded or lazy."""
    return isinstance(value, list | LazyList)


def checked(number: Any) -> Any:
    """A number that JSON can hold: 64 bits, finite."""
    if isinstance(number, float):
        if not math.isfinite(number):
            raise Fault("the result is not a finite number")
    elif not _LEAST <= number <= _MOST:
        raise Fault("the result does not fit into 64 bits")
    return number


def add(left: Any, right: Any) -> Any:
    """Texts and lists are joined, numbers added."""
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > LIMIT:
            raise Fault("the text is above 10 MiB")
        return left + right
    if is_number(left) and is_number(right):
        return checked(left + right)
    if is_list(left) and is_list(right):
        if len(left) + len(right) > LIMIT:
            raise Fault("the list is too long")
        return [*left, *right]
    raise Fault(f"'+' needs two numbers, two texts or two lists, not {kind(left)} and {kind(right)}")


def concat(*parts: Any) -> str:
    """``a ~ b``: the texts of both, joined."""
    texts = [text_of(part) for part in parts]
    if sum(map(len, texts)) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return "".join(texts)


def subtract(left: Any, right: Any) -> Any:
    """The difference of two numbers."""
    _need_numbers("-", left, right)
    return checked(left - right)


def multiply(left: Any, right: Any) -> Any:
    """The product of two numbers."""
    _need_numbers("*", left, right)
    return checked(left * right)


def divide(left: Any, right: Any) -> Any:
    """The quotient of two numbers; of two ints an int if it is exact."""
    _need_numbers("/", left, right)
    if not right:
        raise Fault("division by zero")
    if isinstance(left, int) and isinstance(right, int) and not left % right:
        return checked(left // right)
    return checked(left / right)


def remainder(left: Any, right: Any) -> Any:
    """The rest of a division, with the sign of the dividend."""
    _need_numbers("%", left, right)
    if not right:
        raise Fault("division by zero")
    if isinstance(left, int) and isinstance(right, int):
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return checked(math.fmod(left, right))


def negate(value: Any) -> Any:
    """``-value``."""
    if not is_number(value):
        raise Fault(f"'-' needs a number, not {kind(value)}")
    return checked(-value)


def equal(left: Any, right: Any) -> bool:
    """Deep equality; int and float compare as numbers, other types must agree."""
    if left.__class__ in _SCALARS and right.__class__ in _SCALARS:
        return left == right  # type: ignore[no-any-return]
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict | list | LazyList) and isinstance(right, dict | list | LazyList):
        if len(left) != len(right):
            return False
        require_bounded(left)
        return _deep_equal(left, right)
    return bool(left == right)


def _deep_equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_deep_equal(value, right[key]) for key, value in left.items())
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(map(_deep_equal, left, right))
    return bool(left == right)


def not_equal(left: Any, right: Any) -> bool:
    """The opposite of `equal`."""
    return not equal(left, right)


def less(left: Any, right: Any) -> bool:
    """``left < right`` of two numbers, two texts or two lists of those."""
    return _ordered("<", operator.lt, left, right)


def less_equal(left: Any, right: Any) -> bool:
    """``left <= right``."""
    return _ordered("<=", operator.le, left, right)


def greater(left: Any, right: Any) -> bool:
    """``left > right``."""
    return _ordered(">", operator.gt, left, right)


def greater_equal(left: Any, right: Any) -> bool:
    """``left >= right``."""
    return _ordered(">=", operator.ge, left, right)


def _ordered(sign: str, compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if left.__class__ in _NUMBERS and right.__class__ in _NUMBERS:  # the common case, without four isinstance calls
        return compare(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return compare(left, right)
    if is_number(left) and is_number(right):
        return compare(left, right)
    if is_list(left) and is_list(right):
        require_bounded(left)
        require_bounded(right)
        return compare(_order(sign, left, right), 0)
    raise Fault(f"'{sign}' cannot order {kind(left)} and {kind(right)}")


def _order(sign: str, left: Any, right: Any) -> int:
    """-1, 0 or 1; lists by their first elements that differ."""
    if is_list(left) and is_list(right):
        for one, other in zip(left, right, strict=False):
            if (found := _order(sign, one, other)) != 0:
                return found
        return (len(left) > len(right)) - (len(left) < len(right))
    if (isinstance(left, str) and isinstance(right, str)) or (is_number(left) and is_number(right)):
        return int(left > right) - int(left < right)
    raise Fault(f"'{sign}' cannot order {kind(left)} and {kind(right)}")


def contains(needle: Any, hay: Any) -> bool:
    """``needle in hay``: an element of a list, a key of an object, a part of a text."""
    if isinstance(hay, str):
        if not isinstance(needle, str):
            raise Fault(f"'in' looks for a text in a text, not for {kind(needle)}")
        return needle in hay
    if isinstance(hay, Mapping):
        if not isinstance(needle, str):
            raise Fault(f"the keys of an object are texts, not {kind(needle)}")
        return needle in hay
    if is_list(hay):
        if isinstance(needle, str) and isinstance(hay, list):
            return needle in hay
        return any(equal(needle, element) for element in hay)
    raise Fault(f"'in' needs a list, an object or a text, not {kind(hay)}")


def not_contains(needle: Any, hay: Any) -> bool:
    """``needle not in hay``."""
    return not contains(needle, hay)


def subscript(value: Any, index: Any) -> Any:
    """``value[index]``: an element by an int, a key by a text.

    Raises:
        KeyError, IndexError: it is not there; the reason is worded where the names are known.
    """
    if isinstance(index, str):
        if isinstance(value, Mapping):
            return value[index]
    elif isinstance(index, int) and not isinstance(index, bool) and isinstance(value, list | str | LazyList):
        return value[index]
    if isinstance(value, Mapping):
        raise Fault(f"an object is indexed by a text, not by {kind(index)}")
    if isinstance(value, list | str | LazyList):
        raise Fault(f"{kind(value)} is indexed by an integer, not by {_precise(index)}")
    raise Missing(f"{kind(value)} cannot be indexed")


def _precise(index: Any) -> str:
    return "a number with a fraction" if isinstance(index, float) else kind(index)


def slice_of(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """``value[start:stop:step]`` of a list or a text."""
    if not isinstance(value, list | str | LazyList):
        raise Fault(f"a slice needs a list or a text, not {kind(value)}")
    for bound in (start, stop, step):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int)):
            raise Fault(f"the bounds of a slice are integers, not {_precise(bound)}")
    if step == 0:
        raise Fault("the step of a slice cannot be 0")
    whole = value if isinstance(value, str) else list(value)
    return whole[start:stop:step]


def _need_numbers(sign: str, left: Any, right: Any) -> None:
    if not (is_number(left) and is_number(right)):
        raise Fault(f"'{sign}' needs two numbers, not {kind(left)} and {kind(right)}")
