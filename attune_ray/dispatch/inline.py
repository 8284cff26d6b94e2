"""Chunks of inline actions run in the coordinator's own loop: no other process, no Ray."""

from dataclasses import dataclass

from attune_ray.dispatch.orders import Held, KeepsResults, order_of, program_of, shape_of
from attune_ray.dispatch.worker.chunk import run_chunk_async
from attune_ray.dispatch.worker.program import encode_items, open_work
from attune_ray.dispatch.worker.snapshot import DecodedCache, TaskViews
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.expression import WorkflowContext
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, TaskOrder
from attune_ray.settings import FanOutSettings, LimitSettings

__all__ = ["InlineExecutor"]


@dataclass(frozen=True, slots=True)
class InlineExecutor(KeepsResults):
    """Runs async actions and short sync ones in the running event loop; results stay in this process."""

    fan_out: FanOutSettings
    limits: LimitSettings

    async def open(self, order: TaskOrder) -> Held:
        """Compile the templates; the context is the coordinator's own, nothing is encoded."""
        program, context = program_of(order, self.limits), _context(order)
        items = encode_items(program, lambda _: context) if program.is_fan_out else None
        work = open_work(
            program, order.action, items, lambda _: context, copies_input=not order.action.ref.startswith("core.")
        )
        return Held(
            program=program,
            n_items=1 if items is None else len(items),
            shape=shape_of(order, self.fan_out, slots=1),
            work=work,
            items=items,
            max_failed_items=self.limits.failed_items_listed,
        )

    async def run(self, task: Held, chunk: Chunk) -> ChunkReport:
        """Run a chunk, many items at once."""
        summary, rows = await run_chunk_async(task.work, order_of(task, chunk))
        return task.keep(chunk, LocalRows(rows), summary)


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
    )
