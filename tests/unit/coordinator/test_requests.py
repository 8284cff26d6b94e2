"""Pause, resume and cancel, as somebody asks for them while a run goes on, down through the runs below."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from attune_ray import Engine
from attune_ray.errors import UsageError
from attune_ray.testing import Simulation, simulate

FIVE = {"data": 1, "sleep": 5}
CHAIN = """
cancellation_policy: %s
tasks:
  - {name: a, action: t.x, next: [{publish: [{seen: "{{ result().data }}"}], do: [b]}]}
  - {name: b, action: t.x}
output_map: {seen: "{{ seen }}"}
"""
CHILD = """
cancellation_policy: cancel_running
tasks: [{name: one, action: t.x, next: [{do: two}]}, {name: two, action: t.x}]
output_map: {got: "{{ task.two.data }}"}
"""
PARENT = "tasks: [{name: call, action: w.child}]\noutput_map: {got: '{{ task.call.got }}'}"
GROUP = """
tasks:
  - name: both
    type: parallel
    tasks:
      - {name: quick, action: t.quick, next: [{publish: [{found: "{{ result().data }}"}]}]}
      - {name: slow, action: t.x, next: [{do: after}]}
      - {name: after, action: t.x}
"""


def statuses(run: Simulation) -> dict[str, str]:
    """How each task stands at the end."""
    return {name: task.status.value for name, task in run.run.tasks.items()}


def times(run: Simulation) -> list[tuple[str, float, float, str]]:
    """Every attempt: task, start, end, status."""
    return [(e.task, e.started_s, e.ended_s, e.status) for e in [*run.executions, *run.child_executions]]


@pytest.mark.parametrize(
    ("policy", "ended_s", "status"), [("allow_finish", 5.0, "completed"), ("cancel_running", 2.0, "cancelled")]
)
def test_the_workflow_s_policy_says_what_a_cancel_does(policy: str, ended_s: float, status: str) -> None:
    """Where whoever cancels does not."""
    run = simulate(CHAIN % policy, actions={"t.x": FIVE}, requests=[(2, "cancel")])

    assert (run.status, run.result) == ("cancelled", {"error": "Workflow cancelled", "succeeded": False})
    assert times(run) == [("a", 0.0, ended_s, status)]
    assert statuses(run) == {"a": status, "b": "not_run"}


@pytest.mark.parametrize(
    ("policy", "request_", "status"),
    [("cancel_running", "allow_finish", "completed"), ("allow_finish", "cancel_running", "cancelled")],
)
def test_whoever_cancels_may_say_otherwise_than_the_policy(policy: str, request_: Any, status: str) -> None:
    """Their word counts."""
    run = simulate(CHAIN % policy, actions={"t.x": FIVE}, requests=[(2, request_)])

    assert statuses(run)["a"] == status


def test_a_paused_run_finishes_what_runs_and_goes_on_when_it_is_resumed() -> None:
    """What has ended is published; nothing is done twice."""
    asked = [(2.0, "pause"), (3.0, "pause"), (100.0, "resume"), (101.0, "resume")]
    run = simulate(CHAIN % "allow_finish", actions={"t.x": FIVE}, requests=asked)  # type: ignore[arg-type]

    assert times(run) == [("a", 0.0, 5.0, "completed"), ("b", 100.0, 105.0, "completed")]
    assert run.result == {"seen": 1, "succeeded": True}


def test_a_delay_that_passes_in_a_pause_is_not_waited_for_again() -> None:
    """And one that is longer than the pause is not shortened."""
    text = "tasks: [{name: a, action: t.x, delay: 10}, {name: b, action: t.x, delay: 200}]"
    run = simulate(text, actions={"t.x": FIVE}, requests=[(2, "pause"), (100, "resume")])

    assert times(run) == [("a", 100.0, 105.0, "completed"), ("b", 200.0, 205.0, "completed")]


def test_attempts_wait_for_the_end_of_a_pause() -> None:
    """Their delay passes meanwhile."""
    text = "tasks: [{name: a, action: t.x, retry: {count: 1, delay: 10}}]"
    script = {"attempts": [{"fail": "no", "sleep": 5}, {"data": 1}]}
    run = simulate(text, actions={"t.x": script}, requests=[(2, "pause"), (100, "resume")])

    assert times(run) == [("a", 0.0, 5.0, "failed"), ("a", 100.0, 100.0, "completed")]


@pytest.mark.parametrize("asked", ["allow_finish", "cancel_running"])
@pytest.mark.parametrize(
    ("rules", "script"),
    [
        ("delay: 3600", FIVE),
        ("retry: {count: 1, delay: 3600}", {"fail": "no"}),
    ],
    ids=["delay", "delay before another attempt"],
)
def test_delays_end_with_their_run(rules: str, script: dict[str, Any], asked: Any) -> None:
    """Under either policy; the task was cut, and says so."""
    text = f"tasks: [{{name: a, action: t.x, {rules}}}, {{name: b, action: t.b}}]"
    run = simulate(text, actions={"t.x": script, "t.b": FIVE}, requests=[(2, asked)])

    assert statuses(run)["a"] == "cancelled"
    assert run.run.task("a").result == {"succeeded": False, "cancelled": True, "error": "Execution cancelled by user"}


@pytest.mark.parametrize("asked", ["allow_finish", "cancel_running"])
@pytest.mark.parametrize("ref", ["core.sleep", "core.ask"])
def test_what_only_waits_ends_with_its_run(ref: str, asked: Any) -> None:
    """Under either policy: nobody would gain by its end."""
    text = f"tasks: [{{name: a, action: {ref}, input: {{x: 1}}}}]"
    run = simulate(text, actions={ref: {"sleep": 3600, "data": 1}}, requests=[(2, asked)])

    assert times(run) == [("a", 0.0, 2.0, "cancelled")]
    assert statuses(run) == {"a": "cancelled"}


def test_the_view_of_a_task_that_was_cut_is_there_for_what_still_ends() -> None:
    """Transitions of a task that finishes may read it."""
    text = """
