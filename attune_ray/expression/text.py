"""Value → text: what a value looks like inside a longer text, and what counts as true."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

import orjson

from attune_ray.errors import EvaluationError
from attune_ray.expression.context import LazyList
from attune_ray.expression.fault import LIMIT, Fault, kind

__all__ = ["as_items", "n_elements", "plain", "require_bounded", "text_of", "to_text", "truthy"]

_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
_MAX_NODES: Final = LIMIT // 2
"""An element takes two bytes of JSON at least: a value of more elements cannot fit into one output."""
_MAX_REPEATED: Final = 250_000
"""Elements that a value may have by holding the same part many times: no data that is read is so."""
_MANY_NODES: Final = 50_000
"""Elements up to which a plain walk is faster than one that remembers the parts it has seen."""
_CONTAINERS: Final = (dict, list, LazyList, tuple)
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
"""To ask an abstract class such as LazyList costs 0.3 µs an element; nearly all are of these."""
_WORDS: Final = {None: "", True: "true", False: "false"}


def text_of(value: Any) -> str:
    """The text of a value in mixed text.

    null is "", booleans and numbers are as in JSON, lists and objects are compact JSON with sorted keys.

    Raises:
        Fault: it has no text (bytes that are not UTF-8, a foreign object), or a text above the limit.
    """
    if value.__class__ is str:
        return value
    if value is None or value is True or value is False:
        return _WORDS[value]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, bytes):
        return _decoded(value)
    require_bounded(value)
    try:
        text = orjson.dumps(value, default=_jsonable, option=_OPTIONS).decode()
    except (TypeError, ValueError, RecursionError):
        raise Fault(f"{kind(value)} holds something that is not JSON and has no text") from None
    if len(text) > LIMIT:
        raise Fault("the text is above 10 MiB")
    return text


def to_text(value: Any) -> str:
    """The text of a value, as it stands inside a longer text.

    Raises:
        EvaluationError: it has none, or one above 10 MiB.
    """
    try:
        return text_of(value)
    except Fault as fault:
        raise EvaluationError(str(fault)) from None


def truthy(value: Any) -> bool:
    """False for null, false, 0, 0.0, "", [] and {}; true for all else."""
    return bool(value)


def plain(value: Any) -> Any:
    """A value as it is handed out: a lazy list as a list, a foreign mapping as an object, all else as it is."""
    return list(value) if isinstance(value, LazyList) else as_items(value)


def as_items(value: Any) -> Any:
    """A value as the items of a fan-out: a lazy list stays one, so that it can be read where the items run."""
    return dict(value) if isinstance(value, Mapping) and not isinstance(value, dict) else value


def _jsonable(value: Any) -> Any:
    if isinstance(value, LazyList | Mapping):
        return plain(value)
    raise TypeError(kind(value))


def require_bounded(value: Any) -> None:
    """Refuse a value that is too large to be written or compared; shared parts count each time they occur."""
    if isinstance(value, _CONTAINERS) and n_elements(value) > _MAX_NODES:
        raise Fault("the value has too many elements")


def n_elements(value: Any) -> int:
    """Elements of a list or an object at all depths; of one above the limit, some number above it.

    ``[x, x]`` made forty times over takes no memory, but a walk over it never ends: once a value is seen to be large,
    every part is looked at once.
    """
    count, stack = 0, [value]
    while stack and count <= _MANY_NODES:
        part = stack.pop()
        count += len(part)
        stack.extend(_inside(part))
    return _size(value) if stack else count


def _inside(part: Any) -> list[Any]:
    parts = part.values() if isinstance(part, dict) else part
    return [child for child in parts if child.__class__ not in _LEAVES and isinstance(child, _CONTAINERS)]


def _size(value: Any) -> int:
    """Elements of a value at all depths, each part looked at once; above the limit where they repeat too often."""
    n_distinct = 0
    sizes: dict[int, int] = {}
    seen = [value]  # kept, so that no other part gets the same id
    open_parts = [(value, iter(_inside(value)), len(value))]
    while True:
        part, children, size = open_parts.pop()
        for child in children:
            if id(child) not in sizes:
                seen.append(child)
                open_parts += [
                    (part, itertools.chain([child], children), size),
                    (child, iter(_inside(child)), len(child)),
                ]
                break
            size += sizes[id(child)]
            if size > _MAX_NODES:
                return size
        else:
            sizes[id(part)] = size
            n_distinct += len(part)
            if size - n_distinct > _MAX_REPEATED:
                return _MAX_NODES + 1
            if not open_parts:
                return size


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Fault("bytes that are not UTF-8 have no text") from None
