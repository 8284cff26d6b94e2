"""Chunks of inline actions run in the coordinator's own loop: no other process, no Ray."""

import asyncio
from dataclasses import dataclass, field, replace

from attune_ray.actions.core import HARMLESS
from attune_ray.dispatch.keeping import KeepsResults
from attune_ray.dispatch.orders import Held, name_of, order_of, prefix_of, program_of, shape_of
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.spool import Spool
from attune_ray.dispatch.worker.attempt import summary_of
from attune_ray.dispatch.worker.chunk import run_chunk_async
from attune_ray.dispatch.worker.items import Items
from attune_ray.dispatch.worker.known import Reuse
from attune_ray.dispatch.worker.program import Program, encode_items, open_work
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.snapshot import DecodedCache, TaskViews
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.expression import WorkflowContext
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, LostItems, TaskOrder
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.values.item_source import ItemSource

__all__ = ["InlineExecutor"]


@dataclass(frozen=True, slots=True)
class InlineExecutor(KeepsResults):
    """Runs async actions and short sync ones in the running event loop; results stay in this process."""

    fan_out: FanOutSettings
    limits: LimitSettings
    results: ResultCache
    spool: Spool = field(default_factory=Spool)

    async def open(self, order: TaskOrder) -> Held:
        """Compile the templates; the context is the coordinator's own, nothing is encoded."""
        program, context = program_of(order, self.limits), _context(order)
        items = await _items(program, context) if program.is_fan_out else None
        is_core = order.action.ref.startswith("core.")
        reuse = self._reuse(program)
        work = open_work(program, order.action, items, lambda _: context, copies_input=not is_core, reuse=reuse)
        held = Held(
            program=program,
            n_items=1 if items is None else len(items),
            shape=shape_of(order, self.fan_out, slots=1),
            work=work,
            items=items,
            results=self.results if reuse is not None else None,
            max_failed_items=self.limits.failed_items_listed,
            keeping=order.keeping,
            prefix=prefix_of(order),
        )
        held.take_over(order.kept)
        return held

    def _reuse(self, program: Program) -> Reuse | None:
        if program.cache_ttl_s is None:
            return None
        return Reuse(known=self.results, ttl_s=program.cache_ttl_s, most_bytes=self.limits.reused_bytes)

    async def run(self, task: Held, chunk: Chunk) -> ChunkReport:
        """Run a chunk, many items at once."""
        is_logged = task.keeping is not None and task.program.action not in HARMLESS
        log = self.spool.log(name_of(task, chunk)) if is_logged else None
        summary, rows = await run_chunk_async(task.work, order_of(task, chunk), log)
        return task.keep(chunk, LocalRows(rows), await self._kept(task, chunk, rows, summary))

    async def salvage(self, task: Held, chunk: Chunk, age_s: float) -> ChunkReport:  # noqa: ARG002  as the port has it
        """Look for the rows of a chunk in the store, then for what the coordinator that died has left here."""
        if (report := await self._found(task, chunk)) is not None:
            return report
        lost = LostItems(reason="its coordinator died", blameless=True)
        saved = self.spool.find(name_of(task, chunk), chunk.items, chunk.attempt)
        if saved is None:
            return ChunkReport(n_succeeded=0, lost=lost)
        summary = await self._kept(task, replace(chunk, id=-chunk.id), saved.rows, summary_of(saved))
        ended = _items_of(saved.rows)
        report = task.keep(chunk, LocalRows(saved.rows), summary, items=ended)
        return replace(report, lost=replace(lost, ended=ended))


def _items_of(rows: Rows) -> range | tuple[int, ...]:
    return rows.index if isinstance(rows.index, range) else tuple(rows.index)


async def _items(program: Program, context: WorkflowContext) -> Items:
    """The items of a fan-out; counting those of files takes its time, in which the loop goes on."""
    if isinstance(program.with_items, ItemSource):
        return await asyncio.to_thread(encode_items, program, lambda _: context)
    return encode_items(program, lambda _: context)


def _context(order: TaskOrder) -> WorkflowContext:
    context = order.context
    return WorkflowContext(
        parameters=context.parameters,
        variables=context.variables,
        tasks=TaskViews(context.results, DecodedCache()),
        config=context.config,
        keystore=context.keystore,
        system=context.system,
        now=order.now,
        seed=f"{context.run_id}/{order.run}",
        around=context.around,
    )
