"""What ``attune_ray.testing`` ships: runs without a cluster, in no time."""

import asyncio
import doctest
import time
from importlib import import_module

import pytest

from attune_ray.errors import ExpressionError, InvalidParametersError, InvalidWorkflowError
from attune_ray.testing import (
    ManualClock,
    VirtualLoop,
    condition,
    evaluate,
    load_workflow,
    render,
    simulate,
)


def test_a_thousand_items_are_simulated_in_the_shape_of_the_documentation() -> None:
    """The check of a fleet: some hosts fail, one is busy at first, twenty run at once."""
    run = simulate(
        """
parameters: {hosts: {type: array, required: true}}
tasks:
  - name: check
    action: fleet.check
    with_items: "{{ parameters.hosts }}"
    concurrency: 20
    input: {host: "{{ item.name }}", port: "{{ item.port }}"}
    retry: {count: 2, delay: 30, backoff: exponential}
    tolerate: 1%
    next:
      - {when: "{{ succeeded() }}", publish: [{down: "{{ result().failed_count }}"}], do: report}
  - {name: report, action: core.echo, input: {message: "{{ task.check.succeeded_count }} up, {{ workflow.down }} down"}}
output_map: {report: "{{ task.report.stdout }}"}
""",
        parameters={"hosts": [{"name": f"h{n}", "port": 22} for n in range(1_000)]},
        actions={
            "fleet.check": {
                "by_input": {
                    "param": "host",
                    "cases": {
                        "h7": {"fail": "no route"},
                        "h8": {"attempts": [{"fail": "busy"}, {"data": {"up": True}}]},
                    },
                    "default": {"data": {"up": True}},
                },
                "sleep": 10,
            }
        },
    )

    assert (run.status, run.result) == ("completed", {"report": "999 up, 1 down", "succeeded": True})
    assert len(run.executions) == 1_000 + 2 + 1
    assert [item["item"]["name"] for item in run.run.task("check").failed_items] == ["h7"]
    assert max(execution.ended_s for execution in run.executions) == 510


def test_hours_of_virtual_time_take_none() -> None:
    """The loop jumps to the next timer."""
    began = time.perf_counter()
    run = simulate(
        "tasks: [{name: a, action: t.x, delay: 86400, timeout: 0}]", actions={"t.x": {"data": 1, "sleep": 86_400}}
    )

    assert (run.executions[0].started_s, run.executions[0].ended_s) == (86_400, 172_800)
    assert time.perf_counter() - began < 60


def test_a_script_may_differ_by_run_attempt_and_input() -> None:
    """The last one of a list repeats; what stands beside it goes for all."""
    run = simulate(
        """
tasks:
  - {name: begin, action: t.fine, next: [{do: a}]}
  - name: a
    action: t.x
    retry: {count: 1}
    input: {n: "{{ workflow.n }}"}
    next:
      - {publish: [{n: "{{ workflow.n + 1 }}"}]}
      - {when: "{{ workflow.n < 3 }}", do: a}
vars: {n: 0}
""",
        actions={
            "t.fine": {"data": None},
            "t.x": {"runs": [{"attempts": [{"fail": "first"}, {"data": 1}]}, {"data": 2}], "sleep": 1},
        },
    )

    assert [(e.attempt, e.status, e.started_s) for e in run.executions if e.task == "a"] == [
        (1, "failed", 0),
        (2, "completed", 1),
        (1, "completed", 2),
        (1, "completed", 3),
    ]


def test_a_script_may_print_and_exit() -> None:
    """As a command does."""
    run = simulate(
        "tasks: [{name: a, action: t.out}, {name: b, action: t.bad, next: [{when: 'failed()', do: c}]},"
        " {name: c, action: t.out}]",
        actions={"t.out": {"stdout": "hello"}, "t.bad": {"fail": "no", "exit_code": 3, "stdout": "half"}},
    )
    good, bad = run.run.task("a").result, run.run.task("b").result

    assert good is not None
    assert bad is not None
    assert good["stdout"] == "hello"
    assert [bad[key] for key in ("exit_code", "stdout", "error", "succeeded")] == [3, "half", "no", False]


