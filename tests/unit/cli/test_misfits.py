"""What is told of the actions of a file that has other problems."""

from attune_ray.cli.misfits import misfits
from attune_ray.model import read_draft

WRONG = """
tasks:
  - name: a
    action: core.ech
  - name: b
    action: core.echo
    input: {mesage: "{{ task.aa.result }}"}
  - name: c
    action: noDot
  - name: d
    type: parallel
    tasks:
      - {name: e, action: core.slep}
"""


def told(text: str, *actions: str, with_foreign: bool = True) -> list[str]:
    """Path and message of each."""
    found = misfits(read_draft(text, source="w.yaml"), actions if with_foreign else None)
    return [f"{problem.path}: {problem.message}" for problem in found]


def test_a_file_with_errors_is_held_against_the_actions_too() -> None:
    """Also an input whose template is wrong; an action that is no name at all is told once, by the draft."""
    found = told(WRONG)

    assert found == [
        "tasks[0].action: task 'a' names an unknown action 'core.ech'",
        "tasks[1].input.mesage: core.echo does not take 'mesage'",
        "tasks[3].tasks[0].action: task 'e' names an unknown action 'core.slep'",
    ]


def test_without_actions_those_of_others_are_not_looked_at() -> None:
    """They may be anywhere."""
    text = "tasks: [{name: a, action: t.x, join: many}, {name: b, action: core.ech}]"

    assert told(text, with_foreign=False) == ["tasks[1].action: task 'b' names an unknown action 'core.ech'"]


def test_what_only_follows_from_a_field_that_cannot_be_read_is_not_told() -> None:
    """An input that is no map is not a missing one."""
    head = "parameters: {type: object, properties: {}, additionalProperties: false}\n"

    assert told(head + "tasks: [{name: a, action: core.http_request, input: 3}]") == []
    assert len(told(head + "tasks: [{name: a, action: core.http_request}]")) == 1


def test_nothing_is_told_of_what_is_no_yaml() -> None:
    """There are no tasks."""
    assert told("tasks: [") == []
