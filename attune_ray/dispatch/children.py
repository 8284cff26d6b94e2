"""Tasks that are runs themselves: sub-workflows and parallel groups, each item a child run in the same loop."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from attune_ray.actions import Action, Kind, Output
from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.keeping import KeepsResults
from attune_ray.dispatch.orders import Held, now_of
from attune_ray.dispatch.worker.attempt import Recorder, cancelled_row
from attune_ray.dispatch.worker.reuse import recording
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import AttuneError, StateError
from attune_ray.expression import ItemContext
from attune_ray.plan import Chunk, Shape
from attune_ray.ports import ChildOrder, ChildReport, ChunkReport, RunChild, TaskOrder
from attune_ray.settings import LimitSettings

__all__ = ["ChildExecutor", "run_action"]


def run_action(ref: str) -> Action:
    """The action that stands for a run: it takes any parameters, and is never called as a function."""

    async def never(**_: Any) -> None:
        raise AssertionError("a child run is not a function")

    return Action(
        ref=ref,
        function=never,
        kind=Kind.ASYNC,
        inline=True,
        names=None,
        required=frozenset(),
        signature="(**any)",
        nature="run",
    )


@dataclass(slots=True, kw_only=True)
class _HeldChild(Held):
    """A task run whose items are child runs."""

    order: TaskOrder


@dataclass(frozen=True, slots=True)
class ChildExecutor(KeepsResults):
    """Runs each item as a run of its own, which ``run_child`` starts.

    A pause or a cancellation of the parent reaches that run by itself; one that ends by it counts as not ended.
    """

    inline: InlineExecutor
    limits: LimitSettings
    run_child: RunChild

    async def open(self, order: TaskOrder) -> _HeldChild:
        """Open the items; one child run a chunk, so that each starts and ends by itself.

        Raises:
            AttuneError: the items have no value.
        """
        held = await self.inline.open(order)
        width = order.concurrency or self.limits.child_runs
        return _HeldChild(
            program=held.program,
            n_items=held.n_items,
            shape=Shape(lanes=width, width=width, first_items=1, max_items=1),
            work=held.work,
            items=held.items,
            results=held.results,
            max_failed_items=held.max_failed_items,
            keeping=held.keeping,
            prefix=held.prefix,
            parts=held.parts,
            n_succeeded=held.n_succeeded,
            n_failed=held.n_failed,
            order=order,
        )

    async def run(self, task: _HeldChild, chunk: Chunk) -> ChunkReport:
        """Run the children of a chunk, one after the other."""
        return await self.salvage(task, chunk, 0.0)

    async def salvage(self, task: _HeldChild, chunk: Chunk, age_s: float) -> ChunkReport:
        """The same: a child run that was kept goes on from where it stood, in the time that is left."""
        recorder, scopes = recording(task.work, chunk.items, attempt=chunk.attempt, now_s=now_of(task))
        clock = asyncio.get_running_loop().time
        began = clock()
        published: Mapping[str, Any] | None = None
        for row, scope in scopes:
            index = chunk.items[row] if task.program.is_fan_out else None
            report = await self._run_one(task, recorder, row, index, scope, age_s=age_s)
            if report is None:
                continue
            published = report.published
            if report.cancelled:
                task.cut = cancelled_row(report.data)
                break
        rows = recorder.ended_rows()
        summary = await self._kept(task, chunk, rows, recorder.summary(elapsed_s=clock() - began, worker=""))
        return replace(task.keep(chunk, LocalRows(rows), summary), published=published)

    async def _run_one(
        self, task: _HeldChild, recorder: Recorder, row: int, index: int | None, scope: ItemContext, *, age_s: float
    ) -> ChildReport | None:
        """One child run, its outcome recorded unless it was cancelled; None: there was none, or it overran."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            given = recorder.work.input_of(scope)
            order = _child_order(task, index, recorder.attempt, given, scope)
            timeout_s = None if order.timeout_s is None else max(0.0, order.timeout_s - age_s)
            report = await self.run_child(replace(order, timeout_s=timeout_s))
        except TimeoutError:
            recorder.overran(row, scope, int((clock() - began) * 1e6))
            return None
        except StateError:  # what the child does cannot be kept: its parent cannot go on either
            raise
        except AttuneError as error:
            recorder.failed(row, scope, error, int((clock() - began) * 1e6))
            return None
        recorder.secrets.update(report.secrets)
        if not report.cancelled:
            recorder.returned(row, scope, _output(report), int((clock() - began) * 1e6))
        return report


def _child_order(
    task: _HeldChild, index: int | None, attempt: int, given: dict[str, Any], scope: ItemContext
) -> ChildOrder:
    order = task.order
    place = str(order.run) if index is None else f"{order.run}[{index}]"
    suffix = "" if attempt == 1 else f"~{attempt}"
    return ChildOrder(
        run_id=f"{order.context.run_id}/{place}{suffix}",
        task=order.task.task,
        item=None if index is None else scope.item,
        index=index,
        attempt=attempt,
        given=given,
        parent=order.context,
        timeout_s=task.program.timeout_s,
    )


def _output(report: ChildReport) -> Output:
    """A child's result is its output; its failure is told by its error."""
    if report.succeeded:
        return Output(data=report.data)
    return Output(data=report.data, exit_code=1, error=report.error or "the child run failed")
