"""The results of an earlier fan-out as items: read where they are, by the chunks that run them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from attune_ray.dispatch.worker.results import Part, ResultList

__all__ = ["ResultItems"]

_DECODED_ROWS = 256
"""Rows that are decoded at a time: a chunk that runs out of time has not decoded all its items."""


@dataclass(frozen=True)
class ResultItems:
    """Rows of the chunks of an earlier fan-out; not one of them is copied, or passes through the coordinator.

    Attributes:
        parts: as of ``FanOutResult``.
        n_items: rows of all parts, and those that are null because their items did not run.
    """

    parts: tuple[Part, ...] = field(repr=False)
    n_items: int

    def __len__(self) -> int:
        return self.n_items

    def to_shared(self) -> "ResultItems":
        """Itself: it refers to what is shared."""
        return self

    def take(self, indexes: Sequence[int]) -> Iterator[Any]:
        """The decoded items of a range, or of single indexes; some at a time."""
        if isinstance(indexes, range) and indexes.step == 1:
            for start in range(indexes.start, indexes.stop, _DECODED_ROWS):
                yield from self._results.between(start, min(start + _DECODED_ROWS, indexes.stop))
        else:
            for index in indexes:
                yield self._results[index]

    @cached_property
    def _results(self) -> ResultList:
        return ResultList(self.parts, self.n_items)
