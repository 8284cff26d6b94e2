"""A run that is to end: what each phase does with it, and what still arrives afterwards."""

import pytest
from engine_driver import Driver

from attune_ray.engine import (
    CancelChunk,
    CancelRequested,
    ChunkDone,
    CutTask,
    EvaluateTransitions,
    FailChunk,
    RunState,
    RunStatus,
    TimerFired,
    step,
)
from attune_ray.errors import IllegalTransitionError
from attune_ray.model import parse_workflow
from attune_ray.plan import Shape, build

PLAIN = "tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x}]"
SINGLES = Shape(lanes=2, width=2, first_items=1, max_items=1)
BOTH_POLICIES = pytest.mark.parametrize("running", [False, True], ids=["allow_finish", "cancel_running"])


def fan_out(rules: str = "") -> Driver:
    """Ten items, of which two are in flight."""
    run = Driver(f"tasks: [{{name: a, action: t.x, with_items: '{{{{ parameters.xs }}}}', {rules}next: [{{do: b}}]}},"
                 " {name: b, action: t.x}]")  # fmt: skip
    run.prepare("a", 10, SINGLES)
    return run


@BOTH_POLICIES
def test_a_run_that_is_cancelled_before_it_begins_runs_nothing(running: bool) -> None:  # noqa: FBT001  parametrized
    """Its begin is late then."""
    state = RunState(build(parse_workflow(PLAIN)))
    commands = step(state, CancelRequested(running))

    assert [type(command).__name__ for command in commands] == ["FinishRun"]
    assert state.status is RunStatus.CANCELLED


@BOTH_POLICIES
def test_a_delayed_task_ends_at_once(running: bool) -> None:  # noqa: FBT001  parametrized
    """Its timer may ring later: nobody listens."""
    run = Driver("tasks: [{name: a, action: t.x, delay: 60}]")

    assert run.cancel(running=running) == [CutTask(run.run_of("a")), run.finished]
    assert (run.status, run.status_of("a")) == ("cancelled", "cancelled")
    assert run.tell(TimerFired(run.run_of("a"), None)) == []


def test_allow_finish_lets_a_preparation_end_and_runs_nothing_of_it() -> None:
    """The answer is waited for, so that nothing is left behind."""
    run = Driver(PLAIN)
    assert run.cancel() == []
    assert run.status == "cancelling"

    assert run.prepare("a") == [CutTask(run.run_of("a")), run.finished]
    assert [run.status_of(name) for name in "ab"] == ["cancelled", "not_run"]


def test_cancel_running_cuts_a_preparation_at_once() -> None:
    """Also one that an earlier cancel has let go on; what it comes to is late then."""
    for requests in ([True], [False, True]):
        run = Driver(PLAIN)
        for running in requests:
            commands = run.cancel(running=running)

        assert commands == [CutTask(run.run_of("a")), run.finished]
        assert [run.status_of(name) for name in "ab"] == ["cancelled", "not_run"]
        assert run.prepare("a") == []


def test_a_task_that_is_skipped_or_refused_after_the_cancel_starts_nothing() -> None:
    """Its transitions are looked at, but nobody starts."""
    run = Driver("tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x}, {name: c, action: t.x}]")
    run.cancel()
    run.skip("c")
    run.refuse("a")

    assert run.end("a", 0) == [run.finished]
    assert [run.status_of(name) for name in "abc"] == ["failed", "not_run", "skipped"]
    assert run.status == "cancelled"


def test_allow_finish_lets_a_running_task_end_and_starts_nothing_after_it() -> None:
    """Its transitions are evaluated, so that it publishes."""
    run = Driver(PLAIN)
    run.prepare("a")
    assert run.cancel() == []
    assert [type(order) for order in run.chunk_done("a")] == [EvaluateTransitions]

    assert run.end("a", 0) == [run.finished]
    assert [run.status_of(name) for name in "ab"] == ["completed", "not_run"]


def test_cancel_running_stops_every_chunk_in_flight() -> None:
    """Their reports come all the same; a chunk that was quicker keeps what it did."""
    run = fan_out()
    a = run.run_of("a")

    assert run.cancel(running=True) == [CancelChunk(a, 1), CancelChunk(a, 2)]
    assert run.chunk_done("a") == []
    assert run.lose("a") == [CutTask(a), run.finished]
    assert (run.status, run.status_of("a"), run.status_of("b")) == ("cancelled", "cancelled", "not_run")


def test_allow_finish_lets_chunks_in_flight_end_and_sends_no_more() -> None:
    """The rest of the items is left out; the task has not ended by itself, so nothing is evaluated."""
    run = fan_out()

    assert run.cancel() == []
    assert run.chunk_done("a") == []
    assert run.chunk_done("a") == [CutTask(run.run_of("a")), run.finished]
    assert (len(run.submitted), run.status_of("a")) == (2, "cancelled")


@BOTH_POLICIES
def test_failed_items_are_not_tried_again_after_the_cancel(running: bool) -> None:  # noqa: FBT001  parametrized
    """Neither at once nor later."""
    run = Driver("tasks: [{name: a, action: t.x, retry: {count: 3}}]")
    run.prepare("a")
    run.cancel(running=running)

    assert run.chunk_done("a", failed=1, retryable=(0,)) == [EvaluateTransitions(run.run_of("a"), "failed", None)]
    run.end("a")
    assert (run.status, run.status_of("a")) == ("cancelled", "failed")


