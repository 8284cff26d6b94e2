"""Facts that come late, twice, or cannot be: ignored, ignored, refused with the story."""

from copy import deepcopy
from dataclasses import replace

import pytest
from engine_driver import Driver

from attune_ray.engine import (
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Event,
    RunStarted,
    RunState,
    SubmitChunk,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
)
from attune_ray.errors import IllegalTransitionError
from attune_ray.plan import Shape

A, B = TaskRunId("a", 1), TaskRunId("b", 1)
SHAPE = Shape(lanes=2, width=2, first_items=1, max_items=1)
YAML = """
tasks:
  - {name: a, action: t.x, delay: 5, retry: {count: 1, delay: 5}, with_items: "{{ parameters.xs }}", next: [{do: b}]}
  - {name: b, action: t.x}
"""
PHASES: list[tuple[str, Event]] = [
    ("delayed", TimerFired(A, None)),
    ("preparing", TaskPrepared(A, 3, SHAPE)),
    ("running", ChunkDone(A, 1, n_succeeded=0, n_failed=1, retryable=(0,))),
    ("running", ChunkLost(A, 2, "it died")),
    ("running", TimerFired(A, 3)),
    ("running", ChunkDone(A, 4, n_succeeded=1)),
    ("running", ChunkDone(A, 5, n_succeeded=1)),
    ("running", ChunkDone(A, 3, n_succeeded=1)),
    ("ending", TransitionsEvaluated(A, (0,))),
    ("ended", TaskPrepared(B, 1, SHAPE)),
    ("ended", CancelRequested(running=False)),
    ("ended", ChunkDone(B, 1, n_succeeded=1)),
    ("ended", TransitionsEvaluated(B, ())),
]


def history(n_facts: int) -> Driver:
    """A run that has been told the first facts of one that delays, crashes, tries again and is cancelled."""
    run = Driver(YAML)
    for _, event in PHASES[:n_facts]:
        run.tell(event)
    return run


def snapshot(run: Driver) -> RunState:
    """The state as it is now; the plan never changes."""
    return deepcopy(run.state, {id(run.state.plan): run.state.plan})


def test_the_history_of_these_tests_runs_to_its_end() -> None:
    """Every fact of it is due when it comes."""
    run = history(len(PHASES))

    assert (run.status, run.status_of("a"), run.status_of("b")) == ("cancelled", "completed", "completed")
    assert [tuple(chunk.items) for chunk in run.submitted] == [(0,), (1,), (2,), (1,), (0,), (0,)]


@pytest.mark.parametrize("n_facts", range(1, len(PHASES) + 1))
def test_a_fact_that_was_told_before_changes_nothing(n_facts: int) -> None:
    """Reports may come twice, and long after everything has gone on."""
    run = history(n_facts)
    for event in [RunStarted(), *(event for _, event in PHASES[:n_facts])]:
        before = snapshot(run)

        assert run.tell(event) == []
        before.story = run.state.story
        assert run.state == before


@pytest.mark.parametrize("other", [ChunkLost(A, 1, "late"), ChunkDone(A, 1, n_succeeded=1)], ids=["lost", "done"])
def test_the_first_report_of_a_chunk_counts(other: Event) -> None:
    """A worker that was given up may still report, and the other way round."""
    run = history(3)

    assert run.tell(other) == []


NEVER: list[tuple[int, Event]] = [
    (0, TaskPrepared(A, 3, SHAPE)),
    (0, TaskSkipped(A)),
    (0, TimerFired(A, 1)),
    (0, TaskPrepared(B, 1, SHAPE)),
    (0, TaskPrepared(TaskRunId("nobody", 1), 1, SHAPE)),
    (0, TaskPrepared(TaskRunId("a", 2), 1, SHAPE)),
    (0, TaskPrepared(TaskRunId("a", 0), 1, SHAPE)),
    (1, ChunkDone(A, 1, n_succeeded=1)),
    (1, ChunkLost(A, 1, "it died")),
    (1, TransitionsEvaluated(A, ())),
    (1, TaskPrepared(A, -1, SHAPE)),
    (1, TaskPrepared(A, 1, replace(SHAPE, lanes=0))),
    (2, TransitionsEvaluated(A, (0,))),
    (2, ChunkDone(A, 3, n_succeeded=1)),
    (2, ChunkDone(A, 0, n_succeeded=1)),
    (2, ChunkDone(A, 1, n_succeeded=2)),
    (2, ChunkDone(A, 1, n_succeeded=0)),
    (2, ChunkDone(A, 1, n_succeeded=2, n_failed=-1)),
    (2, ChunkDone(A, 1, n_succeeded=1, retryable=(0,))),
    (2, ChunkDone(A, 1, n_succeeded=0, n_failed=1, retryable=(1,))),
    (2, ChunkDone(A, 1, n_succeeded=0, n_failed=1, retryable=(0, 0))),
    (2, TimerFired(A, 9)),
    (8, TransitionsEvaluated(A, (1,))),
    (8, TransitionsEvaluated(A, (-1,))),
    (9, ChunkLost(B, 1, "it died")),
]


@pytest.mark.parametrize(("n_facts", "event"), NEVER)
def test_a_fact_that_cannot_be_is_refused_and_changes_nothing(n_facts: int, event: Event) -> None:
    """The error carries the task run, the fact and what came before."""
    run = history(n_facts)
    before = snapshot(run)

    with pytest.raises(IllegalTransitionError) as caught:
        run.tell(event)

    assert run.state == before
    told = str(caught.value)
    assert str(event) in told
    assert str(RunStarted()) in told
    assert all(str(past) in told for _, past in PHASES[:n_facts])


def test_the_story_tells_where_the_task_run_stands() -> None:
    """So that a bug report is enough."""
    run = history(1)

    with pytest.raises(IllegalTransitionError, match=r"a is preparing, but it was told TransitionsEvaluated\(.*TimerF"):
        run.tell(TransitionsEvaluated(A, ()))


def test_before_its_begin_a_run_knows_no_task_run() -> None:
    """Nobody can have been asked anything."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.state.tasks["a"].n_runs = 0
    run.state.live.clear()

    with pytest.raises(IllegalTransitionError, match="a task run that never started"):
        run.tell(TaskSkipped(A))


def test_the_end_of_the_story_is_kept() -> None:
    """A long run does not keep all its facts."""
    run = Driver("tasks: [{name: begin, action: t.x, next: [{do: a}]}, {name: a, action: t.x, next: [{do: a}]}]")
    run.run_plain("begin", 0)
    for _ in range(50):
        run.run_plain("a", 0)

    assert len(run.state.story) == 64
    assert run.state.story[-1] == TransitionsEvaluated(TaskRunId("a", 50), (0,))


def test_after_the_end_of_a_run_every_fact_is_late() -> None:
    """Even one about a task that never was: nobody waits for it any more."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.run_plain("a")
    events: list[Event] = [
        RunStarted(),
        TaskNotPrepared(A, "no"),
        ChunkDone(A, 7, n_succeeded=1),
        TaskSkipped(TaskRunId("x", 1)),
    ]

    assert [run.tell(event) for event in events] == [[]] * len(events)
    assert not any(isinstance(order, SubmitChunk) for order in run.open)
