"""Tables and arrays that actions return and take as they are; expressions read them as lists and objects."""

import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any, overload

from attune_ray.dispatch.worker.arrow_rows import rows_of, values_of
from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.errors import PermanentError, UnstorableResultError
from attune_ray.expression import LazyList

__all__ = ["Columns", "NativeList", "as_batch", "as_native", "copied", "view_of"]

_MOST_BYTES = 8
_NO_INT64 = 2**63
_ARRAY_KINDS = "biuf"
"""NumPy's booleans, integers and floats, of 64 bits at the most: what a buffer holds and JSON has."""
_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
"""JSON's own words for what stands in a column."""


class NativeList(LazyList):
    """A NumPy array, a column of a table or the rows of one, as a list whose elements are decoded when they are read.

    Attributes:
        source: the array, the column or the table.
    """

    __slots__ = ("__dict__", "_name", "source")

    def __init__(self, source: Any, name: str = "") -> None:
        self.source = source
        self._name = name

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._values[index]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range: there are {len(self)}")
        place = index % len(self)
        return self._values[place] if "_values" in self.__dict__ else self._read(place, place + 1)[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | LazyList) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a list has none either

    def __repr__(self) -> str:
        return f"<NativeList of {len(self)}>"

    @cached_property
    def _values(self) -> list[Any]:
        return self._read(0, len(self))

    def _read(self, start: int, stop: int) -> list[Any]:
        import pyarrow as pa  # noqa: PLC0415  heavy

        if isinstance(self.source, pa.Table):
            return rows_of(self.source.slice(start, stop - start))
        if isinstance(self.source, pa.ChunkedArray):
            return values_of(self.source.slice(start, stop - start), self._name)
        found: list[Any] = decode(encode(self.source[start:stop]))
        return found


class Columns(dict[str, Any]):
    """A table as expressions see it: an object, column → list.

    Attributes:
        table: the table itself.
    """

    __slots__ = ("table",)

    def __init__(self, table: Any) -> None:
        super().__init__(
            (name, NativeList(column, name)) for name, column in zip(table.column_names, table.columns, strict=True)
        )
        self.table = table


def view_of(native: Any) -> Columns | NativeList:
    """What expressions see of a stored table or array."""
    return Columns(native) if hasattr(native, "column_names") else NativeList(native)


def as_native(value: Any) -> Any:
    """What is stored as it is of what an action returned: an Arrow table, a NumPy array; None: it is stored as JSON.

    Raises:
        UnstorableResultError: two columns of a table have the same name.
    """
    table = _as_table(value)
    if table is not None:
        if len(set(table.column_names)) < len(table.column_names):
            raise UnstorableResultError("result: two columns of the table have the same name")
        is_part = table.get_total_buffer_size() > 2 * table.nbytes  # a slice would travel with all that it was cut from
        return copied(table) if is_part else table
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray) or isinstance(value, numpy.ma.MaskedArray):
        return None  # a buffer has no place for a mask
    if not value.ndim or value.dtype.kind not in _ARRAY_KINDS:
        return None
    if value.dtype.itemsize > _MOST_BYTES or not value.dtype.isnative:
        return None
    array = numpy.ascontiguousarray(value).view()
    array.flags.writeable = False  # whoever takes it shares it
    return array


def _as_table(value: Any) -> Any:
    if not {"pyarrow", "pandas"} & sys.modules.keys():
        return None  # nothing was loaded that a table could be made with
    import pyarrow as pa  # noqa: PLC0415  heavy

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if (pd := sys.modules.get("pandas")) is None or not isinstance(value, pd.DataFrame):
        return None
    try:
        return pa.Table.from_pandas(value, preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UnstorableResultError(f"result: the data frame is no table: {error}") from error


def copied(native: Any) -> Any:
    """The same table or array in memory of this process."""
    import pyarrow as pa  # noqa: PLC0415  heavy

    if not isinstance(native, pa.Table):
        return native.copy()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, native.schema) as writer:
        writer.write_table(native)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def as_batch(item: Any) -> Any:
    """An item with ``batch_size`` as one Arrow record batch: rows of a table as they are, others made into columns.

    Rows that are no objects (lines, numbers) are the one column ``item``.

    Raises:
        PermanentError: the rows do not make a batch: the values of a column are of different types, or too large.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy

    if isinstance(item, NativeList):
        return _one_batch(item.source)
    rows = item if all(isinstance(row, dict) for row in item) else [{"item": row} for row in item]
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:  # the number of rows is told by columns alone
        return pa.RecordBatch.from_struct_array(pa.array(rows, pa.struct([])))
    return pa.RecordBatch.from_arrays([_column(name, [row.get(name) for row in rows]) for name in names], list(names))


def _one_batch(table: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415  heavy

    try:
        batches = table.combine_chunks().to_batches()
    except pa.ArrowException as error:
        raise PermanentError(f"the rows of the batch do not fit into one record batch: {error}") from error
    if len(batches) > 1:  # the texts of a column have 32-bit offsets
        raise PermanentError("a column of the batch is larger than 2 GiB; make batch_size smaller")
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _column(name: str, values: list[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415  heavy

    told = f"the values of {name!r} in the batch do not make a column"
    try:
        column = pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise PermanentError(f"{told}: {_mixture(values) or _excess(values) or error}") from error
    if pa.types.is_floating(column.type) and any(type(value) is bool for value in values):  # Arrow takes true for 1.0
        raise PermanentError(f"{told}: {_mixture(values)}")
    return column


def _excess(values: list[Any]) -> str:
    """The first row with a number above Arrow's signed integers; nothing where none has one."""
    row = next((row for row, value in enumerate(values, 1) if _exceeds(value)), None)
    return f"the number in row {row} is above 2**63 - 1, where Arrow's integers end; make it a text" if row else ""


def _exceeds(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(_exceeds, value.values() if isinstance(value, dict) else value))
    return type(value) is int and value >= _NO_INT64


def _mixture(values: list[Any]) -> str:
    """The first two kinds of values among some, and the first row of each; nothing where there is but one."""
    first: dict[str, int] = {}
    for row, value in enumerate(values, 1):
        if value is not None:
            first.setdefault(_KINDS.get(type(value), type(value).__name__), row)
    return " and ".join(f"{kind} in row {row}" for kind, row in list(first.items())[:2]) if len(first) > 1 else ""
