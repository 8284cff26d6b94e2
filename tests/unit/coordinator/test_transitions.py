"""What happens at the end of a task: conditions, publishes and outputs, in one step and in file order."""

from collections.abc import Mapping
from typing import Any

import pytest

from attune_ray.testing import Simulation, simulate

OK = {"data": {"n": 3, "keys": ["x"]}}
BAD = {"fail": "no route"}


def run(tasks: str, *, rest: str = "", **scripts: Mapping[str, Any]) -> Simulation:
    """Simulate tasks whose actions are ``t.<name>``."""
    actions = {"t.ok": OK, "t.bad": BAD, **{f"t.{name}": script for name, script in scripts.items()}}
    return simulate(f"tasks: {tasks}\n{rest}", actions=actions)


def names(simulation: Simulation) -> list[str]:
    """The tasks that ran, in the order of starting."""
    return [execution.task for execution in simulation.executions]


def test_what_a_transition_publishes_is_seen_by_the_conditions_after_it() -> None:
    """Not by its own, nor by those before it."""
    simulation = run("""
  - name: a
    action: t.ok
    next:
      - {when: "{{ workflow.seen == 1 }}", do: too_early}
      - {when: "{{ workflow.seen == 0 }}", publish: [{seen: 1}]}
      - {when: "{{ workflow.seen == 1 }}", do: then, publish: [{seen: "{{ workflow.seen + 1 }}"}]}
  - {name: too_early, action: t.ok}
  - {name: then, action: t.ok}
""", rest="vars: {seen: 0}")  # fmt: skip

    assert names(simulation) == ["a", "then"]
    assert simulation.variables == {"seen": 2}


def test_entries_of_a_publish_see_those_before_them() -> None:
    """A bare name takes the whole result; other values are taken as they are, rendered if they are templates."""
    simulation = run("""
  - name: a
    action: t.ok
    next: [{publish: [{x: "{{ result().n }}"}, {y: "{{ workflow.x + 1 }}", z: [1, "{{ workflow.x }}"]}, whole]}]
""")

    assert (simulation.variables["x"], simulation.variables["y"], simulation.variables["z"]) == (3, 4, [1, 3])
    assert simulation.variables["whole"]["n"] == 3


@pytest.mark.parametrize("entry", ["r", '{r: "{{ result() }}"}', '{r: "{{ task.a }}"}'])
def test_what_is_published_is_json(entry: str) -> None:
    """As a worker sees it, and whoever goes on with the run: the names that only a view has are not in it."""
    simulation = run(f"""
  - name: a
    action: t.ok
    next:
      - do: b
        publish: [{entry}, {{again: {{in: ["{{{{ result() }}}}"]}}}}, {{n: "{{{{ result().result.n }}}}"}}]
  - name: b
    action: t.ok
    next: [{{publish: [{{keys: "{{{{ r.keys }}}}"}}, {{lost: "{{{{ r.result.keys }}}}"}}]}}]
""")
    variables = simulation.variables

    assert (type(variables["r"]), type(variables["again"]["in"][0])) == (dict, dict)
    assert (variables["n"], variables["keys"], variables["r"]) == (3, ["x"], variables["again"]["in"][0])
    assert "lost" not in variables


def test_a_publish_that_fails_keeps_the_variable_and_warns() -> None:
    """The others are published all the same, and the task is started."""
    simulation = run("""
  - name: a
    action: t.ok
    next: [{publish: [{x: "{{ result().nothing }}"}, {y: "{{ result().n }}"}], do: b}]
  - {name: b, action: t.ok}
""", rest="vars: {x: as it was}")  # fmt: skip

    assert simulation.variables == {"x": "as it was", "y": 3}
    assert names(simulation) == ["a", "b"]
    assert [("publish.x" in warning, "nothing" in warning) for warning in simulation.warnings] == [(True, True)]


@pytest.mark.parametrize(("action", "follows"), [("ok", True), ("bad", False)])
def test_a_condition_that_errors_counts_as_succeeded(action: str, follows: bool) -> None:  # noqa: FBT001  parametrized
    """And warns."""
    simulation = run(f"""
  - {{name: a, action: t.{action}, next: [{{when: "{{{{ workflow.nothing > 1 }}}}", do: b}}]}}
  - {{name: b, action: t.ok}}
""")

    assert (names(simulation) == ["a", "b"]) == follows
    assert len(simulation.warnings) == 1
    assert f"it counts as {str(follows).lower()}" in simulation.warnings[0]


