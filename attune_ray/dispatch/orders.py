"""From the coordinator's orders to what workers are told, and back; the same for every executor."""

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.actions import Kind
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.worker.attempt import Summary, cancelled_row
from attune_ray.dispatch.worker.chunk import Order
from attune_ray.dispatch.worker.kept_rows import source_of
from attune_ray.dispatch.worker.program import Program
from attune_ray.dispatch.worker.results import FanOutResult, Part, PlainResult
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.stored import LocalRows, RowSource
from attune_ray.engine.pace import STRAGGLE_S
from attune_ray.errors import StateError
from attune_ray.plan import Chunk, Items, Shape
from attune_ray.plan.chunks import failed_for_good
from attune_ray.ports import ChunkReport, Kept, TaskOrder
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.values.item_source import ItemSource
from attune_ray.values.keeping import Keeping, folder_of
from attune_ray.values.secrets import Secrets

__all__ = [
    "Held",
    "name_of",
    "now_of",
    "order_of",
    "prefix_of",
    "program_of",
    "report_of",
    "shape_of",
]


@dataclass(slots=True, kw_only=True)
class Held:
    """A task run that an executor has opened, and the results of its chunks so far.

    Attributes:
        work: what its chunks are run with; the executor's own.
        items: the items themselves, or a reference to them; None for a plain task.
        results: where those of its calls are kept, if its task has ``cache``.
        keeping: how the rows of its chunks outlive this process; None: they do not.
        prefix: its own, of the names of its chunks.
        lists: of a plain task's result, as of ``PlainResult``.
    """

    program: Program
    n_items: int
    shape: Shape
    work: Any
    items: Any
    results: ResultCache | None = None
    keeping: Keeping | None = None
    prefix: str = ""
    parts: list[Part] = field(default_factory=list)
    n_succeeded: int = 0
    n_failed: int = 0
    max_failed_items: int = 1_000
    lists: Mapping[str, int] = field(default_factory=dict)
    cut: Rows | None = None
    """What a plain task had come to when it was cancelled, where that is known."""

    def keep(self, chunk: Chunk, source: RowSource, summary: Summary, items: Items | None = None) -> ChunkReport:
        """Note where the rows of a chunk are.

        Args:
            items: that have ended; None: the first ones, all but those that there was no time for.
        """
        self.parts.append(
            Part(chunk.items[: summary.n_succeeded + summary.n_failed] if items is None else items, source)
        )
        self.n_succeeded += summary.n_succeeded
        self.n_failed += failed_for_good(chunk, summary.n_succeeded, summary.n_failed)
        if self.results is not None and self.program.cache_ttl_s is not None and summary.fresh:
            self.results.keep(self.program.action, summary.fresh, ttl_s=self.program.cache_ttl_s)
        self.lists = summary.lists
        return report_of(summary)

    def take_over(self, kept: Kept | None) -> None:
        """Go on from what chunks had come to before their coordinator died.

        Raises:
            StateError: they were chunks of other items.
        """
        if kept is None or self.keeping is None:
            return
        if kept.n_items != self.n_items:
            raise StateError(
                f"task {self.program.task}: with_items gives {self.n_items:,} item(s) and gave {kept.n_items:,} before;"
                " its files have changed, and nothing tells which results are whose"
            )
        results = self.keeping.results
        self.parts = [Part(part.items, source_of(part.saved, results)) for part in kept.parts]
        self.n_succeeded, self.n_failed = kept.n_succeeded, kept.n_failed

    def result(self, *, succeeded: bool, cancelled: bool) -> PlainResult | FanOutResult:
        """The result of the task run, whose chunks have all ended."""
        if not self.program.is_fan_out:
            if cancelled:
                return PlainResult(LocalRows(self.cut or cancelled_row()), succeeded)
            return PlainResult(self.parts[-1].source, succeeded, self.lists)
        return FanOutResult(
            parts=tuple(self.parts),
            n_items=self.n_items,
            n_succeeded=self.n_succeeded,
            n_failed=self.n_failed,
            succeeded=succeeded,
            cancelled=cancelled,
            max_failed_items=self.max_failed_items,
        )