def test_schemas_of_actions_fill_in_their_defaults() -> None:
    """And refuse what does not fit, as a failure of the item."""
    schema = {"host": {"type": "string", "required": True}, "port": {"type": "integer", "default": 22}}
    run = simulate(
        "tasks: [{name: a, action: t.x, with_items: ['h', 5], input: {host: '{{ item }}'}}]",
        actions={"t.x": {"echo_input": True}},
        action_schemas={"t.x": schema},
    )

    assert [execution.input for execution in run.executions] == [{"host": "h", "port": 22}]
    assert [item["index"] for item in run.run.task("a").failed_items] == [1]


def test_core_actions_without_a_script_are_the_real_ones() -> None:
    """And those with one are played."""
    yaml = "tasks: [{name: a, action: core.echo, input: {message: real}}]"

    real, played = simulate(yaml), simulate(yaml, actions={"core.echo": {"data": "played"}})

    assert real.run.task("a").result == {**(real.run.task("a").result or {}), "stdout": "real"}
    assert (played.run.task("a").result or {})["data"] == "played"


def test_bad_workflows_and_parameters_are_refused_before_anything_runs() -> None:
    """With all their problems."""
    with pytest.raises(InvalidWorkflowError):
        simulate("tasks: [{name: a}]")
    with pytest.raises(InvalidParametersError):
        simulate("tasks: [{name: a, action: core.noop}]\nparameters: {n: {type: integer, required: true}}")


def test_a_loaded_workflow_runs_as_its_text_does() -> None:
    """So that a file is parsed once for many simulations."""
    text = "tasks: [{name: a, action: t.x}]\noutput_map: {x: '{{ task.a.data }}'}"

    assert simulate(load_workflow(text), actions={"t.x": {"data": 1}}).result == {"x": 1, "succeeded": True}


def test_expressions_templates_and_conditions_are_evaluated_without_a_run() -> None:
    """In a context that is written down."""
    context = {
        "parameters": {"n": 2},
        "vars": {"v": "x"},
        "task": {"a": {"up": True}},
        "item": {"k": 1},
        "index": 4,
        "last": {"result": {"code": 404}, "outcome": "failed"},
    }

    assert evaluate("parameters.n + item.k + index", context) == 7
    assert render({"a": ["{{ task.a.up }}", "{{ v }}!"]}, context) == {"a": [True, "x!"]}
    assert condition("failed() and result().code == 404", context)
    with pytest.raises(ExpressionError, match="nothing"):
        evaluate("parameters.nothing", context)


def test_the_manual_clock_moves_with_its_loop() -> None:
    """And begins at a fixed moment."""

    async def tell() -> tuple[str, str]:
        clock = ManualClock()
        before = clock.now()
        await clock.sleep(3_600.5)
        return before, clock.now()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(tell()) == ("2026-01-01T00:00:00.000000Z", "2026-01-01T01:00:00.500000Z")


def test_timers_of_the_virtual_loop_ring_in_order() -> None:
    """At their very moments, whatever was waited for first."""
    rung: list[tuple[str, float]] = []

    async def ring(name: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        rung.append((name, asyncio.get_running_loop().time()))

    async def all_of_them() -> None:
        await asyncio.gather(ring("late", 7), ring("early", 2), ring("at once", 0), ring("also early", 2))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(all_of_them())

    assert rung == [("at once", 0), ("early", 2), ("also early", 2), ("late", 7)]


@pytest.mark.parametrize("module", ["attune_ray.testing", "attune_ray.testing.simulate"])
def test_examples_in_docstrings_hold(module: str) -> None:
    """They are what a reader believes first."""
    results = doctest.testmod(import_module(module))

    assert results.attempted > 0
    assert results.failed == 0
