"""The state keeps its promises, and its theory says what the code does."""

import re
from collections.abc import Callable

import pytest
from engine_driver import Driver

from attune_ray.engine import RunState, SubmitChunk, state
from attune_ray.engine.state import DUE, FanOut
from attune_ray.engine.status import Phase, RunStatus, TaskStatus
from attune_ray.errors import EngineError
from attune_ray.plan import Shape

FAN_OUT = "tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}', retry: {count: 1, delay: 1}}]"


def running() -> Driver:
    """A fan-out of six items: two in flight, one that waits, three that nobody has had."""
    run = Driver(FAN_OUT)
    run.prepare("a", 6, Shape(lanes=2, width=2, first_items=1, max_items=1))
    run.chunk_done("a", failed=1, retryable=(0,))
    return run


def documented_phases() -> dict[str, set[str]]:
    """Phase → facts, as the table in the theory tells them."""
    rows = re.findall(r"^([A-Z]+)  +(?:.*?)  +(\w[\w, ]*|—)$", str(state.__doc__), flags=re.MULTILINE)
    return {phase: set() if facts == "—" else set(facts.split(", ")) for phase, facts in rows}


def test_the_table_of_phases_in_the_theory_is_the_table_in_the_code() -> None:
    """Whoever changes one of them changes both."""
    assert documented_phases() == {phase.name: {kind.__name__ for kind in kinds} for phase, kinds in DUE.items()}


def test_every_phase_has_its_row() -> None:
    """In the order in which a task run goes through them."""
    assert list(DUE) == list(Phase)


def test_a_fact_is_due_in_one_phase_only_except_for_timers() -> None:
    """So that one that comes in a later phase is late, and in an earlier one impossible."""
    kinds = [kind.__name__ for kinds in DUE.values() for kind in kinds]

    assert sorted({kind for kind in kinds if kinds.count(kind) > 1}) == ["TimerFired"]


def test_statuses_are_spelt_as_people_read_them() -> None:
    """Journals, reports and results use these words."""
    assert [status.value for status in RunStatus] == [
        *("running", "paused", "cancelling", "completed", "failed", "cancelled"),
    ]
    assert [status.value for status in TaskStatus] == [
        *("not_run", "running", "completed", "failed", "skipped", "timeout", "cancelled"),
    ]


def test_a_state_that_is_sound_is_valid() -> None:
    """The driver of these tests asks after every fact."""
    running().state.validate()


def fan_out_of(run: RunState) -> FanOut:
    """The one fan-out that is live."""
    (task_run,) = run.live.values()
    assert task_run.fan_out is not None
    return task_run.fan_out


def lose_an_item(run: RunState) -> None:
    """Forget a chunk in flight."""
    fan_out_of(run).in_flight.popitem()


def double_an_item(run: RunState) -> None:
    """Hand an item out twice and another one never."""
    fan_out = fan_out_of(run)
    (chunk, other) = fan_out.in_flight.values()
    fan_out.in_flight[other.id] = type(chunk)(id=other.id, items=chunk.items)


def lose_a_lane(run: RunState) -> None:
    """A lane that is neither free nor in flight."""
    fan_out = fan_out_of(run)
    chunk = fan_out.in_flight.popitem()[1]
    fan_out.waiting[chunk.id] = chunk


def idle(run: RunState) -> None:
    """A lane is free and items are left."""
    lose_a_lane(run)
    fan_out = fan_out_of(run)
    fan_out.free_widths.append(1)


def too_wide(run: RunState) -> None:
    """More items at once than promised."""
    fan_out = fan_out_of(run)
    for chunk_id, chunk in fan_out.in_flight.items():
        fan_out.in_flight[chunk_id] = type(chunk)(id=chunk_id, items=chunk.items, width=2)


def end_too_early(run: RunState) -> None:
    """The run has ended, its task has not."""
    run.status = RunStatus.COMPLETED


def stay_after_the_end(run: RunState) -> None:
    """A task run that has ended is still live."""
    next(iter(run.live.values())).phase = Phase.ENDED


@pytest.mark.parametrize(
    ("harm", "story"),
    [
        (lose_an_item, "has lost or doubled items"),
        (double_an_item, "holds an item twice"),
        (lose_a_lane, "has lost or doubled lanes"),
        (idle, "is idle"),
        (too_wide, "lanes|items at once"),
        (end_too_early, "completed with live task runs"),
        (stay_after_the_end, "is live and has ended"),
    ],
)
def test_validate_finds_what_is_broken(harm: Callable[[RunState], None], story: str) -> None:
    """Each invariant of the theory is looked at."""
    run = running()
    harm(run.state)

    with pytest.raises(EngineError, match=story):
        run.state.validate()


def test_memory_of_a_fan_out_is_that_of_what_is_in_flight() -> None:
    """However many items there are."""
    run = Driver(FAN_OUT)
    run.prepare("a", 1_000_000, Shape(lanes=4, first_items=100))
    fan_out = run.state.live[run.run_of("a")].fan_out
    assert fan_out is not None

    assert len(fan_out.in_flight) == 4
    assert all(isinstance(chunk.items, range) for chunk in run.submitted)
    assert sum(isinstance(order, SubmitChunk) for order in run.open) == 4
