"""The items of a fan-out: encoded once, where their list is, and cut by ranges without copying."""

import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.expression import LazyList

__all__ = ["EncodedItems", "Items", "as_items"]

_BLOCK_BYTES = 4 * 1024 * 1024
"""Of texts that are encoded or decoded at a time: a chunk that runs out of time has not decoded all its items."""


@runtime_checkable
class Items(Protocol):
    """The items of a fan-out, wherever they are."""

    def __len__(self) -> int:
        """How many there are."""

    def take(self, indexes: Sequence[int]) -> Iterable[Any]:
        """The decoded items of a range, or of single indexes."""

    def to_shared(self) -> Self:
        """The same in buffers that other processes map instead of copying."""


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """Items as JSON texts behind each other, each with a comma at its end.

    So a range of them is a slice of one buffer, and decoding it is one call on ``[`` slice ``]`` (0.15 µs a small
    item; one call per item costs 0.4 µs).

    Attributes:
        data: the texts: bytes, or a NumPy uint8 array that is mapped from shared memory.
        offsets: n + 1 ascending positions in ``data``: a list, or a NumPy int64 array.
    """

    data: Any = field(repr=False)
    offsets: Any = field(repr=False)

    @classmethod
    def of(cls, values: Iterable[Any]) -> "EncodedItems":
        """Encode a list.

        Raises:
            UnstorableResultError: an item is no JSON value.
        """
        written, parts, offsets, position, written_to = io.BytesIO(), [], [0], 0, 0
        for value in values:
            part = encode(value)
            parts.append(part)
            position += len(part) + 1
            offsets.append(position)
            if position - written_to > _BLOCK_BYTES:  # the parts beside the whole would take as much again
                written.write(b",".join([*parts, b""]))
                parts, written_to = [], position
        written.write(b",".join([*parts, b""]) if parts else b"")
        return cls(written.getvalue(), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def to_shared(self) -> "EncodedItems":
        """The same as NumPy arrays, which other processes map instead of copying."""
        import numpy as np  # noqa: PLC0415  a run without Ray never needs it

        return EncodedItems(np.frombuffer(self.data, dtype=np.uint8), np.asarray(self.offsets, dtype=np.int64))

    def take(self, indexes: Sequence[int]) -> Iterator[Any]:
        """The decoded items of a range, or of single indexes; a block of them at a time."""
        if isinstance(indexes, range) and indexes.step == 1:
            start = indexes.start
            while start < indexes.stop:
                end = bisect_right(self.offsets, int(self.offsets[start]) + _BLOCK_BYTES, start + 2, indexes.stop + 1)
                yield from self._decode_range(start, end - 1)
                start = end - 1
        else:
            for index in indexes:
                yield from self._decode_range(index, index + 1)

    def _decode_range(self, start: int, stop: int) -> list[Any]:
        text = memoryview(self.data)[int(self.offsets[start]) : int(self.offsets[stop]) - 1]
        decoded: list[Any] = decode(b"".join((b"[", text, b"]")))
        return decoded


def as_items(value: Any, batch_size: int | None) -> Sequence[Any]:
    """The list that ``with_items`` gave, cut into lists of ``batch_size``; a value that is no list is one item."""
    items: Sequence[Any] = value if isinstance(value, list | LazyList) else [value]
    if batch_size is None:
        return items
    return [list(items[start : start + batch_size]) for start in range(0, len(items), batch_size)]