@pytest.mark.parametrize(("value", "chosen"), [(1, ["one"]), (2, ["two"]), (3, ["other"])])
def test_the_default_of_a_decision_fires_only_if_no_other_branch_did(value: int, chosen: list[str]) -> None:
    """Wherever it stands; a success that leads on by itself does not count."""
    simulation = run("""
  - name: a
    action: t.given
    on_success: always
    decision:
      - {when: "{{ result().v == 1 }}", next: one}
      - {when: "{{ result().v == 2 }}", next: two}
      - {default: true, next: other}
  - {name: one, action: t.ok}
  - {name: two, action: t.ok}
  - {name: other, action: t.ok}
  - {name: always, action: t.ok}
""", given={"data": {"v": value}})  # fmt: skip

    assert sorted(names(simulation)[1:]) == sorted([*chosen, "always"])


def test_a_failure_that_starts_a_task_is_handled() -> None:
    """The task that mends sees what was wrong."""
    simulation = run("""
  - name: a
    action: t.bad
    next:
      - {when: "{{ succeeded() }}", do: never}
      - {when: "{{ failed() }}", publish: [{why: "{{ result().error }}"}], do: mend}
  - {name: never, action: t.ok}
  - {name: mend, action: t.echo, input: {why: "{{ workflow.why }}", seen: "{{ task.a.error }}"}}
""", echo={"echo_input": True})  # fmt: skip

    assert (simulation.status, names(simulation)) == ("completed", ["a", "mend"])
    assert simulation.executions[1].input == {"why": "no route", "seen": "no route"}


def test_a_failure_that_only_publishes_fails_the_run_with_its_name() -> None:
    """And the run's result says so."""
    simulation = run("""
  - {name: a, action: t.bad, next: [{when: "{{ failed() }}", publish: [{why: "{{ result().error }}"}]}]}
  - {name: b, action: t.ok}
""")

    assert simulation.status == "failed"
    assert simulation.result == {"error": "Workflow failed: 1 task(s) failed: a", "succeeded": False}
    assert simulation.variables == {"why": "no route"}


def test_an_output_that_has_no_value_is_left_out_with_a_warning() -> None:
    """The others are there, and whether the run succeeded."""
    simulation = run("[{name: a, action: t.ok}]", rest="""
output_map: {n: "{{ task.a.n }}", gone: "{{ task.a.gone }}", text: "n is {{ task.a.n }}"}
""")  # fmt: skip

    assert simulation.result == {"n": 3, "text": "n is 3", "succeeded": True}
    assert simulation.run.output == {"n": 3, "text": "n is 3"}
    assert [("output_map.gone" in warning) for warning in simulation.warnings] == [True]


def test_an_output_may_say_itself_whether_the_run_succeeded() -> None:
    """Then nothing is added."""
    simulation = run("[{name: a, action: t.ok}]", rest='output_map: {succeeded: "{{ task.a.n > 3 }}"}')

    assert (simulation.status, simulation.result) == ("completed", {"succeeded": False})


def test_when_false_skips_the_task_and_all_behind_it() -> None:
    """The run is not failed by it."""
    simulation = run("""
  - {name: a, action: t.ok, next: [{do: [b, d]}]}
  - {name: b, action: t.ok, when: "{{ task.a.n > 3 }}", next: [{do: c}]}
  - {name: c, action: t.ok}
  - {name: d, action: t.ok, when: "{{ task.a.n == 3 }}"}
""")

    assert (simulation.status, names(simulation)) == ("completed", ["a", "d"])
    assert [simulation.run.task(name).status.value for name in "abcd"] == [
        *("completed", "skipped", "not_run", "completed"),
    ]


def test_an_unknown_action_fails_its_task_and_transitions_apply() -> None:
    """Where nobody has checked the workflow against the actions beforehand."""
    simulation = run("""
  - {name: a, action: t.missing, next: [{when: "{{ failed() }}", do: b}]}
  - {name: b, action: t.echo, input: {why: "{{ task.a.error }}"}}
""", echo={"echo_input": True})  # fmt: skip

    assert simulation.status == "completed"
    assert "t.missing" in simulation.executions[0].input["why"]


