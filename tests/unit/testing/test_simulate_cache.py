"""``cache`` in virtual time: nothing is waited for, and yet results grow old."""

from attune_ray.testing import simulate

SCRIPTS = {"web.get": {"sleep": 10, "data": {"ok": True}}, "web.bad": {"fail": "no"}}


def started(text: str, **options: object) -> list[tuple[str, int | None, float]]:
    """What ran, and when."""
    run = simulate(text, actions=SCRIPTS, **options)  # type: ignore[arg-type]
    return [(execution.task, execution.index, execution.started_s) for execution in run.executions]


def test_a_result_is_reused_until_it_is_too_old() -> None:
    """A task that comes in time takes no time; one that comes later runs."""
    task = "action: web.get, input: {url: x}, cache: {ttl: 60}"
    text = f"""
tasks:
  - {{name: a, {task}, next: [{{do: b}}]}}
  - {{name: b, {task}, delay: 59, next: [{{do: c}}]}}
  - {{name: c, {task}, delay: 1}}
"""
    assert started(text) == [("a", None, 0.0), ("c", None, 70.0)]


def test_a_fan_out_runs_each_distinct_input_once_and_failures_each_time() -> None:
    """One after the other; what failed is never reused."""
    text = """
tasks:
  - {name: get, action: web.get, with_items: [a, b, a], input: {url: "{{ item }}"}, cache: {ttl: 60}}
  - {name: bad, action: web.bad, with_items: [a, a], input: {url: "{{ item }}"}, cache: {ttl: 60}}
"""
    assert sorted(started(text)) == [("bad", 0, 0.0), ("bad", 1, 0.0), ("get", 0, 0.0), ("get", 1, 10.0)]


def test_the_view_and_the_counts_tell_of_it() -> None:
    """``cached`` of a plain task, ``n_cached`` of any."""
    run = simulate(
        """
tasks:
  - name: a
    action: web.get
    input: {url: x}
    cache: {ttl: 60}
    next: [{publish: [{first: "{{ result().cached | default(false) }}"}], do: b}]
  - name: b
    action: web.get
    input: {url: x}
    cache: {ttl: 60}
    next: [{publish: [{second: "{{ result().cached }}"}]}]
""",
        actions=SCRIPTS,
    )
    assert run.variables == {"first": False, "second": True}
    assert [run.run.task(name).stats.n_cached for name in "ab"] == [0, 1]
    assert run.run.task("b").result["ok"] is True


def test_a_workflow_that_was_run_with_the_same_parameters_is_not_run_again() -> None:
    """A sub-workflow is an action, and its output the result."""
    run = simulate(
        """
tasks:
  - {name: all, action: child.flow, with_items: [1, 2, 1], concurrency: 1, input: {x: "{{ item }}"}, cache: {ttl: 60}}
output_map: {found: "{{ task.all.results }}"}
""",
        actions={"web.get": {"echo_input": True}},
        workflows={
            "child.flow": "tasks: [{name: t, action: web.get, input: {x: '{{ parameters.x }}'}}]\n"
            "output_map: {x: '{{ task.t.x }}'}"
        },
    )
    assert [found["x"] for found in run.result["found"]] == [1, 2, 1]
    assert [execution.input for execution in run.executions] == [{"x": 1}, {"x": 2}]


def test_a_parallel_task_and_a_question_have_no_cache() -> None:
    """It is said when the file is loaded, and changes nothing."""
    run = simulate(
        """
tasks:
  - name: group
    type: parallel
    cache: {ttl: 60}
    tasks: [{name: a, action: web.get, input: {url: x}}]
""",
        actions=SCRIPTS,
    )
    assert run.status == "completed"
