"""The shell around the engine: observers that fail, runs that are cancelled, the limit of task runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from attune_ray.coordinator import Coordinator, RunResult, World
from attune_ray.dispatch.keeping import Recollection
from attune_ray.dispatch.orders import Held
from attune_ray.engine import CancelRequested, ChunkDone, Event, RunStarted, RunState, TaskPrepared
from attune_ray.model import Task
from attune_ray.plan import build
from attune_ray.ports import Observer, RunContext, RunView, TaskOrder
from attune_ray.settings import LimitSettings
from attune_ray.testing import ManualClock, ScriptedExecutor, VirtualLoop, load_workflow, simulate
from attune_ray.testing.script import scripted_action

OK = {"t.x": {"data": 1, "sleep": 5}}


@dataclass
class Spy:
    """Notes what it sees, and raises where it is told to."""

    fails_in: str = ""
    seen: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)

    def _note(self, run_id: str, what: str) -> None:
        self.runs.add(run_id)
        self.seen.append(what)
        if what == self.fails_in:
            raise RuntimeError("the observer is broken")

    def started(self, view: RunView) -> None:
        """A run begins."""
        self._note(view.run_id, "started")

    def saw(self, run_id: str, event: Event) -> None:
        """A fact was applied."""
        self._note(run_id, type(event).__name__)

    def warned(self, run_id: str, warning: str) -> None:
        """Something is odd."""
        self.warnings.append(warning)
        self._note(run_id, "warned")

    def ended(self, run_id: str, status: str) -> None:
        """The run has ended."""
        self._note(run_id, f"ended {status}")


@dataclass
class Trigger(Spy):
    """Does something to its run when it sees a kind of fact."""

    kind: type = object
    act: Callable[[], None] = lambda: None

    def saw(self, run_id: str, event: Event) -> None:
        """A fact was applied."""
        super().saw(run_id, event)
        if isinstance(event, self.kind):
            self.act()


def run_with(
    tasks: str,
    scripts: Mapping[str, Any] | ScriptedExecutor,
    when: type,
    act: Callable[[Coordinator], None],
    limit: int = 100,
) -> tuple[RunResult, ScriptedExecutor]:
    """Run tasks; ``act`` is called with the coordinator at every fact of a kind."""
    plan = build(load_workflow(f"tasks: {tasks}"))
    scripted = scripts if isinstance(scripts, ScriptedExecutor) else ScriptedExecutor(scripts)

    def route(task: Task) -> tuple[Any, Any]:
        return scripted_action(task.action or ""), scripted

    async def work() -> RunResult:
        world = World(route=route, recall=Recollection(), clock=ManualClock(), limits=LimitSettings(), max_crashes=3)
        context = RunContext(run_id="r", given={}, parameters={}, variables={})
        trigger = Trigger(kind=when)
        observers: list[Observer] = [trigger]
        coordinator = Coordinator(plan, context, RunState(plan, limit), world, observers)
        trigger.act = lambda: act(coordinator)
        return await asyncio.wait_for(coordinator.run(), 10_000)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work()), scripted


def test_observers_see_a_run_from_its_start_to_its_end() -> None:
    """Every fact after it was applied, and every warning."""
    spy = Spy()
    yaml = "tasks: [{name: a, action: t.x}]\noutput_map: {x: '{{ task.a.no }}'}"
    run = simulate(yaml, actions=OK, observers=(spy,))

    assert spy.seen == [
        *("started", "RunStarted", "TaskPrepared", "ChunkDone", "TransitionsEvaluated", "warned", "ended completed"),
    ]
    assert spy.warnings == run.warnings
    assert spy.runs == {run.run.id}


@pytest.mark.parametrize("moment", ["started", "RunStarted", "ChunkDone", "warned", "ended completed"])
def test_an_observer_that_raises_is_removed_and_the_run_goes_on(moment: str, caplog: pytest.LogCaptureFixture) -> None:
    """The others see everything; the fault is logged."""
    broken, sound = Spy(fails_in=moment), Spy()
    yaml = "tasks: [{name: a, action: t.x}]\noutput_map: {x: '{{ task.a.no }}'}"
    simulation = simulate(yaml, actions=OK, observers=(broken, sound))

    assert simulation.status == "completed"
    assert broken.seen[-1] == moment
    assert sound.seen[-1] == "ended completed"
    assert "is removed" in caplog.text


def test_a_cancel_that_lets_finish_waits_for_what_runs() -> None:
    """It ends as it would have; nothing is started after it."""
    result, scripted = run_with(
        "[{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x}]",
        OK,
        TaskPrepared,
        lambda coordinator: coordinator.ask(CancelRequested(False)),
    )

    assert result.status.value == "cancelled"
    assert result.result == {"error": "Workflow cancelled", "succeeded": False}
    assert [(run.task, run.status) for run in scripted.executions] == [("a", "completed")]
    assert [result.task(name).status.value for name in "ab"] == ["completed", "not_run"]


def test_a_cancel_stops_what_runs_and_keeps_what_has_ended() -> None:
    """The items that had ended are in the results."""

    def cancel_soon(coordinator: Coordinator) -> None:
        asyncio.get_running_loop().call_later(2, lambda: coordinator.ask(CancelRequested(True)))

    result, scripted = run_with(
        "[{name: a, action: t.x, with_items: [1, 2, 3, 4], concurrency: 1}]", OK, ChunkDone, cancel_soon
    )

    assert (result.status.value, result.task("a").status.value) == ("cancelled", "cancelled")
    assert list(result.task("a").results) == [1, None, None, None]
    assert [run.status for run in scripted.executions] == ["completed", "cancelled"]


def test_a_second_cancel_stops_what_the_first_one_let_finish() -> None:
    """At once: not after the hour that the task would take."""

    def cancel_twice(coordinator: Coordinator) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: coordinator.ask(CancelRequested(False)))
        loop.call_later(2, lambda: coordinator.ask(CancelRequested(True)))

    result, scripted = run_with(
        "[{name: a, action: t.x}]", {"t.x": {"data": 1, "sleep": 3600}}, TaskPrepared, cancel_twice
    )

    assert result.status.value == "cancelled"
    assert [run.status for run in scripted.executions] == ["cancelled"]


def test_a_run_ends_at_its_limit_of_task_runs() -> None:
    """A loop whose condition always holds is not for ever."""
    result, scripted = run_with(
        "[{name: begin, action: t.x, next: [{do: a}]}, {name: a, action: t.x, next: [{do: a}]}]",
        OK,
        RunStarted,
        lambda _: None,
        limit=7,
    )

    assert result.result == {"error": "Workflow failed: more than 7 task runs", "succeeded": False}
    assert len(scripted.executions) == 7


def test_a_chunk_that_is_cancelled_before_it_begins_is_lost_not_forgotten() -> None:
    """The cancel comes in the same breath as the order to send it."""
    result, scripted = run_with(
        "[{name: a, action: t.x}]", OK, TaskPrepared, lambda coordinator: coordinator.ask(CancelRequested(True))
    )

    assert (result.status.value, scripted.executions) == ("cancelled", [])


def test_a_cancel_that_crosses_the_report_of_a_chunk_changes_nothing_of_it() -> None:
    """The chunk has ended, but the engine has not heard of it yet."""

    def cancel_at_its_end(coordinator: Coordinator) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(5, lambda: loop.call_soon(lambda: coordinator.ask(CancelRequested(True))))

    for _ in range(3):
        result, scripted = run_with("[{name: a, action: t.x}]", OK, RunStarted, cancel_at_its_end)

        assert [run.status for run in scripted.executions] == ["completed"]
        assert (result.status.value, result.task("a").status.value) == ("cancelled", "completed")


class Stuck(ScriptedExecutor):
    """Opens no task but those called ``b``; notes the others whose opening was stopped."""

    stopped: ClassVar[list[str]] = []

    async def open(self, order: TaskOrder) -> Held:
        """Wait for what will not come."""
        if order.task.name == "b":
            return await ScriptedExecutor.open(self, order)
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.append(order.task.name)
        raise AssertionError("it does not come")


def test_a_preparation_under_way_is_stopped_at_once() -> None:
    """Not only when the last of the others has ended; its task was cut."""
    seen: list[list[str]] = []

    def cancel_soon(coordinator: Coordinator) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: coordinator.ask(CancelRequested(running=False)))
        loop.call_later(2, lambda: seen.append([*Stuck.stopped]))
        loop.call_later(3, lambda: coordinator.ask(CancelRequested(running=True)))

    result, _ = run_with("[{name: a, action: t.x}, {name: b, action: t.x}]", Stuck(OK), TaskPrepared, cancel_soon)

    assert (seen, Stuck.stopped) == ([[]], ["a"])
    assert [result.task(name).status.value for name in "ab"] == ["cancelled", "cancelled"]
    assert (result.task("a").result or {})["cancelled"] is True