def test_a_template_that_has_no_value_fails_its_task() -> None:
    """With the place of the template; nothing of it ran."""
    simulation = run("[{name: a, action: t.ok, with_items: '{{ workflow.nothing }}'}]")

    assert (simulation.status, simulation.executions) == ("failed", [])
    assert "nothing" in str(simulation.run.task("a").error)


def test_an_empty_input_inherits_the_parameters_of_the_run() -> None:
    """As they were given; an input of its own gets nothing besides."""
    simulation = simulate(
        """
parameters: {host: {type: string}, port: {type: integer, default: 22}}
tasks:
  - {name: a, action: t.echo}
  - {name: b, action: t.echo, input: {}}
  - {name: c, action: t.echo, input: {only: 1}}
""",
        parameters={"host": "h1"},
        actions={"t.echo": {"echo_input": True}},
    )

    assert {execution.task: execution.input for execution in simulation.executions} == {
        "a": {"host": "h1"},
        "b": {"host": "h1"},
        "c": {"only": 1},
    }


def test_data_edges_run_a_file_without_transitions_in_the_order_of_its_data() -> None:
    """Whatever the order in the file; independent tasks run side by side."""
    simulation = run("""
  - {name: last, action: t.echo, input: {n: "{{ task.slow.n }}", m: "{{ task.ok.n }}"}}
  - {name: slow, action: t.slow}
  - {name: ok, action: t.ok}
""", slow={"data": {"n": 1}, "sleep": 9}, echo={"echo_input": True})  # fmt: skip

    assert [(execution.task, execution.started_s) for execution in simulation.executions] == [
        ("slow", 0),
        ("ok", 0),
        ("last", 9),
    ]
    assert simulation.executions[2].input == {"n": 1, "m": 3}


def test_a_cycle_counts_to_its_end() -> None:
    """Each turn sees what the one before published."""
    simulation = run("""
  - {name: begin, action: t.ok, next: [{do: count}]}
  - name: count
    action: t.echo
    input: {n: "{{ workflow.n }}"}
    next:
      - {publish: [{n: "{{ workflow.n + 1 }}"}]}
      - {when: "{{ workflow.n < 4 }}", do: count}
      - {when: "{{ workflow.n == 4 }}", do: done}
  - {name: done, action: t.ok}
""", rest="vars: {n: 0}", echo={"echo_input": True})  # fmt: skip

    assert [execution.input["n"] for execution in simulation.executions if execution.task == "count"] == [0, 1, 2, 3]
    assert (simulation.status, names(simulation)[-1]) == ("completed", "done")


def test_two_things_that_are_polled_differently_often_meet_at_a_join() -> None:
    """The one that takes longer decides when."""
    simulation = run("""
  - {name: begin, action: t.ok, next: [{do: [p, q]}]}
  - {name: p, action: t.p, delay: 10, next: [{when: "{{ failed() }}", do: p}, {when: "{{ succeeded() }}", do: both}]}
  - {name: q, action: t.q, delay: 10, next: [{when: "{{ failed() }}", do: q}, {when: "{{ succeeded() }}", do: both}]}
  - {name: both, action: t.ok, join: all}
""", p={"runs": [BAD, BAD, OK]}, q={"runs": [BAD, BAD, BAD, BAD, OK]})  # fmt: skip

    assert simulation.status == "completed"
    assert (simulation.executions[-1].task, simulation.executions[-1].started_s) == ("both", 50)


def test_a_join_that_is_never_met_fails_the_run_and_is_named() -> None:
    """With how many of how many came."""
    simulation = run("""
  - {name: a, action: t.ok, next: [{do: both}]}
  - {name: b, action: t.bad, next: [{when: "{{ succeeded() }}", do: both}]}
  - {name: both, action: t.ok, join: 2}
""")

    assert simulation.result["error"] == "Workflow failed: 1 task(s) failed: b; join never met: both (1 of 2)"


def test_a_pure_cycle_completes_at_once_with_nothing_run() -> None:
    """The file is warned about when it is loaded."""
    simulation = run(
        "[{name: a, action: t.ok, next: [{do: b}]}, {name: b, action: t.ok, next: [{do: a}]}]",
    )

    assert (simulation.status, simulation.executions, simulation.result) == ("completed", [], {"succeeded": True})
