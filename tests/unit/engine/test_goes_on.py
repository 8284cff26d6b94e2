"""Chunks whose coordinator died, and task runs of which only some items are to run."""

import pytest
from engine_driver import Driver

from attune_ray.engine import ChunkDone, ChunkLost, EvaluateTransitions, SubmitChunk, TaskPrepared
from attune_ray.errors import IllegalTransitionError
from attune_ray.plan import Items, Shape

ONE_LANE = Shape(lanes=1, first_items=10, max_items=10)


def fan_out() -> Driver:
    """Ten items, all in flight in one chunk."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}', retry: {count: 1}}]")
    run.prepare("a", 10, ONE_LANE)
    return run


def test_what_had_not_ended_is_sent_again_without_blame() -> None:
    """In one piece, in the same attempt: no item has killed its coordinator, however often one dies."""
    run = fan_out()
    a = run.run_of("a")
    for _ in range(5):
        sent = run.take(SubmitChunk)
        run.tell(ChunkLost(a, sent.chunk.id, "its coordinator died", blameless=True))
    sent = run.take(SubmitChunk)

    assert (sent.chunk.items, sent.chunk.attempt, sent.chunk.crashes) == (range(10), 1, 0)


def test_what_had_ended_is_not_sent_again() -> None:
    """Failed items are tried again in their own time."""
    run = fan_out()
    a, sent = run.run_of("a"), run.take(SubmitChunk)
    run.tell(
        ChunkLost(a, sent.chunk.id, "gone", ended=range(4), n_succeeded=3, n_failed=1, retryable=(2,), blameless=True)
    )

    rest = run.take(SubmitChunk)
    assert (rest.chunk.items, rest.chunk.attempt) == (range(4, 10), 1)
    run.tell(ChunkDone(a, rest.chunk.id, n_succeeded=6))
    again = run.take(SubmitChunk)
    assert (again.chunk.items, again.chunk.attempt) == ((2,), 2)


def test_a_chunk_of_which_all_had_ended_ends_its_task() -> None:
    """Though its coordinator died."""
    run = fan_out()
    sent = run.take(SubmitChunk)
    run.tell(ChunkLost(run.run_of("a"), sent.chunk.id, "gone", ended=range(10), n_succeeded=10, blameless=True))

    assert run.take(EvaluateTransitions).outcome == "succeeded"


@pytest.mark.parametrize("only", [(1, 7), range(3, 5)])
def test_only_some_items_are_run_where_the_others_have_succeeded_before(only: Items) -> None:
    """The task ends when these have."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    a = run.run_of("a")
    run.tell(TaskPrepared(a, 10, ONE_LANE, only=only))
    sent = run.take(SubmitChunk)
    assert sent.chunk.items == only
    run.tell(ChunkDone(a, sent.chunk.id, n_succeeded=2))

    held = run.state.live[a].fan_out
    assert held is not None
    assert held.n_succeeded == 10
    assert run.take(EvaluateTransitions).outcome == "succeeded"


def test_nothing_is_left_to_run_where_all_have_succeeded_before() -> None:
    """The task ends at once."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")
    run.tell(TaskPrepared(run.run_of("a"), 10, ONE_LANE, only=()))

    assert run.take(EvaluateTransitions).outcome == "succeeded"


def test_items_that_there_are_not_cannot_be_run() -> None:
    """That is a bug of ours."""
    run = Driver("tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'}]")

    with pytest.raises(IllegalTransitionError, match="not all of those that are to run"):
        run.tell(TaskPrepared(run.run_of("a"), 10, ONE_LANE, only=(10,)))
