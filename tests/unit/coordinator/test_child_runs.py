"""Runs that runs start: sub-workflows and parallel groups (LANGUAGE §4)."""

from attune_ray.testing import simulate

CHILD = """
parameters: {x: {type: integer, required: true}, y: {type: integer, default: 1}}
vars: {seen: no}
tasks:
  - {name: inner, action: t.echo, input: {x: "{{ parameters.x }}"}, next: [{publish: [{seen: "yes"}]}]}
output_map: {doubled: "{{ parameters.x * 2 }}", y: "{{ parameters.y }}", seen: "{{ seen }}"}
"""
PARENT = """
vars: {seen: mine}
tasks:
  - name: call
    action: w.child
    input: {x: "{{ parameters.n }}"}
output_map: {doubled: "{{ task.call.doubled }}", y: "{{ task.call.result.y }}", seen: "{{ seen }}"}
"""
ECHO = {"t.echo": {"echo_input": True}}


def test_the_output_of_a_sub_workflow_is_the_result_of_its_task() -> None:
    """Parameters are its input, with the child's defaults; variables are its own."""
    run = simulate(PARENT, parameters={"n": 21}, actions=ECHO, workflows={"w.child": CHILD})

    assert run.result == {"doubled": 42, "y": 1, "seen": "mine", "succeeded": True}
    assert [(e.task, e.status) for e in run.executions] == [("call", "completed")]
    assert [(e.task, e.input) for e in run.child_executions] == [("inner", {"x": 21})]


def test_parameters_that_do_not_fit_the_child_fail_its_task() -> None:
    """The child's schema is checked before anything of it runs."""
    run = simulate(PARENT, parameters={"n": "many"}, actions=ECHO, workflows={"w.child": CHILD})

    assert run.status == "failed"
    assert "parameters.x" in (run.run.task("call").error or "")
    assert run.child_executions == []


def test_a_failed_child_fails_its_task_with_the_child_s_error() -> None:
    """And the parent's transitions may handle it."""
    handled = PARENT.replace(
        "output_map", "    next: [{when: '{{ failed() }}', do: [fix]}]\n  - {name: fix, action: t.fix}\noutput_map"
    )
    run = simulate(
        handled,
        parameters={"n": 1},
        actions={"t.echo": {"fail": "broken"}, "t.fix": {"data": {}}},
        workflows={"w.child": CHILD},
    )

    assert run.status == "completed"
    assert run.run.task("call").error == "Workflow failed: 1 task(s) failed: inner"


def test_a_fan_out_over_a_sub_workflow_runs_one_child_per_item() -> None:
    """With its own parameters each, and results in item order."""
    text = """
tasks:
  - {name: each, action: w.child, with_items: [1, 2, 3], concurrency: 2, input: {x: "{{ item }}"}}
output_map: {doubled: "{{ task.each.results }}"}
"""
    run = simulate(text, actions={"t.echo": {"echo_input": True, "sleep": 1}}, workflows={"w.child": CHILD})

    assert [result["doubled"] for result in run.result["doubled"]] == [2, 4, 6]
    assert [(e.index, e.started_s) for e in run.executions] == [(0, 0.0), (1, 0.0), (2, 1.0)]


def test_a_workflow_that_calls_itself_is_stopped_at_the_depth_limit() -> None:
    """Sixteen levels, then the task fails and every level above it."""
    endless = "tasks: [{name: again, action: w.self, input: {n: 1}}]"
    run = simulate(endless, workflows={"w.self": endless})

    assert run.status == "failed"
    assert len(run.child_executions) == 15


def test_parallel_tasks_start_at_once_and_give_their_views_by_name() -> None:
    """They see the run's parameters and variables, and what they publish is the run's."""
    text = """
vars: {factor: 10}
tasks:
  - name: both
    type: parallel
    tasks:
      - {name: left, action: t.left, input: {n: "{{ factor }}"}, next: [{publish: [{won: left}]}]}
      - {name: right, action: t.right, input: {n: "{{ parameters.n }}"}}
    next: [{when: "{{ succeeded() }}", publish: [{total: "{{ result().left.n + result().right.n }}"}]}]
output_map: {total: "{{ total }}", won: "{{ won }}", again: "{{ task.both.right.n }}"}
"""
    run = simulate(
        text,
        parameters={"n": 5},
        actions={"t.left": {"echo_input": True, "sleep": 2}, "t.right": {"echo_input": True, "sleep": 3}},
    )

    assert run.result == {"total": 15, "won": "left", "again": 5, "succeeded": True}
    assert [(e.task, e.started_s, e.ended_s) for e in run.executions] == [
        ("both", 0.0, 3.0),
        ("left", 0.0, 2.0),
        ("right", 0.0, 3.0),
    ]


def test_a_parallel_task_fails_if_one_of_its_tasks_does_and_the_others_finish() -> None:
    """Its result holds the views of all."""
    text = """
tasks:
  - name: both
    type: parallel
    tasks: [{name: good, action: t.good}, {name: bad, action: t.bad}]
    next: [{when: "{{ failed() }}", publish: [{kept: "{{ result().good.n }}", why: "{{ result().error }}"}], do: [fix]}]
  - {name: fix, action: t.good}
output_map: {kept: "{{ kept }}", why: "{{ why }}"}
"""
    run = simulate(text, actions={"t.good": {"data": {"n": 7}, "sleep": 1}, "t.bad": {"fail": "no"}})

    assert run.result == {"kept": 7, "why": "1 of 2 sub-task(s) failed: bad (bad: no)", "succeeded": True}


def test_a_timeout_ends_a_sub_workflow_with_all_that_runs_in_it() -> None:
    """The child's attempt has overrun; nothing of it goes on."""
    slow = PARENT.replace("input: {x", "timeout: 5\n    input: {x")
    run = simulate(
        slow, parameters={"n": 1}, actions={"t.echo": {"data": {}, "sleep": 60}}, workflows={"w.child": CHILD}
    )

    assert run.status == "failed"
    assert run.run.task("call").error == "Execution timed out after 5 seconds"
    assert max(e.ended_s for e in run.executions) == 5.0


def test_the_tasks_of_a_parallel_group_see_the_item_that_they_run_for() -> None:
    """In input, conditions, publishes and items of their own, at any depth; a sub-workflow does not."""
    found = simulate(
        """
        tasks:
        - name: each
          type: parallel
          with_items: [{n: 1}, "{{ parameters.text }}"]
          tasks:
          - name: a
            action: t.a
            when: "{{ index >= 0 }}"
            input: {x: "{{ item }}"}
            next: [{when: "{{ index == 1 }}", publish: [{last: "{{ item }}"}]}]
          - {name: b, action: t.a, with_items: "{{ [index, item] }}", input: {x: "{{ item }}"}}
          - {name: c, type: parallel, tasks: [{name: d, action: t.a, input: {x: "{{ item }}"}}]}
        output_map: {last: "{{ last }}"}
        """,
        parameters={"text": "{{ 7*7 }}"},
        actions={"t.a": {"echo_input": True}},
    )

    assert found.status == "completed"
    assert found.result["last"] == "{{ 7*7 }}"
    for index, (item, view) in enumerate(zip([{"n": 1}, "{{ 7*7 }}"], found.run.task("each").results, strict=True)):
        assert view["a"]["x"] == item
        assert [one["x"] for one in view["b"]["results"]] == [index, item]
        assert view["c"]["d"]["x"] == item
