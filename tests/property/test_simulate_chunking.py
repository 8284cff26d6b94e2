"""However items are cut and however many run at once, the results are those of one after the other."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from attune_ray.coordinator import Coordinator, RunResult, World
from attune_ray.dispatch.keeping import Recollection
from attune_ray.engine import RunState
from attune_ray.model import Task
from attune_ray.plan import Shape, build
from attune_ray.ports import RunContext, TaskOrder
from attune_ray.settings import LimitSettings
from attune_ray.testing import ManualClock, ScriptedExecutor, VirtualLoop, load_workflow
from attune_ray.testing.script import scripted_action

SCRIPTS = st.dictionaries(
    st.integers(0, 30).map(str),
    st.one_of(
        st.builds(lambda seconds: {"echo_input": True, "sleep": seconds}, st.floats(0, 50)),
        st.just({"fail": "never"}),
        st.just({"attempts": [{"fail": "at first"}, {"echo_input": True}]}),
        st.just({"attempts": [{"fail": "at first"}, {"fail": "again"}, {"echo_input": True}]}),
    ),
    max_size=12,
)
SHAPES = st.builds(
    Shape,
    lanes=st.integers(1, 6),
    width=st.none() | st.integers(1, 6),
    first_items=st.integers(1, 12),
    max_items=st.integers(1, 12),
    target_s=st.floats(0.1, 20),
)
ONE_BY_ONE = Shape(lanes=1, width=1, first_items=1, max_items=1)


class Cutting(ScriptedExecutor):
    """Opens every task in a given shape."""

    shape = ONE_BY_ONE

    async def open(self, order: TaskOrder) -> Any:
        """As scripted, but for the shape."""
        held = await super().open(order)
        held.shape = self.shape
        return held


def results(n_items: int, cases: dict[str, Any], rules: str, shape: Shape) -> RunResult:
    """Run a fan-out over ``range(n_items)``."""
    executor = Cutting({"t.x": {"by_input": {"param": "x", "cases": cases, "default": {"echo_input": True}}}})
    executor.shape = shape
    plan = build(
        load_workflow(
            f"tasks: [{{name: a, action: t.x, with_items: '{{{{ range({n_items}) }}}}', "
            f"input: {{x: '{{{{ item }}}}', i: '{{{{ index }}}}'}}, {rules}}}]"
        )
    )

    def route(task: Task) -> tuple[Any, Any]:
        return scripted_action(task.action or ""), executor

    world = World(route=route, recall=Recollection(), clock=ManualClock(), limits=LimitSettings(), max_crashes=3)
    context = RunContext(run_id="r", given={}, parameters={}, variables={})

    async def work() -> RunResult:
        return await Coordinator(plan, context, RunState(plan), world, []).run()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


@settings(max_examples=60, deadline=None)
@given(
    n_items=st.integers(0, 30),
    cases=SCRIPTS,
    rules=st.sampled_from(["retry: {count: 1}", "retry: {count: 2, delay: 3}", "tolerate: 3", "timeout: 20"]),
    shape=SHAPES,
)
def test_any_cut_gives_the_results_of_one_by_one(n_items: int, cases: dict[str, Any], rules: str, shape: Shape) -> None:
    """Results, failures and the outcome, to the last item."""
    plain, cut = results(n_items, cases, rules, ONE_BY_ONE), results(n_items, cases, rules, shape)
    expected, found = plain.task("a").result, cut.task("a").result

    assert expected is not None
    assert found is not None
    assert (cut.status, cut.result) == (plain.status, plain.result)
    for key in ("total_count", "succeeded_count", "failed_count", "succeeded"):
        assert found[key] == expected[key]
    for key in ("results", "failed_items"):
        assert list(found[key]) == list(expected[key])
