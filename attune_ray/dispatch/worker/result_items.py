"""The results of an earlier fan-out as items: read where they are, by the chunks that run them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from attune_ray.dispatch.worker.results import Part, ResultList

__all__ = ["ResultItems"]


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

    def take(self, indexes: Sequence[int]) -> list[Any]:
        """The decoded items of a range, or of single indexes."""
        if isinstance(indexes, range) and indexes.step == 1:
            return self._results.between(indexes.start, indexes.stop)
        return [self._results[index] for index in indexes]

    @cached_property
    def _results(self) -> ResultList:
        return ResultList(self.parts, self.n_items)
