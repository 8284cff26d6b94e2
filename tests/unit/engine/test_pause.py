"""A run that is paused: what goes on, what is held, and that it goes on where it stood."""

import pytest
from engine_driver import Driver

from attune_ray.engine import (
    CutTask,
    EvaluateTransitions,
    FailChunk,
    PauseRequested,
    PrepareTask,
    RunStarted,
    RunState,
    RunStatus,
    StartTimer,
    SubmitChunk,
    TaskPrepared,
    TimerFired,
    step,
)
from attune_ray.errors import IllegalTransitionError
from attune_ray.model import parse_workflow
from attune_ray.plan import Shape, build

CHAIN = "tasks: [{name: a, action: t.x, next: [{do: b}]}, {name: b, action: t.x%s}]"
SINGLES = Shape(lanes=2, width=2, first_items=1, max_items=1)


def fan_out(rules: str = "") -> Driver:
    """Four items, of which two are in flight."""
    run = Driver(f"tasks: [{{name: a, action: t.x, {rules}with_items: '{{{{ parameters.xs }}}}'}}]")
    run.prepare("a", 4, SINGLES)
    return run


def test_a_paused_run_says_so_and_goes_on_when_it_is_resumed() -> None:
    """Asking twice changes nothing."""
    run = Driver(CHAIN % "")

    assert (run.pause(), run.pause(), run.status) == ([], [], "paused")
    assert (run.resume(), run.resume(), run.status) == ([], [], "running")


def test_a_run_that_is_paused_before_it_begins_holds_its_entries() -> None:
    """It has not ended, though nothing runs."""
    state = RunState(build(parse_workflow(CHAIN % "")))

    assert step(state, PauseRequested()) == []
    assert step(state, RunStarted()) == []
    assert state.status is RunStatus.PAUSED
    state.validate()


def test_what_runs_is_finished_and_what_follows_is_held() -> None:
    """Its transitions are evaluated, so that it publishes; the target starts when the run is resumed."""
    run = Driver(CHAIN % "")
    run.prepare("a")
    run.pause()

    assert [type(order) for order in run.chunk_done("a")] == [EvaluateTransitions]
    assert run.end("a", 0) == []
    assert (run.status, run.status_of("a")) == ("paused", "completed")
    assert run.resume() == [PrepareTask(run.run_of("b"))]
    run.run_plain("b")
    assert run.status == "completed"


def test_a_run_whose_last_task_ends_in_a_pause_has_ended() -> None:
    """Nothing is held, so there is nothing to resume."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.prepare("a")
    run.pause()
    run.chunk_done("a")

    assert run.end("a") == [run.finished]
    assert (run.status, run.resume()) == ("completed", [])


def test_a_delay_begins_after_the_pause() -> None:
    """Its task had not begun."""
    run = Driver(CHAIN % ", delay: 60")
    run.prepare("a")
    run.pause()
    run.chunk_done("a")

    assert run.end("a", 0) == []
    assert run.resume() == [StartTimer(run.run_of("b"), None, 60)]


def test_a_delay_that_passes_in_a_pause_is_over() -> None:
    """The preparation is what is held then; a timer that rings again is late."""
    run = Driver("tasks: [{name: a, action: t.x, delay: 60}]")
    run.pause()

    assert run.fire("a") == []
    assert run.tell(TimerFired(run.run_of("a"), None)) == []
    assert run.resume() == [PrepareTask(run.run_of("a"))]


def test_facts_that_answer_a_held_order_are_impossible() -> None:
    """Nobody has got it."""
    run = Driver("tasks: [{name: a, action: t.x, delay: 60}]")
    run.pause()
    run.fire("a")

    with pytest.raises(IllegalTransitionError, match="a is preparing, and its order is held"):
        run.tell(TaskPrepared(run.run_of("a"), 1, SINGLES))


def test_items_are_opened_in_a_pause_and_sent_after_it() -> None:
    """The preparation was under way."""
    run = Driver("tasks: [{name: a, action: t.x}]")
    run.pause()

    assert run.prepare("a") == []
    assert [type(order) for order in run.resume()] == [SubmitChunk]


def test_a_fan_out_over_nothing_ends_in_a_pause() -> None:
    """It has no item that could be held."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    run.pause()

    assert [type(order) for order in run.prepare("a", 0)] == [EvaluateTransitions]


def test_chunks_in_flight_end_and_their_lanes_stay_free() -> None:
    """Until the run goes on, in the order of the items."""
    run = fan_out()
    run.pause()

    assert (run.chunk_done("a"), run.chunk_done("a")) == ([], [])
    assert run.status == "paused"
    run.resume()
    assert [tuple(chunk.items) for chunk in run.submitted] == [(0,), (1,), (2,), (3,)]
    run.chunk_done("a")
    run.chunk_done("a")
    run.end("a")
    assert run.status == "completed"


@pytest.mark.parametrize("delay_s", [0, 60])
def test_a_failed_item_is_tried_again_after_the_pause(delay_s: int) -> None:
    """Its delay passes meanwhile; an attempt begins with the resume."""
    run = fan_out(f"retry: {{count: 1, delay: {delay_s}}}, ")
    run.pause()
    run.chunk_done("a", failed=1, retryable=(0,))
    if delay_s:
        assert run.fire("a") == []

    assert [(tuple(order.chunk.items), order.chunk.attempt) for order in run.resume()] == [((0,), 2)]  # type: ignore[union-attr]


def test_what_a_dead_worker_had_is_sent_again_after_the_pause() -> None:
    """Halves wait like any other chunk."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    run.prepare("a", 4, Shape(lanes=1, first_items=4))
    run.pause()

    assert run.lose("a") == []
    assert [type(order) for order in run.resume()] == [SubmitChunk]


def test_an_item_that_has_killed_its_last_worker_is_recorded_in_the_pause() -> None:
    """Nothing starts by it."""
    run = Driver("tasks: [{name: a, action: t.x}]", max_crashes=1)
    run.prepare("a")
    run.pause()

    assert [type(order) for order in run.lose("a")] == [FailChunk]


@pytest.mark.parametrize("running", [False, True], ids=["allow_finish", "cancel_running"])
def test_a_paused_run_that_is_cancelled_cuts_what_was_held(running: bool) -> None:  # noqa: FBT001  parametrized
    """It never starts."""
    run = Driver(CHAIN % "")
    run.prepare("a")
    run.pause()
    run.chunk_done("a")
    run.end("a", 0)

    assert run.cancel(running=running) == [CutTask(run.run_of("b")), run.finished]
    assert (run.status, run.status_of("a"), run.status_of("b")) == ("cancelled", "completed", "cancelled")


def test_a_paused_fan_out_that_is_cancelled_leaves_the_rest_out() -> None:
    """What has ended is counted, what was held has neither succeeded nor failed."""
    run = fan_out()
    run.pause()
    run.chunk_done("a", failed=1)
    run.chunk_done("a")
    held = run.state.live[run.run_of("a")].fan_out

    assert run.cancel() == [CutTask(run.run_of("a")), run.finished]
    assert held is not None
    assert (held.n_succeeded, held.n_failed, held.n_left_out) == (1, 1, 2)


def test_a_cancelled_run_is_neither_paused_nor_resumed() -> None:
    """It is to end."""
    run = fan_out()
    run.cancel()

    assert (run.pause(), run.resume(), run.status) == ([], [], "cancelling")