@BOTH_POLICIES
def test_a_task_whose_items_all_wait_for_another_attempt_ends_at_once(running: bool) -> None:  # noqa: FBT001
    """Nothing of it runs; its timer is late."""
    run = Driver("tasks: [{name: a, action: t.x, retry: {count: 3, delay: 60}}]")
    run.prepare("a")
    run.chunk_done("a", failed=1, retryable=(0,))

    assert run.cancel(running=running) == [CutTask(run.run_of("a")), run.finished]
    assert run.fire("a") == []
    assert run.status_of("a") == "cancelled"


@BOTH_POLICIES
def test_timers_of_items_ring_in_vain_while_others_still_run(running: bool) -> None:  # noqa: FBT001  parametrized
    """The item was left out by the cancel."""
    run = fan_out("retry: {count: 1, delay: 60}, ")
    run.chunk_done("a", failed=1, retryable=(0,))
    run.cancel(running=running)

    assert run.fire("a") == []
    run.chunk_done("a")
    run.chunk_done("a")
    assert run.status == "cancelled"


@BOTH_POLICIES
def test_a_lost_chunk_is_not_sent_again_after_the_cancel(running: bool) -> None:  # noqa: FBT001  parametrized
    """Whether its worker died or was stopped."""
    run = fan_out()
    run.cancel(running=running)
    run.lose("a")

    assert run.lose("a") == [CutTask(run.run_of("a")), run.finished]
    assert len(run.submitted) == 2


def test_a_crashed_item_that_is_being_stored_is_not_stopped() -> None:
    """No worker runs it."""
    run = Driver("tasks: [{name: a, action: t.x}]", max_crashes=1)
    run.prepare("a")
    run.lose("a")

    assert run.cancel(running=True) == []
    run.tell(run.done(run.take(FailChunk, "a"), failed=1))
    run.end("a")
    assert (run.status, run.status_of("a")) == ("cancelled", "failed")


@BOTH_POLICIES
def test_a_task_that_is_ending_ends_and_starts_nothing(running: bool) -> None:  # noqa: FBT001  parametrized
    """It keeps its own outcome."""
    run = Driver(PLAIN)
    run.prepare("a")
    run.chunk_done("a")
    assert run.cancel(running=running) == []

    assert run.end("a", 0) == [run.finished]
    assert (run.status, run.status_of("a")) == ("cancelled", "completed")


def test_a_fan_out_over_nothing_that_is_prepared_after_the_cancel_has_succeeded() -> None:
    """Nothing of it was left out."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    run.cancel()
    run.prepare("a", 0)
    run.end("a")

    assert (run.status, run.status_of("a")) == ("cancelled", "completed")


@BOTH_POLICIES
def test_what_only_waits_is_stopped_under_either_policy(running: bool) -> None:  # noqa: FBT001  parametrized
    """A question, or a sleep: nobody would gain by its end. Once is enough."""
    run = Driver("tasks: [{name: a, action: t.x}, {name: b, action: t.x}]")
    run.prepare("a", nature="wait")
    run.run_plain("b")

    assert run.cancel(running=running) == [CancelChunk(run.run_of("a"), 1)]
    assert run.cancel(running=True) == []
    assert run.lose("a") == [CutTask(run.run_of("a")), run.finished]


@BOTH_POLICIES
def test_a_child_run_is_not_stopped_from_here(running: bool) -> None:  # noqa: FBT001  parametrized
    """It is told itself, and says that it has ended neither well nor badly: an end that only a cancelled run takes."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    run.prepare("a", 3, SINGLES, nature="run")
    first, second = run.take_chunk("a"), run.take_chunk("a")
    with pytest.raises(IllegalTransitionError, match="chunk 1 has 1 items"):
        run.tell(ChunkDone(first.run, first.chunk.id, n_succeeded=0))

    assert run.cancel(running=running) == []
    assert run.tell(run.done(second)) == []
    assert run.tell(ChunkDone(first.run, first.chunk.id, n_succeeded=0)) == [CutTask(first.run), run.finished]


def test_a_second_cancel_stops_what_the_first_one_let_finish() -> None:
    """Somebody loses patience."""
    run = fan_out()
    a = run.run_of("a")
    run.cancel()

    assert run.cancel(running=True) == [CancelChunk(a, 1), CancelChunk(a, 2)]
    assert run.cancel(running=True) == [], "once is enough"
    assert run.cancel() == []


def test_cancelled_runs_say_so_whatever_else_went_wrong() -> None:
    """An unhandled failure does not make it a failed run."""
    run = Driver("tasks: [{name: a, action: t.x}, {name: b, action: t.x}]")
    run.run_plain("a", fails=True)
    run.cancel()
    run.prepare("b")

    assert run.finished is not None
    assert (run.finished.status.value, run.finished.error) == ("cancelled", "Workflow cancelled")


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    """It stays as it is."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.run_plain("a")

    assert run.cancel(running=True) == []
    assert run.status == "completed"
