"""What a simulated run finds around it: scripted actions, real core actions, sub-workflows."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from attune_ray.actions import Action, Catalog
from attune_ray.coordinator import Runs, World
from attune_ray.dispatch.children import ChildExecutor, run_action
from attune_ray.dispatch.keeping import Recollection
from attune_ray.errors import PermanentError
from attune_ray.model import Task, TaskType, Workflow
from attune_ray.ports import ChildOrder, ChildReport, Executor, Observer
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.testing.clock import ManualClock
from attune_ray.testing.script import Execution, ScriptedExecutor, scripted_action

__all__ = ["RUN_ID", "RunRequest", "Stage", "ask_for"]

RUN_ID = "simulated"
RunRequest = Literal["pause", "resume", "cancel", "allow_finish", "cancel_running"]
"""What may be asked of a run; ``cancel``: in the way that the workflow's ``cancellation_policy`` says."""


def ask_for(runs: Runs, request: RunRequest) -> None:
    """Ask it of the simulated run, and of the runs below."""
    match request:
        case "pause":
            runs.pause()
        case "resume":
            runs.resume()
        case "cancel":
            runs.cancel()
        case "allow_finish" | "cancel_running":
            runs.cancel(running=request == "cancel_running")
        case _:
            assert_never(request)


@dataclass(slots=True)
class Stage:
    """Routes tasks to their scripts, and notes the runs that runs start."""

    scripted: ScriptedExecutor
    workflows: Mapping[str, Workflow]
    _runs: Runs = field(init=False)
    _children: ChildExecutor = field(init=False)
    _catalog: Catalog = field(default_factory=Catalog)

    def runs(self, *, config: Any, keystore: Any, observers: Iterable[Observer]) -> Runs:
        """The engine of a simulation."""
        limits = LimitSettings()
        world = World(
            route=self._route,
            recall=Recollection(max_failed_items=limits.failed_items_listed),
            clock=ManualClock(),
            limits=limits,
            max_crashes=FanOutSettings().max_crashes,
        )
        self._runs = Runs(
            world=world, workflows=self.workflows, observers=tuple(observers), config=config, keystore=keystore
        )
        self._children = ChildExecutor(self.scripted.inline, limits, self._run_child)
        return self._runs

    def _route(self, task: Task) -> tuple[Action, Executor[Any]]:
        ref = task.action or "parallel"
        if task.type is TaskType.PARALLEL or ref in self.workflows:
            return run_action(ref), self._children
        if ref in self.scripted.scripts:
            return scripted_action(ref), self.scripted
        if ref not in self._catalog:
            raise PermanentError(f"unknown action {ref!r}")
        return self._catalog[ref], self.scripted.inline

    async def _run_child(self, order: ChildOrder) -> ChildReport:
        clock = asyncio.get_running_loop().time
        execution = Execution(order.task.name, order.index, order.attempt, dict(order.given), clock())
        self.scripted.note(execution, order.parent.depth)
        execution.status = "failed"
        try:
            report = await self._runs.run_child(order)
        finally:
            execution.ended_s = clock()
        execution.error = report.error
        execution.status = "cancelled" if report.cancelled else "completed" if report.succeeded else "failed"
        return report
