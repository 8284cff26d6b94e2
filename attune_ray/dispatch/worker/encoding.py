"""Values of the workflow as JSON bytes."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import orjson

from attune_ray.dispatch.worker.arrow_rows import columns_of, require_names, values_of
from attune_ray.errors import ActionError, UnstorableResultError
from attune_ray.expression import LazyList

__all__ = ["canonical", "decode", "decode_all", "encode"]

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_CUT = _OPTIONS | orjson.OPT_APPEND_NEWLINE
"""orjson hands out buffers of whole 4 KB; cutting off a line break makes a copy of just the size. Kept by the
thousand, as results of items are, that is 100 times less memory and 5 times less time than the page faults cost."""
_MAX_DEPTH = 200
_REFUSED = "Not enough memory"
"""How orjson says that it got no buffer."""


def encode(value: Any) -> bytes:
    """JSON of a value; NaN and infinities become null, as JSON has no such numbers.

    Raises:
        UnstorableResultError: a part of it is no JSON value; the text names its type and path.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_CUT)[:-1]
    except TypeError as error:
        raise UnstorableResultError(_find_fault(value, "", 0) or str(error)) from None


def canonical(value: Any) -> bytes:
    """The same with sorted keys: equal for equal values.

    Raises:
        UnstorableResultError: a part of it is no JSON value.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS | orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise UnstorableResultError(_find_fault(value, "", 0) or str(error)) from None


def decode(encoded: Any) -> Any:
    """The value of JSON bytes, or of any buffer of them, which is not copied.

    orjson asks for 12 times the bytes of a text at once, which the system refuses from about the size of its memory
    on: 2.1 GB on a machine of 24 GB. Python's own parser takes them as it goes.
    """
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        if not error.msg.startswith(_REFUSED):
            raise
    return json.loads(encoded if isinstance(encoded, str) else str(encoded, "utf-8"))


def decode_all(encoded: Iterable[bytes | None]) -> list[Any]:
    """The values of many texts, in one call; None where there is no text."""
    found: list[Any] = decode(b"".join((b"[", b",".join(b"null" if text is None else text for text in encoded), b"]")))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, LazyList):
        return list(value)
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order")
    if (pd := sys.modules.get("pandas")) is not None and isinstance(value, pd.DataFrame | pd.Series):
        if isinstance(value, pd.Series):
            return value.to_list()
        require_names(list(value.columns))
        return value.to_dict("list")
    if (pa := sys.modules.get("pyarrow")) is not None:
        if isinstance(value, pa.Table | pa.RecordBatch):
            return columns_of(value)
        if isinstance(value, pa.Array | pa.ChunkedArray):
            return values_of(value, "")
    if (np := sys.modules.get("numpy")) is not None and isinstance(value, np.ndarray):
        return _plain_array(value, np)
    raise TypeError(type(value).__name__)


def _plain_array(array: Any, np: Any) -> Any:
    """What orjson takes of an array that it does not take: it wants rows behind each other, and no mask or subclass."""
    if isinstance(array, np.ma.MaskedArray):
        return array.tolist()  # None where it is masked
    if type(array) is np.ndarray and array.flags.c_contiguous:
        raise TypeError(f"an array of {array.dtype}")
    return np.ascontiguousarray(array)


def _find_fault(value: Any, path: str, depth: int) -> str | None:  # noqa: PLR0911  one return per kind of value
    """Where the first part is that cannot be stored, and why."""
    where = f"result{path}"
    if depth > _MAX_DEPTH:
        return f"{where[:200]}…: nested deeper than {_MAX_DEPTH} levels"
    match value:
        case dict():
            for key, part in value.items():
                if type(key) is not str:
                    return f"{where}: the key {key!r} is of type {type(key).__name__}, JSON keys are text"
                if fault := _find_fault(part, f"{path}{_step(key)}", depth + 1):
                    return fault
            return None
        case LazyList():
            try:
                return _find_fault(list(value), path, depth)
            except ActionError as error:  # its elements are rows of a table without a JSON form
                return f"{where}: {error}"
        case list() | tuple() if not hasattr(value, "_fields"):  # a named tuple is a leaf that is refused
            faults = (_find_fault(part, f"{path}[{index}]", depth + 1) for index, part in enumerate(value))
            return next((fault for fault in faults if fault), None)
        case int() if not -(2**63) <= value < 2**64:
            return f"{where}: an integer beyond 64 bits; return it as text"
        case _:
            return _fault_of_leaf(value, where)


def _fault_of_leaf(value: Any, where: str) -> str | None:
    try:
        orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError as error:
        if isinstance(error.__cause__, ActionError):
            return f"{where}: {error.__cause__}"
        kind = type(value)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        hint = "; it is no valid Unicode" if isinstance(value, str) else ""
        return f"{where}: a value of type {name} cannot be stored{hint}; return JSON values"
    return None


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
