"""Rows that outlive their cluster: small ones as JSON for the journal, others as Arrow IPC in the store of results."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from attune_ray.dispatch.worker.attempt import Summary
from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.dispatch.worker.rows import AnyRows, BatchRows, Rows
from attune_ray.dispatch.worker.stored import LocalRows, RowSource
from attune_ray.errors import ResultLostError
from attune_ray.values.keeping import Keeping, ResultStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KeptRows", "found", "is_inline", "kept", "kept_inline", "source_of"]

_KEY = b"attune"
"""Of the schema's metadata: what is no column."""
_SUMMARY = ("n_succeeded", "n_failed", "retryable", "retry_after_s", "elapsed_s", "worker", "secrets", "n_cached")


def is_inline(rows: Rows, keeping: Keeping) -> bool:
    """Whether rows are small enough for the journal."""
    return rows.native is None and rows.n_bytes + sum(map(len, rows.item.values())) < keeping.inline_bytes


def kept(rows: Rows, summary: Summary, name: str, keeping: Keeping) -> Summary:
    """Keep the rows of a chunk; the summary then says where.

    Raises:
        StateError: they cannot be kept.
    """
    if is_inline(rows, keeping):
        return kept_inline(rows, summary)
    content = _content(rows, summary)
    keeping.results.write(name, content)
    return summary._replace(saved=encode({"file": name, "size": content.size, "crc": zlib.crc32(content)}))


def kept_inline(rows: Rows, summary: Summary) -> Summary:
    """The same for rows that go into the journal, whatever their size."""
    return summary._replace(saved=orjson.dumps({"rows": _to_json(rows)}))


def source_of(saved: Mapping[str, Any], results: ResultStore) -> RowSource:
    """The rows of a chunk, as ``saved`` of its summary tells; a file is read when they are opened."""
    if "rows" in saved:
        return LocalRows(_from_json(saved["rows"]))
    return KeptRows(results, saved["file"], saved["size"], saved["crc"])


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows in the store of results.

    Attributes:
        size_bytes, checksum: of the content, CRC-32.
    """

    results: ResultStore
    name: str
    size_bytes: int
    checksum: int

    @property
    def key(self) -> bytes | None:
        """Its name and checksum."""
        return b"%s:%d" % (self.name.encode(), self.checksum)

    def open(self) -> AnyRows:
        """Map the rows.

        Raises:
            ResultLostError: they are gone, or are not what was kept.
            StateError: they cannot be read.
        """
        content = self.results.read(self.name)
        if len(content) != self.size_bytes or zlib.crc32(content) != self.checksum:
            raise ResultLostError(f"the results in {self.name} are damaged: their size or checksum is not what it was")
        return _rows(content)[0]


def found(name: str, results: ResultStore) -> Summary | None:
    """What a chunk has kept in the store before its coordinator heard of it; None: nothing that is whole."""
    try:
        content = results.read(name)
        told = _rows(content)[1]
    except (ResultLostError, ValueError, KeyError, OSError):
        return None
    saved = encode({"file": name, "size": len(content), "crc": zlib.crc32(content)})
    return Summary(**{**told, "retryable": tuple(told["retryable"]), "secrets": tuple(told["secrets"])}, saved=saved)


def _to_json(rows: Rows) -> dict[str, Any]:
    index = rows.index
    return {
        "index": [index.start, index.stop] if isinstance(index, range) else {"each": list(index)},
        "attempt": rows.attempt,
        "status": rows.status,
        "data": [None if text is None else orjson.Fragment(text) for text in rows.data],
        "has": [text is not None for text in rows.data],
        "error": rows.error,
        "us": rows.duration_us,
        "item": {str(row): orjson.Fragment(text) for row, text in rows.item.items()},
    }


def _from_json(told: Mapping[str, Any]) -> Rows:
    index = told["index"]
    return Rows(
        index=range(*index) if isinstance(index, list) else tuple(index["each"]),
        attempt=told["attempt"],
        status=told["status"],
        data=[encode(value) if has else None for value, has in zip(told["data"], told["has"], strict=True)],
        error=told["error"],
        duration_us=told["us"],
        item={int(row): encode(item) for row, item in told["item"].items()},
    )


def _content(rows: Rows, summary: Summary) -> "pa.Buffer":
    """An Arrow IPC stream of one table: the rows; or the table or array of a plain task, beside its row."""
    import pyarrow as pa  # noqa: PLC0415  heavy: a run whose results are small never needs it

    told: dict[str, Any] = {"summary": {name: getattr(summary, name) for name in _SUMMARY}}
    if rows.native is None:
        table = pa.Table.from_batches([rows.to_batch()])
    elif isinstance(rows.native, pa.Table):
        table = rows.native
        told["row"] = _to_json(rows)
    else:
        table = pa.table({"array": rows.native.reshape(-1)})
        told["row"], told["shape"] = _to_json(rows), rows.native.shape
    schema = table.schema.with_metadata({**(table.schema.metadata or {}), _KEY: orjson.dumps(told)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table.cast(schema))
    return sink.getvalue()


def _rows(content: Any) -> tuple[AnyRows, dict[str, Any]]:
    """The rows of a content, and the summary of their chunk.

    Raises:
        ValueError, KeyError: it is none of ours.
    """
    import pyarrow as pa  # noqa: PLC0415

    table = pa.ipc.open_stream(pa.py_buffer(content)).read_all()
    metadata = dict(table.schema.metadata or {})
    told = decode(metadata.pop(_KEY))
    table = table.replace_schema_metadata(metadata or None)
    if "row" not in told:
        [batch] = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return BatchRows(batch), told["summary"]
    rows = _from_json(told["row"])
    rows.native = table
    if "shape" in told:
        array = table.column("array").combine_chunks().to_numpy(zero_copy_only=False).reshape(told["shape"])
        array.flags.writeable = False
        rows.native = array
    return rows, told["summary"]
