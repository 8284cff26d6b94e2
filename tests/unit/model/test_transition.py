"""``next`` and the older fields that become it."""

from typing import Any

import pytest

from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import Task, parse_workflow

OTHERS = "\n- {name: b, action: c.d}\n- {name: c, action: c.d}\n- {name: d, action: c.d}"


def read(fields: str) -> Task:
    """Task a with these fields, beside b, c and d."""
    return parse_workflow(f"tasks:\n- {{name: a, action: c.d, {fields}}}{OTHERS}").tasks[0]


def following(fields: str) -> list[tuple[str | None, list[Any], list[str]]]:
    """(when, publish, do) of each transition of a task with these fields."""
    return [(each.when, list(each.publish), list(each.do)) for each in read(fields).next]


def problem(fields: str) -> str:
    """What is wrong with a task with these fields."""
    with pytest.raises(InvalidWorkflowError) as caught:
        read(fields)
    (found,) = caught.value.problems
    return f"{found.path}: {found.message} ({found.hint})"


def test_transitions_keep_their_order() -> None:
    """And everything that they say."""
    fields = (
        'next: [{when: "{{ failed() }}", publish: [{x: 1, y: [2]}, whole], do: [b, c]}, {do: d}, {publish: {z: 3}}]'
    )

    assert following(fields) == [
        ("{{ failed() }}", [{"x": 1, "y": [2]}, "whole"], ["b", "c"]),
        (None, [], ["d"]),
        (None, [{"z": 3}], []),
    ]


def test_a_transition_knows_its_line() -> None:
    """For whoever reports on it."""
    text = "tasks:\n- name: a\n  action: c.d\n  next:\n  - do: a2\n- {name: a2, action: c.d}"

    assert str(parse_workflow(text, source="w.yaml").tasks[0].next[0].location) == "w.yaml:5:5"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("next: b", "next: `next` is a list of transitions"),
        ("next: {do: b}", "next: `next` is a list of transitions"),
        ("next: [b]", "next[0]: a transition is a map, this is text (write"),
        ("next: [{do: {b: 1}}]", "next[0].do: must be text or a list of texts"),
        ("next: [{do: [[b]]}]", "next[0].do[0]: must be text; it is a list"),
        ("next: [{publish: x}]", "next[0].publish: `publish` is a list"),
        ("next: [{publish: [5]}]", "next[0].publish[0]: must be `name: value`, or a bare name"),
        ("next: [{publish: [a.b]}]", "next[0].publish[0]: `a.b` is no name of a variable"),
        ("next: [{publish: {a.b: 1}}]", "`a.b` is no name of a variable"),
        ("decision: [{when: x}]", "decision[0]: the branch names no task"),
        ("decision: b", "decision: must be a list"),
        ("on_success: {b: 1}", "on_success: must be text or a list of texts"),
        ("on_failure: nope", "on_failure: there is no task `nope`"),
    ],
)
def test_a_faulty_transition_is_told(fields: str, words: str) -> None:
    """With its path and what to do."""
    assert words in problem(fields)


def test_older_fields_become_transitions_in_a_fixed_order() -> None:
    """Success, failure, complete, timeout, decisions; not the order of the file."""
    fields = "decision: [{when: vars.x, next: b}], on_timeout: d, on_complete: c, on_failure: [b, c], on_success: b"

    assert following(f"{fields}") == [
        ("{{ succeeded() }}", [], ["b"]),
        ("{{ failed() }}", [], ["b", "c"]),
        (None, [], ["c"]),
        ("{{ timed_out() }}", [], ["d"]),
        ("vars.x", [], ["b"]),
    ]


def test_next_wins_over_older_fields_with_a_warning() -> None:
    """They are not mixed."""
    fields = "on_success: b, publish: [{x: 1}], next: [{do: c}]"

    assert following(fields) == [(None, [], ["c"])]
    text = f"tasks:\n- {{name: a, action: c.d, {fields}}}{OTHERS}"
    assert [problem.path for problem in parse_workflow(text).warnings] == ["tasks[0].on_success", "tasks[0].publish"]


@pytest.mark.parametrize("empty", ["[]", "~", ""])
def test_an_empty_next_is_no_next(empty: str) -> None:
    """The older fields hold then."""
    assert following(f"next: {empty}, on_success: b") == [("{{ succeeded() }}", [], ["b"])]


@pytest.mark.parametrize("default", ["{default: d}", "{default: true, next: d}", "{default: [d]}"])
def test_a_default_branch_is_marked(default: str) -> None:
    """It fires only if no other branch did."""
    transitions = read(f'decision: [{{when: "{{{{ parameters.x }}}}", next: b}}, {default}]').next

    assert [(each.do, each.when, each.default, each.decision) for each in transitions] == [
        (("b",), "{{ parameters.x }}", False, True),
        (("d",), None, True, True),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("on_failure: b, on_success: c", [("{{ succeeded() }}", [{"x": 1}], ["c"]), ("{{ failed() }}", [], ["b"])]),
        ("on_failure: b, on_complete: c", [("{{ failed() }}", [{"x": 1}], ["b"]), (None, [], ["c"])]),
        ("on_success: ", [("{{ succeeded() }}", [{"x": 1}], [])]),
        (
            "on_failure: b, decision: [{when: not succeeded(), next: c}]",
            [("{{ failed() }}", [], ["b"]), ("not succeeded()", [{"x": 1}], ["c"])],
        ),
    ],
)
def test_publish_of_a_task_goes_to_success_else_to_the_first(fields: str, expected: list[object]) -> None:
    """Or to a transition of its own."""
    assert following(f"{fields}, publish: [{{x: 1}}]") == expected
