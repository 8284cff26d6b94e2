"""Progress read from the engine's own state."""

import pytest
from engine_driver import Driver

from attune_ray.engine import CancelRequested, RunStarted, SubmitChunk, TaskRunId, TaskStatus
from attune_ray.observe.progress import Progress, TaskProgress
from attune_ray.plan import Shape
from attune_ray.ports import RunView

TWO = """
tasks:
  - {name: get, action: a.b, next: [{do: [check]}]}
  - {name: check, action: a.b, with_items: "{{ task.get.list }}", retry: {count: 1}}
"""


class Watched:
    """A run whose every fact reaches a Progress; ``seen`` are the changes it told of."""

    def __init__(self, yaml: str) -> None:
        self.now_s = 10.0
        self.seen: list[tuple[str, TaskStatus, int, int]] = []
        self.driver = Driver(yaml)
        self.progress = Progress(self._changed, clock=lambda: self.now_s)
        self.progress.started(RunView("r", self.driver.state.plan, self.driver.state))
        self.progress.saw("r", RunStarted())

    def look(self) -> None:
        """Tell of the latest fact."""
        self.progress.saw("r", self.driver.state.story[-1])

    def _changed(self, task: TaskProgress) -> None:
        self.seen.append((str(task.run), task.status, task.n_done, task.n_failed))


@pytest.fixture
def run() -> Watched:
    """A task, then a fan-out."""
    return Watched(TWO)


def test_tasks_come_and_go_with_the_engine(run: Watched) -> None:
    """A task begins when the engine starts it, and is let go of when it has ended."""
    assert list(run.progress.live) == [TaskRunId("get", 1)]
    run.driver.run_plain("get", 0)
    run.look()

    assert list(run.progress.live) == [TaskRunId("check", 1)]
    assert ("get", TaskStatus.COMPLETED, 0, 0) in run.seen


def test_items_rate_and_eta_follow_the_chunks(run: Watched) -> None:
    """The rate is the mean since the items are known."""
    run.driver.run_plain("get", 0)
    run.look()
    run.now_s = 20.0
    run.driver.prepare("check", 32)
    run.look()
    task = run.progress.live[TaskRunId("check", 1)]
    assert (task.n_items, task.rate(20.0), task.eta_s(20.0)) == (32, None, None)

    run.now_s = 24.0
    order = run.driver.take(SubmitChunk, "check")
    assert isinstance(order, SubmitChunk)
    run.driver.tell(run.driver.done(order, failed=1))
    run.look()

    n_done = len(order.chunk.items)
    assert (task.n_done, task.n_failed) == (n_done, 1)
    assert task.rate(24.0) == n_done / 4
    assert task.eta_s(24.0) == (32 - n_done) / (n_done / 4)


def test_items_that_are_tried_again_are_not_done(run: Watched) -> None:
    """They count when their last attempt has ended."""
    run.driver.run_plain("get", 0)
    run.look()
    run.driver.prepare("check", 2)
    run.look()
    run.driver.chunk_done("check", failed=1, retryable=(0,))
    run.look()

    task = run.progress.live[TaskRunId("check", 1)]
    assert (task.n_done, task.n_failed) == (0, 0)


def test_a_cancelled_task_is_told_as_cancelled() -> None:
    """A delayed task ends with the request itself."""
    run = Watched("tasks: [{name: later, action: a.b, delay: 60}]")
    run.driver.tell(CancelRequested(running=False))
    run.look()

    assert not run.progress.live
    assert run.seen[-1][:2] == ("later", TaskStatus.CANCELLED)


def test_other_runs_are_not_looked_at(run: Watched) -> None:
    """A progress follows one run."""
    run.seen.clear()
    run.progress.saw("another", RunStarted())

    assert run.seen == []


def test_what_another_coordinator_has_done_does_not_count_for_the_rate(run: Watched) -> None:
    """A run that is gone on with shows at once how far it is, and tells how fast it is from then on."""
    run.driver.run_plain("get", 0)
    run.driver.prepare("check", 1_000, Shape(lanes=2))
    order = run.driver.take(SubmitChunk)
    assert isinstance(order, SubmitChunk)
    run.driver.tell(run.driver.done(order, failed=0))
    heir = Progress(clock=lambda: run.now_s)
    heir.started(RunView("r", run.driver.state.plan, run.driver.state))
    task = heir.live[TaskRunId("check", 1)]
    assert (task.n_items, task.rate(run.now_s)) == (1_000, None)
    n_before = task.n_done
    assert n_before > 0

    order = run.driver.take(SubmitChunk)
    assert isinstance(order, SubmitChunk)
    run.driver.tell(run.driver.done(order, failed=0))
    run.now_s += 2
    heir.saw("r", run.driver.state.story[-1])

    assert task.rate(run.now_s) == (task.n_done - n_before) / 2
