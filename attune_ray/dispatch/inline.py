"""Chunks of inline actions run in the coordinator's own loop: no other process, no Ray."""

import asyncio
from dataclasses import dataclass

from attune_ray.dispatch.orders import Held, KeepsResults, order_of, program_of, shape_of
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.worker.chunk import run_chunk_async
from attune_ray.dispatch.worker.items import Items
from attune_ray.dispatch.worker.known import Reuse
from attune_ray.dispatch.worker.program import Program, encode_items, open_work
from attune_ray.dispatch.worker.snapshot import DecodedCache, TaskViews
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.expression import WorkflowContext
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, TaskOrder
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.values.item_source import ItemSource

__all__ = ["InlineExecutor"]


@dataclass(frozen=True, slots=True)
class InlineExecutor(KeepsResults):
    """Runs async actions and short sync ones in the running event loop; results stay in this process."""

    fan_out: FanOutSettings
    limits: LimitSettings
    results: ResultCache

    async def open(self, order: TaskOrder) -> Held:
        """Compile the templates; the context is the coordinator's own, nothing is encoded."""
        program, context = program_of(order, self.limits), _context(order)
        items = await _items(program, context) if program.is_fan_out else None
        is_core = order.action.ref.startswith("core.")
        reuse = self._reuse(program)
        work = open_work(program, order.action, items, lambda _: context, copies_input=not is_core, reuse=reuse)
        return Held(
            program=program,
            n_items=1 if items is None else len(items),
            shape=shape_of(order, self.fan_out, slots=1),
            work=work,
            items=items,
            results=self.results if reuse is not None else None,
            max_failed_items=self.limits.failed_items_listed,
        )

    def _reuse(self, program: Program) -> Reuse | None:
        if program.cache_ttl_s is None:
            return None
        return Reuse(known=self.results, ttl_s=program.cache_ttl_s, most_bytes=self.limits.reused_bytes)

    async def run(self, task: Held, chunk: Chunk) -> ChunkReport:
        """Run a chunk, many items at once."""
        summary, rows = await run_chunk_async(task.work, order_of(task, chunk))
        return task.keep(chunk, LocalRows(rows), summary)


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