vars: {seen: null}
tasks:
  - {name: cut, action: t.x, delay: 60}
  - {name: a, action: t.x, next: [{publish: [{seen: "{{ task.cut.cancelled }}"}]}]}
"""
    run = simulate(text, actions={"t.x": FIVE}, requests=[(2, "cancel")])

    assert run.variables == {"seen": True}


def test_items_that_never_started_have_neither_succeeded_nor_failed() -> None:
    """The counts say so, and the results keep their places."""
    text = "tasks: [{name: a, action: t.x, with_items: [0, 1, 2, 3, 4], concurrency: 2, input: {x: '{{ item }}'}}]"
    script = {"by_input": {"param": "x", "cases": {"0": {"fail": "no", "sleep": 3}}, "default": FIVE}}
    run = simulate(text, actions={"t.x": script}, requests=[(4, "allow_finish")])
    view = run.run.task("a").result

    assert view is not None
    assert [(e.index, e.status) for e in run.executions] == [(0, "failed"), (1, "completed"), (2, "completed")]
    assert (view["total_count"], view["succeeded_count"], view["failed_count"]) == (5, 2, 1)
    assert (list(view["results"]), view["cancelled"]) == ([None, 1, 1, None, None], True)
    assert [item["index"] for item in view["failed_items"]] == [0]


def test_a_pause_reaches_the_runs_below() -> None:
    """Sub-workflows hold their targets, and go on with their parent."""
    asked = [(2.0, "pause"), (100.0, "resume")]
    run = simulate(PARENT, actions={"t.x": FIVE}, workflows={"w.child": CHILD}, requests=asked)  # type: ignore[arg-type]

    assert [(e.task, e.started_s) for e in run.child_executions] == [("one", 0.0), ("two", 100.0)]
    assert run.result == {"got": 1, "succeeded": True}


def test_the_timeout_of_a_run_below_does_not_count_its_pause() -> None:
    """Of its 105 seconds it was paused for 98."""
    text = PARENT.replace("action: w.child", "action: w.child, timeout: %d")
    for timeout_s, status in ((8, "completed"), (6, "failed")):
        run = simulate(
            text % timeout_s,
            actions={"t.x": FIVE},
            workflows={"w.child": CHILD},
            requests=[(2, "pause"), (100, "resume")],
        )
        assert run.status == status


@pytest.mark.parametrize(
    ("asked", "ended"),
    [
        ("cancel", [("one", 0.0, 5.0, "completed")]),
        ("allow_finish", [("one", 0.0, 5.0, "completed")]),
        ("cancel_running", [("one", 0.0, 2.0, "cancelled")]),
    ],
)
def test_a_cancel_reaches_the_runs_below_in_its_own_way(asked: Any, ended: list[Any]) -> None:
    """The policy of the run that was asked counts, not that of the child."""
    run = simulate(PARENT, actions={"t.x": FIVE}, workflows={"w.child": CHILD}, requests=[(2, asked)])
    view = run.run.task("call").result

    assert times(run)[1:] == ended
    assert (run.status, statuses(run), view and view["cancelled"]) == ("cancelled", {"call": "cancelled"}, True)


def test_a_child_that_ends_well_all_the_same_is_its_task_s_end() -> None:
    """It had nothing left to start when its last task was let finish, but it is a cancelled run."""
    run = simulate(PARENT, actions={"t.x": FIVE}, workflows={"w.child": CHILD}, requests=[(7, "allow_finish")])

    assert times(run)[1:] == [("one", 0.0, 5.0, "completed"), ("two", 5.0, 10.0, "completed")]
    assert statuses(run) == {"call": "cancelled"}


def test_a_parallel_group_that_was_cut_keeps_what_its_tasks_have_done() -> None:
    """Their views, the cut ones' too, and what they have published."""
    run = simulate(GROUP, actions={"t.x": FIVE, "t.quick": {"data": 7, "sleep": 1}}, requests=[(2, "cancel_running")])
    view = run.run.task("both").result

    assert view is not None
    assert (view["cancelled"], view["quick"]["data"], view["slow"]["cancelled"]) == (True, 7, True)
    assert "after" not in view
    assert run.variables == {"found": 7}


