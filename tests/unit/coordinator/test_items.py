"""Fan-outs on the virtual clock: width, order, attempts, tolerance and the view of their results."""

from typing import Any

import pytest

from attune_ray.testing import Simulation, simulate

ECHO = {"echo_input": True}
ODD_FAILS = {
    "by_input": {"param": "x", "cases": {str(n): {"fail": f"{n} is odd"} for n in range(1, 100, 2)}, "default": ECHO}
}


def fan_out(rules: str, xs: Any, script: dict[str, Any], *, more: str = "", concurrency: int = 1) -> Simulation:
    """A task ``a`` over ``parameters.xs`` that hands every item to a scripted action as ``x``."""
    return simulate(
        "tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}', input: {x: '{{ item }}'}, "
        f"{rules}}}{more}]",
        parameters={"xs": xs},
        actions={"t.x": script, "t.echo": ECHO},
        default_concurrency=concurrency,
    )


def most_at_once(simulation: Simulation) -> int:
    """The largest number of items that ran at one moment."""
    moments = [execution.started_s for execution in simulation.executions]
    return max(sum(other.started_s <= moment < other.ended_s for other in simulation.executions) for moment in moments)


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 100), (3, 40), (10, 10), (99, 10)])
def test_concurrency_is_exact(concurrency: int, seconds: int) -> None:
    """Ten items of ten seconds: never more at once than promised, and never fewer while there are some."""
    simulation = fan_out(f"concurrency: {concurrency}", list(range(10)), {"data": 1, "sleep": 10})

    assert most_at_once(simulation) == min(concurrency, 10)
    assert max(execution.ended_s for execution in simulation.executions) == seconds


def test_concurrency_may_be_a_template() -> None:
    """It is looked at when the task starts."""
    simulation = fan_out("concurrency: '{{ length(parameters.xs) / 2 }}'", list(range(4)), {"data": 1, "sleep": 1})

    assert most_at_once(simulation) == 2


def test_a_concurrency_that_is_no_number_fails_the_task() -> None:
    """Before anything of it runs."""
    simulation = fan_out("concurrency: '{{ parameters.xs }}'", [1], ECHO)

    assert (simulation.status, simulation.executions) == ("failed", [])
    assert "concurrency must be an integer" in str(simulation.run.task("a").error)


def test_items_start_in_the_order_of_their_index_and_results_stand_in_it() -> None:
    """Whatever ended first."""
    slow_first = {
        "by_input": {
            "param": "x",
            "cases": {"0": {"data": "slow", "sleep": 9}},
            "default": {"data": "fast", "sleep": 1},
        }
    }
    simulation = fan_out("concurrency: 2", [0, 1, 2, 3], slow_first)

    assert [execution.index for execution in simulation.executions] == [0, 1, 2, 3]
    assert list(simulation.run.task("a").results) == ["slow", "fast", "fast", "fast"]


def test_every_item_runs_though_some_fail_and_the_view_tells_which() -> None:
    """The task fails; its results are null where an item failed."""
    simulation = fan_out("timeout: 5", [0, 1, 2, 3], ODD_FAILS)
    view = simulation.run.task("a").result

    assert view is not None
    assert (simulation.status, len(simulation.executions)) == ("failed", 4)
    assert [view[key] for key in ("total_count", "succeeded_count", "failed_count")] == [4, 2, 2]
    assert list(view["results"]) == [{"x": 0}, None, {"x": 2}, None]
    assert list(view["result"]) == list(view["results"])
    assert [dict(item) for item in view["failed_items"]] == [
        {"index": 1, "item": 1, "error": "1 is odd"},
        {"index": 3, "item": 3, "error": "3 is odd"},
    ]


@pytest.mark.parametrize(
    ("rule", "status"), [("1", "failed"), ("2", "completed"), ("49%", "failed"), ("50%", "completed")]
)
def test_tolerated_failures_leave_the_task_succeeded(rule: str, status: str) -> None:
    """They are told all the same."""
    simulation = fan_out(f"tolerate: {rule}", [0, 1, 2, 3], ODD_FAILS)

    assert simulation.status == status
    assert [item["index"] for item in simulation.run.task("a").failed_items] == [1, 3]


def test_stop_starts_no_item_after_the_first_that_failed() -> None:
    """What runs is finished; what did not run is no result and has not succeeded."""
    simulation = fan_out("concurrency: 2, on_item_error: stop", [0, 1, 2, 3, 4, 5], {**ODD_FAILS, "sleep": 1})

    assert [execution.index for execution in simulation.executions] == [0, 1, 2]
    assert list(simulation.run.task("a").results) == [{"x": 0}, None, {"x": 2}, None, None, None]
    assert simulation.status == "failed"


def test_stop_and_tolerance_of_a_core_action_run_every_item_that_they_should() -> None:
    """Many items travel in one chunk there, and the worker cuts it where an item fails."""
    simulation = simulate("""
tasks:
  - name: a
    action: core.noop
    with_items: "{{ range(40) }}"
    input: {message: x, exit_code: "{{ 1 if item in [3, 7] else 0 }}"}
    on_item_error: stop
    tolerate: 2
""")
    view = simulation.run.task("a").result

    assert view is not None
    assert (simulation.status, view["succeeded_count"], view["failed_count"]) == ("completed", 38, 2)


def test_an_empty_list_succeeds_at_once() -> None:
    """And leads on."""
    more = ", {name: b, action: t.echo, input: {n: '{{ task.a.total_count }}', r: '{{ task.a.results }}'}}"
    simulation = fan_out("next: [{do: b}]", [], ECHO, more=more)

    assert simulation.status == "completed"
    assert [execution.input for execution in simulation.executions] == [{"n": 0, "r": []}]


