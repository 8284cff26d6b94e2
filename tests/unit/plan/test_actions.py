"""What a workflow asks of its actions, told where it asks."""

from typing import Any

from attune_ray.actions import Catalog, action, sources_of
from attune_ray.errors import Problem
from attune_ray.model import parse_workflow
from attune_ray.plan.actions import check_actions

TAKEN = "its parameters are (url, timeout_s=5, retries=0)"


@action("net.check")
def check(url: str, timeout_s: float = 5, *, retries: int = 0) -> str:
    """Take one required parameter and two others."""
    return f"{url}{timeout_s}{retries}"


@action("net.any")
def anything(**given: Any) -> dict[str, Any]:
    """Take whatever there is."""
    return given


def problems(text: str) -> tuple[Problem, ...]:
    """What is wrong with a workflow, given these actions."""
    catalog = Catalog(source for given in (check, anything) for source in sources_of(given))
    return check_actions(parse_workflow(text, source="w.yaml"), catalog)


def test_every_parameter_that_is_not_taken_is_told_at_its_name() -> None:
    """With the name that was meant; the missing one first."""
    text = """
tasks:
  - name: a
    action: net.check
    input:
      ulr: x
      timeout: 1
      zzz: 1
"""
    assert [str(problem) for problem in problems(text)] == [
        "w.yaml:6:7: tasks[0].input.ulr: net.check does not take 'ulr' (did you mean `url`?)",
        "w.yaml:7:7: tasks[0].input.timeout: net.check does not take 'timeout' (did you mean `timeout_s`?)",
        f"w.yaml:8:7: tasks[0].input.zzz: net.check does not take 'zzz' ({TAKEN})",
        f"w.yaml:6:7: tasks[0].input: net.check needs 'url' ({TAKEN})",
    ]


def test_an_unknown_action_is_told_at_its_name() -> None:
    """In a wrapped file, in a map of tasks, and in a sub-task."""
    text = """
workflow:
  tasks:
    a:
      type: parallel
      tasks:
        - name: b
          action: net.chek
"""
    (problem,) = problems(text)

    assert (problem.location.line, problem.location.column) == (8, 19)
    assert (problem.path, problem.hint) == ("workflow.tasks.a.tasks[0].action", "did you mean 'net.check'?")


def test_an_action_that_takes_anything_is_given_anything() -> None:
    """And one without an input what the run is given."""
    assert problems("tasks: [{name: a, action: net.any, input: {x: 1}}, {name: b, action: net.check}]") == ()


def test_without_an_input_a_closed_list_of_parameters_must_have_what_is_needed() -> None:
    """An open one may be given more than it lists."""
    task = "tasks: [{name: a, action: net.check}]"
    closed = "{type: object, properties: {uri: {type: string}}, additionalProperties: %s}"

    (problem,) = problems(f"{task}\nparameters: {closed % 'false'}")
    assert problem.message == "net.check needs 'url', which is no parameter of the workflow"
    assert problem.hint == "did you mean `uri`?"
    assert problems(f"{task}\nparameters: {closed % 'true'}") == ()
    assert problems(f"{task}\nparameters: {{uri: {{type: string}}}}") == ()


def test_a_task_that_runs_a_workflow_has_no_placement_of_its_own() -> None:
    """Its workflow's tasks do."""
    text = "tasks: [{name: a, action: p.flow, worker_selector: {zone: a}}, {name: b, action: p.flow}]"

    (problem,) = check_actions(parse_workflow(text, source="w.yaml"), Catalog(), {"p.flow"})

    assert (problem.path, problem.message) == ("tasks[0]", "task 'a' runs a workflow, which runs on no worker itself")
