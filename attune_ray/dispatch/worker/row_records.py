"""Rows that ended, as records behind each other: what is left of a chunk when its process dies."""

import pickle
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from attune_ray.dispatch.worker.rows import FAILED, SUCCEEDED, Rows

__all__ = ["FailedRow", "Record", "RowSink", "SavedRows", "packed", "packed_failure", "rows_of", "unpacked"]

_ROW = struct.Struct("<BxxxIIIQ")
"""Status + 1, row, checksum, bytes, microseconds; zeros where nothing was written."""
Record = tuple[int, int, bytes, int]
"""Row, status, bytes and microseconds."""


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that failed.

    Attributes:
        data: the stored result object of a plain task, encoded; ``item``: that of a fan-out, encoded.
        may_retry: whether another attempt may be made; ``retry_after_s`` from now.
    """

    data: bytes | None
    item: bytes | None
    error: str | None
    may_retry: bool
    retry_after_s: float | None
    secrets: tuple[str, ...]


class RowSink(Protocol):
    """Is told of rows as they end, and keeps them beyond the life of this process."""

    def begun(self, n_rows: int) -> None:
        """So many items, the first ones, have been begun."""

    def accounted(self) -> None:
        """The process ends itself because of items that have been told of: no other has killed it."""

    def succeeded(self, row: int, data: bytes, duration_us: int) -> None:
        """A row has ended well."""

    def failed(self, row: int, failed: FailedRow, duration_us: int) -> None:
        """A row has failed."""


@dataclass(frozen=True, slots=True)
class SavedRows:
    """What a dead worker left of a chunk.

    Attributes:
        rows: of the items that had ended, in the order in which they ended.
        n_begun: so many items, the first ones, were begun; None: not known.
        blameless: the worker has died of an item that is among the rows.
        retryable: indexes of failed items that may be tried again; ``retry_after_s`` from now.
    """

    rows: Rows
    n_begun: int | None
    retryable: tuple[int, ...] = ()
    retry_after_s: float | None = None
    secrets: tuple[str, ...] = ()
    blameless: bool = False


def packed(row: int, data: bytes, duration_us: int, kind: int = SUCCEEDED) -> bytes:
    """A record of a row that has ended."""
    return _ROW.pack(kind + 1, row, zlib.crc32(data, row), len(data), duration_us) + data


def packed_failure(row: int, failed: FailedRow, duration_us: int) -> bytes:
    """A record of a row that has failed."""
    return packed(row, pickle.dumps(failed), duration_us, FAILED)


def unpacked(content: bytes, position: int) -> Iterator[tuple[Record, int]]:
    """Each whole record from a position on, and where it ends."""
    while position + _ROW.size <= len(content):
        kind, row, checksum, n_bytes, duration_us = _ROW.unpack_from(content, position)
        position += _ROW.size
        data = content[position : position + n_bytes]
        if kind not in {SUCCEEDED + 1, FAILED + 1} or not data or zlib.crc32(data, row) != checksum:
            return  # the end, or what was being written: a row has bytes
        position += n_bytes
        yield (row, kind - 1, data, duration_us), position


def rows_of(
    records: Iterable[Record],
    indexes: range | tuple[int, ...],
    attempt: int,
    *,
    n_begun: int | None = None,
    blameless: bool = False,
) -> SavedRows:
    """The rows of a chunk of these items; otherwise as of SavedRows."""
    written = {row: (kind, data, us) for row, kind, data, us in records}
    failed = {row: _failed_row(data) for row, (kind, data, _) in written.items() if kind == FAILED}
    delays_s = [row.retry_after_s for row in failed.values() if row.retry_after_s is not None]
    return SavedRows(
        rows=Rows(
            index=_as_range(indexes, list(written)),
            attempt=attempt,
            status=[kind for kind, _, _ in written.values()],
            data=[failed[row].data if row in failed else data for row, (_, data, _) in written.items()],
            error=[failed[row].error if row in failed else None for row in written],
            duration_us=[us for _, _, us in written.values()],
            item={place: item for place, row in enumerate(written) if row in failed and (item := failed[row].item)},
        ),
        n_begun=n_begun,
        retryable=tuple(indexes[row] for row, found in failed.items() if found.may_retry),
        retry_after_s=max(delays_s, default=None),
        secrets=tuple({text for row in failed.values() for text in row.secrets}),
        blameless=blameless,
    )


def _failed_row(data: bytes) -> FailedRow:
    found: FailedRow = pickle.loads(data)  # noqa: S301  our own worker's, in a folder that is ours alone
    return found


def _as_range(indexes: range | tuple[int, ...], rows: list[int]) -> Any:
    """The indexes of some rows: a range where they are the first ones."""
    if isinstance(indexes, range) and rows == list(range(len(rows))):
        return indexes[: len(rows)]
    return tuple(indexes[row] for row in rows)