def test_a_fan_out_over_runs_keeps_those_that_have_ended() -> None:
    """Those that were cut with it have neither succeeded nor failed."""
    text = "tasks: [{name: each, action: w.child, with_items: [0, 1, 2, 3, 4], concurrency: 2, input: {x: 1}}]"
    run = simulate(text, actions={"t.x": FIVE}, workflows={"w.child": CHILD}, requests=[(12, "cancel_running")])
    view = run.run.task("each").result

    assert view is not None
    assert (view["total_count"], view["succeeded_count"], view["failed_count"]) == (5, 2, 0)
    assert [value and value["got"] for value in view["results"]] == [1, 1, None, None, None]
    assert [e.status for e in run.executions] == ["completed", "completed", "cancelled", "cancelled"]


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    while not holds():  # noqa: ASYNC110  an engine tells nobody that asks
        await asyncio.sleep(0)


LONG = """
tasks:
  - {name: one, action: core.noop, next: [{do: two}]}
  - {name: two, action: core.sleep, input: {seconds: 3600}}
"""


@pytest.mark.parametrize("asked", ["allow_finish", "cancel_running"])
def test_a_cancel_in_the_breath_in_which_a_child_starts_reaches_it(asked: Any) -> None:
    """Whatever comes first: it is told by its parent, or reads its parent's state when it begins."""
    for turns in range(12):
        result = asyncio.run(_cancelled_after(turns, running=asked == "cancel_running"))
        assert result == "cancelled"


async def _cancelled_after(turns: int, *, running: bool) -> str:
    """Cancel a run whose child would sleep an hour, after some turns of the loop."""
    engine = Engine(workflows={"w.child": LONG})
    run = asyncio.create_task(engine.arun("tasks: [{name: call, action: w.child}]"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await until(lambda: bool(engine.live))
    engine.cancel(running=running)
    return (await asyncio.wait_for(run, 30)).status.value


ASK = """
ref: demo.gate
tasks:
  - {name: gate, action: core.ask, input: {prompt: "Go?"}, next: [{do: go}]}
  - {name: go, action: core.noop}
"""


async def test_a_question_can_be_answered_while_its_run_is_paused() -> None:
    """What follows the answer waits for the resume."""
    engine = Engine()
    run = asyncio.create_task(engine.arun(ASK, run_id="r1"))
    await until(lambda: bool(engine.questions))
    engine.pause("r1")
    await until(lambda: engine.live[0].status != "running")
    assert [(live.id, live.workflow, live.status) for live in engine.live] == [("r1", "demo.gate", "paused")]

    engine.answer("r1", "gate", True)
    await until(lambda: not engine.questions)
    assert engine.live[0].status == "paused"
    engine.resume("r1")

    assert (await run).status == "completed"
    assert engine.live == []


async def test_one_run_of_many_is_cancelled_by_its_id() -> None:
    """From another thread; the others go on."""
    engine = Engine()
    first, second = (asyncio.create_task(engine.arun(ASK, run_id=name)) for name in ("r1", "r2"))
    await until(lambda: len(engine.questions) == 2)
    await asyncio.to_thread(engine.cancel, "r1")

    assert (await first).status == "cancelled"
    assert [live.id for live in engine.live] == ["r2"]
    engine.answer("r2", "gate", True)
    assert (await second).status == "completed"


async def test_a_run_that_is_not_live_is_told_with_those_that_are() -> None:
    """Whatever is asked of it."""
    engine = Engine()
    with pytest.raises(UsageError, match="no run r1 is live; live runs: none"):
        engine.cancel("r1")
    run = asyncio.create_task(engine.arun(ASK, run_id="r2"))
    await until(lambda: bool(engine.questions))
    for ask in (engine.cancel, engine.pause, engine.resume):
        with pytest.raises(UsageError, match="no run r1 is live; live runs: r2"):
            ask("r1")
    engine.cancel()
    await run


HANDLED = """
tasks:
  - {name: call, action: demo.gate, next: [{when: "{{ failed() }}", do: [fix]}]}
  - {name: fix, action: core.noop}
"""


async def test_a_run_below_that_is_cancelled_alone_fails_its_task() -> None:
    """The run above has not been cancelled: its transitions apply."""
    engine = Engine(workflows={"demo.gate": ASK})
    run = asyncio.create_task(engine.arun(HANDLED, run_id="r1"))
    await until(lambda: bool(engine.questions))
    assert [(live.id, live.workflow) for live in engine.live] == [("r1", "<text>"), ("r1/call", "demo.gate")]
    engine.cancel("r1/call")
    result = await run

    assert [result.status, result.task("call").status, result.task("fix").status] == [
        "completed",
        "failed",
        "completed",
    ]
    assert result.task("call").error == "Workflow cancelled"
