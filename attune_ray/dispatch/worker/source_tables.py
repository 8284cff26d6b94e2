"""Files whose items are rows of tables (parquet, Arrow IPC), or the elements of one JSON list."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from attune_ray.dispatch.worker.arrow_rows import rows_of
from attune_ray.dispatch.worker.source_files import SourceFile, changed, open_bytes, reading, require_unchanged
from attune_ray.dispatch.worker.source_lines import Segment, require_columns, require_distinct
from attune_ray.errors import ActionError, PermanentError
from attune_ray.values.item_source import FileFormat

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["elements_of_json", "index_json", "index_table", "joined", "rows_of_table", "table_of"]

_MAX_JSON_BYTES = 256 * 1024 * 1024
"""Of a file that is one JSON list: it is decoded whole, which takes about five times as much memory."""
_DECODED_ROWS = 1_024
"""Rows that are decoded at a time."""
_MAGIC = b"ARROW1"


def index_table(file: SourceFile, columns: tuple[str, ...]) -> Iterator[Segment]:
    """The row groups of a parquet file, or the record batches of an Arrow file: parts that are read at once.

    Raises:
        ActionError: it cannot be read, or two of its columns have one name.
        UsageError: it has not all of the columns that are asked for.
    """
    with reading(file), open_bytes(file) as opened:
        schema, counts = _counts(file, opened)
        require_distinct(file, schema.names)
        require_columns(file, schema.names, columns)
        first = 1
        for number, n_rows in enumerate(counts):
            if n_rows:
                yield Segment(start=number, stop=number + 1, n_items=n_rows, first_line=first)
            first += n_rows
        require_unchanged(file)


def rows_of_table(file: SourceFile, columns: tuple[str, ...], segment: Segment, start: int, stop: int) -> Iterator[Any]:
    """The rows ``start`` to ``stop`` of a segment as objects.

    Raises:
        ActionError: the file cannot be read, or has changed, or a column has no JSON form.
    """
    table = table_of(file, columns, segment)
    for first in range(start, stop, _DECODED_ROWS):
        with reading(file):
            try:
                rows = rows_of(table.slice(first, min(_DECODED_ROWS, stop - first)))
            except ActionError as error:
                raise PermanentError(f"{file.shown}: {error}; choose others by `columns`") from None
        yield from rows


@functools.lru_cache(maxsize=1)  # a row group may take hundreds of MB
def table_of(file: SourceFile, columns: tuple[str, ...], segment: Segment) -> "pa.Table":
    """A segment as a table, with the columns that are asked for in their order.

    Raises:
        ActionError: the file cannot be read, or has changed.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy

    with reading(file), open_bytes(file) as opened:
        if file.format is FileFormat.PARQUET:
            table = _parquet(opened).read_row_group(segment.start, columns=list(columns) or None)
        elif _has_footer(opened):
            table = pa.Table.from_batches([pa.ipc.open_file(opened).get_batch(segment.start)])
        else:
            batches = iter(pa.ipc.open_stream(opened))
            table = pa.Table.from_batches([next(batch for at, batch in enumerate(batches) if at == segment.start)])
        require_unchanged(file)
    if table.num_rows != segment.n_items:
        raise changed(file)
    return table.select(list(columns)) if columns else table


def joined(parts: "list[tuple[SourceFile, pa.Table]]") -> "pa.Table":
    """Tables of files behind each other, without copying; a column that one of them has not is null there.

    Raises:
        PermanentError: a column has different types in them.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy

    try:
        return pa.concat_tables([table for _, table in parts], promote_options="default")
    except pa.ArrowException as error:
        told = _disagreement(parts) or str(error)
        raise PermanentError(f"the files of a batch do not make one table: {told}") from error


def _disagreement(parts: "list[tuple[SourceFile, pa.Table]]") -> str:
    """The first column whose types in two files are not reconciled, and these."""
    import pyarrow as pa  # noqa: PLC0415  heavy

    first: dict[str, tuple[SourceFile, pa.Field]] = {}
    for file, table in parts:
        for column in table.schema:
            before, other = first.get(column.name, (file, column))
            try:
                [both] = pa.unify_schemas([pa.schema([other]), pa.schema([column])])
            except pa.ArrowException:
                return f"{column.name!r} is {other.type} in {before.shown} and {column.type} in {file.shown}"
            first[column.name] = (before if both.type == other.type else file, both)
    return ""


def index_json(file: SourceFile) -> Iterator[Segment]:
    """A JSON file as its one segment.

    Raises:
        ActionError: it cannot be read, is too large, or holds no list.
    """
    n_items = len(_elements(file))
    if n_items:
        yield Segment(start=0, stop=1, n_items=n_items, first_line=1)


def elements_of_json(file: SourceFile, start: int, stop: int) -> Iterator[Any]:
    """The elements ``start`` to ``stop`` of the list that a file is.

    Raises:
        ActionError: it cannot be read, or has changed.
    """
    return iter(_elements(file)[start:stop])


@functools.lru_cache(maxsize=1)
def _elements(file: SourceFile) -> list[Any]:
    with reading(file), open_bytes(file) as opened:
        encoded = opened.read(_MAX_JSON_BYTES + 1)
        require_unchanged(file)
    if len(encoded) > _MAX_JSON_BYTES:
        most = _MAX_JSON_BYTES >> 20
        raise ActionError(f"{file.shown}: a JSON list is read whole, {most} MiB at the most; write it as ndjson")
    try:
        found = orjson.loads(encoded.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise ActionError(f"{file.shown}:{error.lineno}:{error.colno}: it is not valid JSON: {error.msg}") from None
    if not isinstance(found, list):
        raise ActionError(f"{file.shown}: it holds one value that is no list; its items are the elements of a list")
    return found


def _counts(file: SourceFile, opened: Any) -> tuple[Any, list[int]]:
    """The schema, and the number of rows of each part."""
    import pyarrow as pa  # noqa: PLC0415  heavy

    if file.format is FileFormat.PARQUET:
        parquet = _parquet(opened)
        groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
        return parquet.schema_arrow, groups
    if _has_footer(opened):
        schema = pa.ipc.open_file(opened).schema
        first_alone = pa.ipc.IpcReadOptions(
            included_fields=[0][: len(schema)]
        )  # a batch's length costs one column, not all
        reader = pa.ipc.open_file(opened, options=first_alone)
        return schema, [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
    stream = pa.ipc.open_stream(opened)
    return stream.schema, [batch.num_rows for batch in stream]


def _parquet(opened: Any) -> Any:
    import pyarrow.parquet as pq  # noqa: PLC0415  heavy

    return pq.ParquetFile(opened)


def _has_footer(opened: Any) -> bool:
    """Whether it is Arrow's file format, which is read at any place; else the stream format."""
    magic = opened.read(len(_MAGIC))
    opened.seek(0)
    return bool(magic == _MAGIC)
