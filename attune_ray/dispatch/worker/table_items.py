"""The rows of a stored table as items, and items that are handed out as batches of tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attune_ray.dispatch.worker.arrow_rows import rows_of
from attune_ray.dispatch.worker.items import Items
from attune_ray.dispatch.worker.native import NativeList
from attune_ray.dispatch.worker.source_lines import Unreadable
from attune_ray.dispatch.worker.sources import FileItems
from attune_ray.errors import ActionError, PermanentError

__all__ = ["ItemBatches", "TableItems"]

_DECODED_ROWS = 1_024
"""Rows that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class TableItems:
    """The rows of an Arrow table, or batches of them; decoded when they are asked for.

    Attributes:
        table: its buffers are mapped where it is in the object store; ranges of it are slices.
        batch_size: rows of an item; None: an item is a row.
    """

    table: Any
    batch_size: int | None = None

    def __len__(self) -> int:
        n_rows = int(self.table.num_rows)
        return n_rows if self.batch_size is None else -(-n_rows // self.batch_size)

    def to_shared(self) -> "TableItems":
        """Itself: Arrow's buffers are mapped by other processes as they are."""
        return self

    def take(self, indexes: Sequence[int]) -> Iterator[Any]:
        """The items of a range, or of single indexes; one that has no JSON form is ``Unreadable``."""
        if self.batch_size is not None:
            for batch in self.take_tables(indexes):
                rows = _rows(batch.source)
                yield next((row for row in rows if isinstance(row, Unreadable)), rows)
        elif isinstance(indexes, range) and indexes.step == 1:
            for start in range(indexes.start, indexes.stop, _DECODED_ROWS):
                yield from _rows(self.table.slice(start, min(_DECODED_ROWS, indexes.stop - start)))
        else:
            for index in indexes:
                yield from _rows(self.table.slice(index, 1))

    def take_tables(self, indexes: Sequence[int]) -> Iterator[NativeList]:
        """The items of a range, or of single indexes, as slices of the table."""
        size = self.batch_size or 1
        for index in indexes:
            yield NativeList(self.table.slice(index * size, size))


def _rows(table: Any) -> list[Any]:
    """The rows of a table as objects, or as ``Unreadable`` each where one has no JSON form.

    Then they are decoded one by one, so that it does not depend on the cutting of chunks which rows fail.
    """
    try:
        return rows_of(table)
    except ActionError as error:
        if table.num_rows == 1:
            return [Unreadable(PermanentError(str(error)))]  # another attempt would find the same
    return [row for number in range(table.num_rows) for row in _rows(table.slice(number, 1))]


@dataclass(frozen=True, slots=True)
class ItemBatches:
    """Items for an action that takes batches: those that are rows of tables stay slices of them."""

    items: Items

    def __len__(self) -> int:
        return len(self.items)

    def to_shared(self) -> "ItemBatches":
        """The same over shared items."""
        return ItemBatches(self.items.to_shared())

    def take(self, indexes: Sequence[int]) -> Iterable[Any]:
        """The items of a range, or of single indexes."""
        if isinstance(self.items, FileItems | TableItems):
            return self.items.take_tables(indexes)
        return self.items.take(indexes)
