"""A run that is paused and resumed, whenever and however often, gives what it gives undisturbed."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from random_workflows import CHILD, come_to, require_valid, workflows

from attune_ray.testing import Simulation, simulate
from attune_ray.testing.stage import RunRequest

MOMENTS = st.floats(0, 60, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(workflow=workflows(), moments=st.lists(st.tuples(MOMENTS, st.sampled_from(["pause", "resume"])), max_size=8))
def test_a_run_comes_to_the_same_whenever_it_was_paused(
    workflow: tuple[str, dict[str, Any]], moments: list[tuple[float, RunRequest]]
) -> None:
    """Every task ends in the same way, every item is run as often, every variable has the same value."""
    text, scripts = workflow
    require_valid(text)
    undisturbed = run(text, scripts, [])
    paused = run(text, scripts, [*moments, (100.0, "resume")])

    assert told(paused) == told(undisturbed)


def run(text: str, scripts: dict[str, Any], requests: list[tuple[float, RunRequest]]) -> Simulation:
    """Simulate it."""
    return simulate(text, actions=scripts, workflows={"w.child": CHILD}, requests=requests)


def told(run: Simulation) -> tuple[Any, ...]:
    """What a run has come to, and what ran of it."""
    attempts = [(e.task, e.index or 0, e.attempt, e.status) for e in [*run.executions, *run.child_executions]]
    return come_to(run.run), sorted(attempts)
