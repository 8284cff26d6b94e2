"""Results of task runs: how every executor here keeps them, and how they are found again without one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attune_ray.dispatch.orders import Held, name_of
from attune_ray.dispatch.worker.attempt import Summary, cancelled_row, failed_rows
from attune_ray.dispatch.worker.encoding import decode
from attune_ray.dispatch.worker.items import Items
from attune_ray.dispatch.worker.kept_rows import found, is_inline, kept, kept_inline, source_of
from attune_ray.dispatch.worker.results import FanOutResult, Part, PlainResult
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import EngineError, ResultLostError
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, Kept
from attune_ray.values.keeping import ResultStore

__all__ = ["KeepsResults", "Recollection"]


@dataclass(frozen=True, slots=True)
class Recollection:
    """Results of task runs that no executor has: of those that did not run, and of those of another process.

    Attributes:
        results: where that one has kept them; None: nothing is kept.
        max_failed_items: named in the result of a fan-out.
    """

    results: ResultStore | None = None
    max_failed_items: int = 1_000

    def failure(self, error: str | None) -> PlainResult:
        """The result of a task that could not run; None: because it was cancelled."""
        rows = cancelled_row() if error is None else failed_rows((0,), error, is_fan_out=False)[1]
        return PlainResult(LocalRows(rows), succeeded=False)

    def result(self, kept: Kept, *, succeeded: bool, cancelled: bool = False) -> PlainResult | FanOutResult:
        """The result of a task run that had ended when its coordinator died."""
        results = self._results()
        parts = tuple(Part(part.items, source_of(part.saved, results)) for part in kept.parts)
        if not kept.is_fan_out:
            source = LocalRows(cancelled_row()) if cancelled else parts[-1].source
            return PlainResult(source, succeeded)
        return FanOutResult(
            parts=parts,
            n_items=kept.n_items,
            n_succeeded=kept.n_succeeded,
            n_failed=kept.n_failed,
            succeeded=succeeded,
            cancelled=cancelled,
            max_failed_items=self.max_failed_items,
        )

    def is_intact(self, saved: Mapping[str, Any]) -> bool:
        """Whether the rows of a chunk are as they were kept; reads all of them."""
        try:
            source_of(saved, self._results()).open()
        except ResultLostError:
            return False
        return True

    def _results(self) -> ResultStore:
        if self.results is None:
            raise EngineError("results are recalled where none are kept")
        return self.results


class KeepsResults:
    """What every executor here does alike: it keeps the rows of its chunks in the task run it has opened."""

    __slots__ = ()

    async def fail(self, task: Held, chunk: Chunk, reason: str) -> ChunkReport:
        """Store failed items, in this process."""
        is_fan_out, found = task.program.is_fan_out, await self._items_of(task)
        items = () if found is None else found.take(chunk.items)
        summary, rows = failed_rows(chunk.items, reason, attempt=chunk.attempt, is_fan_out=is_fan_out, items=items)
        return task.keep(chunk, LocalRows(rows), await self._kept(task, chunk, rows, summary))

    async def _found(self, task: Held, chunk: Chunk) -> ChunkReport | None:
        """The report of a chunk that had ended, and kept its rows in the store, before its coordinator heard of it."""
        if task.keeping is None:
            return None
        results = task.keeping.results
        summary = await asyncio.to_thread(found, name_of(task, chunk), results)
        if summary is None or summary.saved is None:
            return None
        return task.keep(chunk, source_of(decode(summary.saved), results), summary)

    async def _kept(self, task: Held, chunk: Chunk, rows: Rows, summary: Summary) -> Summary:
        """Keep the rows of a chunk that ran in this process.

        Raises:
            StateError: they cannot be kept.
        """
        if task.keeping is None:
            return summary
        if is_inline(rows, task.keeping):
            return kept_inline(rows, summary)
        return await asyncio.to_thread(kept, rows, summary, name_of(task, chunk), task.keeping)

    async def _items_of(self, task: Held) -> Items | None:
        """The items of a task run, wherever they are; None: it is no fan-out."""
        found: Items | None = task.items
        return found

    def result(self, task: Held, *, succeeded: bool, cancelled: bool = False) -> PlainResult | FanOutResult:
        """The result of an ended task run."""
        return task.result(succeeded=succeeded, cancelled=cancelled)