@pytest.mark.parametrize("value", ["text", 5, {"a": 1}, True])
def test_a_value_that_is_no_list_is_one_item(value: Any) -> None:
    """A text is not taken apart, nor is an object."""
    simulation = fan_out("timeout: 5", value, ECHO)

    assert [execution.input for execution in simulation.executions] == [{"x": value}]
    assert list(simulation.run.task("a").results) == [{"x": value}]


def test_a_batch_is_a_list_and_its_index_the_number_of_the_batch() -> None:
    """The last one may be shorter."""
    simulation = simulate(
        "tasks: [{name: a, action: t.x, with_items: '{{ range(5) }}', batch_size: 2,"
        " input: {x: '{{ item }}', i: '{{ index }}'}}]",
        actions={"t.x": ECHO},
    )

    assert [execution.input for execution in simulation.executions] == [
        {"x": [0, 1], "i": 0},
        {"x": [2, 3], "i": 1},
        {"x": [4], "i": 2},
    ]


def test_only_the_item_that_failed_is_tried_again() -> None:
    """After its delay, while the others go on; its number of the attempt counts."""
    script = {
        "by_input": {"param": "x", "cases": {"1": {"attempts": [{"fail": "busy"}, {"data": "ok"}]}}, "default": ECHO},
        "sleep": 1,
    }
    simulation = fan_out("retry: {count: 2, delay: 5}", [0, 1, 2, 3], script)

    assert [(run.index, run.attempt, run.started_s) for run in simulation.executions] == [
        (0, 1, 0),
        (1, 1, 1),
        (2, 1, 2),
        (3, 1, 3),
        (1, 2, 7),
    ]
    assert simulation.status == "completed"
    assert simulation.run.task("a").results[1] == "ok"


@pytest.mark.parametrize(
    ("rule", "starts"), [("constant", [0, 2, 4]), ("exponential", [0, 2, 6]), ("linear", [0, 2, 6])]
)
def test_attempts_come_after_the_delays_of_their_backoff(rule: str, starts: list[float]) -> None:
    """In virtual seconds, exactly."""
    simulation = simulate(
        f"tasks: [{{name: a, action: t.x, retry: {{count: 2, delay: 2, backoff: {rule}}}}}]",
        actions={"t.x": {"fail": "busy"}},
    )

    assert [run.started_s for run in simulation.executions] == starts
    assert simulation.status == "failed"


def test_only_failures_that_match_on_error_are_tried_again() -> None:
    """The condition sees the failed attempt."""
    simulation = fan_out(
        "retry: {count: 1, on_error: \"{{ 'busy' in result().error }}\"}",
        ["a", "b"],
        {"by_input": {"param": "x", "cases": {"a": {"fail": "busy now"}}, "default": {"fail": "wrong"}}},
    )

    assert [(run.index, run.attempt) for run in simulation.executions] == [(0, 1), (0, 2), (1, 1)]


def test_the_input_is_rendered_once_for_all_attempts() -> None:
    """What another task publishes in the meantime is not seen."""
    simulation = simulate(
        """
vars: {v: before}
tasks:
  - {name: a, action: t.x, input: {v: "{{ workflow.v }}"}, retry: {count: 1, delay: 60}}
  - {name: b, action: t.echo, input: {k: 1}, next: [{publish: [{v: after}]}]}
""",
        actions={"t.x": {"fail": "busy"}, "t.echo": {**ECHO, "sleep": 1}},
    )

    assert [run.input for run in simulation.executions if run.task == "a"] == [{"v": "before"}] * 2
    assert simulation.variables == {"v": "after"}


def test_a_timeout_fails_the_attempt_and_says_so() -> None:
    """It is a failure like others: it may be tried again, and ``failed()`` holds."""
    simulation = simulate(
        """
tasks:
  - name: a
    action: t.slow
    timeout: 3
    retry: {count: 1}
    next:
      - {when: "{{ timed_out() }}", do: never}
      - {when: "{{ failed() and result().timed_out }}", publish: [{why: "{{ result().error }}"}], do: b}
  - {name: never, action: t.slow}
  - {name: b, action: core.noop, input: {message: x}}
""",
        actions={"t.slow": {"data": 1, "sleep": 100}},
    )

    assert [(run.task, run.started_s, run.ended_s) for run in simulation.executions] == [("a", 0, 3), ("a", 3, 6)]
    assert simulation.variables == {"why": "Execution timed out after 3 seconds"}
    assert simulation.status == "completed"


def test_a_timeout_of_nought_is_none() -> None:
    """The attempt may take as long as it likes."""
    simulation = simulate("tasks: [{name: a, action: t.x, timeout: 0}]", actions={"t.x": {"data": 1, "sleep": 9e6}})

    assert simulation.status == "completed"


def test_a_delay_passes_before_the_task_is_prepared() -> None:
    """It sees what was published in the meantime."""
    simulation = simulate(
        """
vars: {v: before}
tasks:
  - {name: a, action: t.echo, delay: 30, input: {v: "{{ workflow.v }}"}}
  - {name: b, action: t.slow, next: [{publish: [{v: after}]}]}
""",
        actions={"t.echo": ECHO, "t.slow": {"data": 1, "sleep": 5}},
    )

    assert [(run.started_s, run.input) for run in simulation.executions if run.task == "a"] == [(30, {"v": "after"})]


def test_items_that_look_like_templates_arrive_verbatim() -> None:
    """Data is never a template."""
    simulation = fan_out("timeout: 5", ["{{ 1 + 1 }}", "{% raw"], ECHO)

    assert [run.input["x"] for run in simulation.executions] == ["{{ 1 + 1 }}", "{% raw"]
