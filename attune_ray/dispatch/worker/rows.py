"""What became of the items of a chunk: columns, one row an item."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attune_ray.dispatch.worker.encoding import decode
from attune_ray.dispatch.worker.native import copied, view_of
from attune_ray.dispatch.worker.shelf import shelved

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FAILED", "SUCCEEDED", "AnyRows", "BatchRows", "Failure", "Rows"]

Failure = tuple[int, str, bytes | None]
"""Index, error, and the JSON of the item of a failed row; None: it has none, or could not be read."""

SUCCEEDED, FAILED = 0, 1
"""The values of the ``status`` column."""


@dataclass(slots=True)
class Rows:
    """The results of a chunk by column, in the order of its items.

    Attributes:
        index: of the item in its fan-out; a range where the chunk was one.
        status: SUCCEEDED or FAILED.
        data: JSON of what the action returned; None for other rows.
        error: why a row failed; None for other rows.
        attempt: the number of the attempt that made the row, one for the whole chunk.
        duration_us: microseconds that the action took.
        item: row → JSON of its item, of failed rows of a fan-out: the result lists them.
        native: the table or array that is the data of a plain task's one row, and not in its JSON; None: there is none.
    """

    index: Sequence[int]
    attempt: int = 1
    status: list[int] = field(default_factory=list)
    data: list[bytes | None] = field(default_factory=list, repr=False)
    error: list[str | None] = field(default_factory=list)
    duration_us: list[int] = field(default_factory=list)
    item: dict[int, bytes] = field(default_factory=dict, repr=False)
    native: Any = field(default=None, repr=False)

    def first(self, n_rows: int) -> "Rows":
        """The first rows alone."""
        if n_rows == len(self.status):
            return self
        return Rows(
            self.index[:n_rows],
            self.attempt,
            self.status[:n_rows],
            self.data[:n_rows],
            self.error[:n_rows],
            self.duration_us[:n_rows],
            {row: item for row, item in self.item.items() if row < n_rows},
        )

    def value(self, row: int) -> Any:
        """The decoded value of a row; None where it did not succeed."""
        encoded = self.data[row]
        value: Any = None if encoded is None else decode(encoded)
        return value if self.native is None else {**value, "data": view_of(self.native)}

    def texts(self, start: int, stop: int) -> list[bytes | None]:
        """The encoded values of some rows."""
        return self.data[start:stop]

    def failures(self) -> list[Failure]:
        """Each failed row."""
        rows = enumerate(zip(self.index, self.status, self.error, strict=True))
        return [(index, error or "", self.item.get(row)) for row, (index, status, error) in rows if status == FAILED]

    @property
    def n_bytes(self) -> int:
        """Bytes of the encoded values."""
        n_bytes = sum(len(encoded) for encoded in self.data if encoded is not None)
        return n_bytes if self.native is None else n_bytes + int(self.native.nbytes)

    def detached(self) -> "Rows":
        """Itself, it lives in this process; but for a table or array, whose buffers may be mapped."""
        return self if self.native is None else replace(self, native=copied(self.native))

    def to_batch(self) -> "pa.RecordBatch | Rows":
        """The same as one Arrow record batch: what leaves the worker; itself where its data is a table or array."""
        if self.native is not None:
            return self
        import numpy as np  # noqa: PLC0415  a run without Ray never needs either
        import pyarrow as pa  # noqa: PLC0415

        n_rows = len(self.status)
        return pa.record_batch(
            {
                "index": pa.array(np.asarray(self.index, dtype=np.int64)),
                "status": pa.array(np.asarray(self.status, dtype=np.uint8)),
                "data": _texts(self.data),
                "error": pa.array(self.error, type=pa.large_string()),
                "attempt": pa.array(np.full(n_rows, self.attempt, dtype=np.uint8)),
                "duration_us": pa.array(np.asarray(self.duration_us, dtype=np.uint64)),
                "item": pa.array(list(map(self.item.get, range(n_rows))), type=pa.large_binary())
                if self.item
                else pa.nulls(n_rows, pa.large_binary()),
            }
        )


def _texts(encoded: list[bytes | None]) -> Any:
    """Encoded values as a column; that of a plain task, which may be of any size, without copying it."""
    import numpy as np  # noqa: PLC0415  as above
    import pyarrow as pa  # noqa: PLC0415

    if len(encoded) == 1 and encoded[0] is not None:
        offsets = np.asarray([0, len(encoded[0])], dtype=np.int64)
        return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(encoded[0])])
    return pa.array(encoded, type=pa.large_binary())


class BatchRows:
    """The rows of an Arrow record batch; nothing is copied or decoded until it is read."""

    __slots__ = ("batch",)

    def __init__(self, batch: "pa.RecordBatch") -> None:
        self.batch = batch

    def value(self, row: int) -> Any:
        """The decoded value of a row; None where it did not succeed."""
        import numpy as np  # noqa: PLC0415  where there are batches, it is there

        cell = self.batch.column("data").slice(row, 1)
        if cell.null_count:
            return None
        _, offsets, texts = cell.buffers()  # an Arrow scalar would be a copy
        start, stop = np.frombuffer(offsets, dtype=np.int64)[cell.offset : cell.offset + 2].tolist()
        return decode(memoryview(texts)[start:stop])

    def texts(self, start: int, stop: int) -> list[bytes | None]:
        """The encoded values of some rows."""
        found: list[bytes | None] = self.batch.column("data").slice(start, stop - start).to_pylist()
        return found

    def failures(self) -> list[Failure]:
        """Each failed row."""
        columns = (self.batch.column(name).to_pylist() for name in ("index", "status", "error", "item"))
        return [(index, error, item) for index, status, error, item in zip(*columns, strict=True) if status == FAILED]

    @property
    def n_bytes(self) -> int:
        """Bytes of the encoded values."""
        import pyarrow.compute as pc  # noqa: PLC0415  heavy

        return int(pc.sum(pc.binary_length(self.batch.column("data"))).as_py() or 0)

    def detached(self) -> "BatchRows":
        """The same in memory of this process, for when the object store is gone."""
        return BatchRows(*shelved([self.batch]))


AnyRows = Rows | BatchRows
