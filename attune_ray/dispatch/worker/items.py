"""The items of a fan-out: encoded once, where their list is, and cut by ranges without copying."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.expression import LazyList

__all__ = ["EncodedItems", "Items", "as_items"]


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
        parts, offsets, position = [], [0], 0
        for value in values:
            part = encode(value)
            parts.append(part)
            position += len(part) + 1
            offsets.append(position)
        return cls(b",".join([*parts, b""]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def to_shared(self) -> "EncodedItems":
        """The same as NumPy arrays, which other processes map instead of copying."""
        import numpy as np  # noqa: PLC0415  a run without Ray never needs it

        return EncodedItems(np.frombuffer(self.data, dtype=np.uint8), np.asarray(self.offsets, dtype=np.int64))

    def take(self, indexes: Sequence[int]) -> list[Any]:
        """The decoded items of a range, or of single indexes."""
        if isinstance(indexes, range) and indexes.step == 1:
            return self._decode_range(indexes.start, indexes.stop)
        return [self._decode_range(index, index + 1)[0] for index in indexes]

    def _decode_range(self, start: int, stop: int) -> list[Any]:
        if start >= stop:
            return []
        text = memoryview(self.data)[int(self.offsets[start]) : int(self.offsets[stop]) - 1]
        decoded: list[Any] = decode(b"".join((b"[", text, b"]")))
        return decoded


def as_items(value: Any, batch_size: int | None) -> Sequence[Any]:
    """The list that ``with_items`` gave, cut into lists of ``batch_size``; a value that is no list is one item."""
    items: Sequence[Any] = value if isinstance(value, list | LazyList) else [value]
    if batch_size is None:
        return items
    return [list(items[start : start + batch_size]) for start in range(0, len(items), batch_size)]