def program_of(order: TaskOrder, limits: LimitSettings) -> Program:
    """What a worker is told of a task run."""
    task = order.task.task
    return Program(
        task=task.name,
        action=order.action.ref,
        input=task.input,
        given=None if task.input else order.context.given,
        with_items=_based(task.with_items),
        batch_size=task.batch_size,
        on_error=task.retry.on_error if task.retry is not None else None,
        retries=task.retry.count if task.retry is not None else 0,
        timeout_s=task.timeout_s,
        grace_s=limits.timeout_grace_s,
        stops_on_error=order.task.stops_on_error,
        now=order.now,
        seed=f"{order.context.run_id}/{order.run}",
        secrets=_secrets(order),
        permission_set_refs=task.permission_set_refs,
        cache_ttl_s=task.cache.ttl_s if task.cache is not None else None,
        cache_key=task.cache.key if task.cache is not None else None,
        allowed_hosts=limits.link_local_hosts,
    )


def _based(items: Any) -> Any:
    """Where ``with_items`` are files: those of this process's folder, wherever they are read."""
    return replace(items, base=os.getcwd()) if isinstance(items, ItemSource) else items  # noqa: PTH109  a text


def _secrets(order: TaskOrder) -> Secrets:
    """All of the run's where the task runs in this process; else those that it may read."""
    secrets = order.context.secrets
    if order.action.inline:
        return secrets.all()
    return secrets.read_by(order.task.references, takes_parameters=not order.task.task.input)


def shape_of(order: TaskOrder, settings: FanOutSettings, slots: int) -> Shape:
    """How wide a task may run on so many slots, by the way its action runs."""
    lane_width, target_s, lanes = 1, settings.target_chunk_s, slots * settings.chunks_per_slot
    if order.action.kind is Kind.ASYNC:
        lane_width, target_s = settings.async_width, settings.target_async_chunk_s
    elif order.action.kind is Kind.BLOCKING:
        lane_width, target_s = settings.blocking_width, settings.target_async_chunk_s
    lane_width = min(lane_width, order.action.width or lane_width)
    if order.action.inline:
        lanes, lane_width = 1, min(lane_width, settings.inline_width)
    elif order.concurrency is not None and lane_width > 1:
        lanes = slots  # a chunk that waits for a slot would hold a share of the width and use none of it
    if order.task.task.rate_limit is not None:
        lanes, target_s = min(lanes, slots), min(target_s, STRAGGLE_S)  # a chunk starts as it is sent, or nearly so
    return Shape(
        lanes=lanes,
        slots=slots,
        width=order.concurrency,
        lane_width=lane_width,
        target_s=target_s,
        first_items=settings.first_chunk_items,
        max_items=settings.max_chunk_items,
    )


def name_of(held: Held, chunk: Chunk) -> str:
    """What a chunk is known by to whoever keeps its rows."""
    return f"{held.prefix}{chunk.items[0]}-{chunk.items[-1] + 1}.{chunk.id}"


def prefix_of(order: TaskOrder) -> str:
    """Of the names of a task run's chunks: a folder where they are kept, else something that no other run has."""
    if order.keeping is None:
        return f"{secrets.token_hex(8)}-"
    age = hashlib.blake2b(order.context.begun_at.encode(), digest_size=4).hexdigest()
    return f"{folder_of(order.context.run_id, str(order.run))}/{age}-"


def order_of(held: Held, chunk: Chunk) -> Order:
    """What a worker is told of a chunk."""
    return Order(
        indexes=chunk.items,
        attempt=chunk.attempt,
        width=chunk.width,
        budget_s=held.shape.target_s,
        now_s=now_of(held),
        name=name_of(held, chunk),
    )


def now_of(held: Held) -> float:
    """Seconds since 1970 for a task with ``cache``, by which it tells what results are too old; else 0."""
    return 0.0 if held.results is None else held.results.now_s()


def report_of(summary: Summary) -> ChunkReport:
    """A worker's summary in the coordinator's words."""
    return ChunkReport(
        n_succeeded=summary.n_succeeded,
        n_failed=summary.n_failed,
        retryable=summary.retryable,
        retry_after_s=summary.retry_after_s,
        elapsed_s=summary.elapsed_s,
        worker=summary.worker,
        context_bytes_decoded=summary.context_bytes_decoded,
        secrets=summary.secrets,
        n_cached=summary.n_cached,
        saved=summary.saved,
    )
