"""The top level of a workflow file."""

import json
import pickle

import pytest
import yaml

from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import CancellationPolicy, Workflow, parse_workflow

TASK = "tasks: [{name: a, action: core.noop}]\n"


def problems(text: str) -> list[str]:
    """What is wrong with a text, one line each."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow(text, source="w.yaml")
    return [str(problem) for problem in caught.value.problems]


def warnings(text: str) -> list[str]:
    """What is odd about a valid text, one line each."""
    return [str(problem) for problem in parse_workflow(text, source="w.yaml").warnings]


def test_the_smallest_workflow_is_one_task() -> None:
    """Everything else has a default."""
    workflow = parse_workflow(TASK)

    assert [task.name for task in workflow.tasks] == ["a"]
    assert workflow.version == "1.0.0"
    assert workflow.cancellation_policy is CancellationPolicy.ALLOW_FINISH
    assert (workflow.parameters, workflow.output, workflow.warnings) == (None, None, ())
    assert (workflow.source, workflow.text) == ("<text>", TASK)


def test_every_top_level_field_is_read() -> None:
    """Each under its name."""
    text = """
ref: pack.flow
label: Flow
description: does
tags: [one, 2]
version: 1.10
parameters: {n: {type: integer}}
output: {m: {type: string}}
vars: {v: "{x}"}
output_map: {m: "{{ vars.v }}"}
cancellation_policy: cancel_running
"""
    workflow = parse_workflow(text + TASK)

    assert (workflow.ref, workflow.label, workflow.description) == ("pack.flow", "Flow", "does")
    assert (workflow.tags, workflow.version) == (("one", "2"), "1.10")
    assert workflow.parameters == {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert workflow.output == {"type": "object", "properties": {"m": {"type": "string"}}}
    assert (workflow.vars, workflow.output_map) == ({"v": "{x}"}, {"m": "{{ vars.v }}"})
    assert workflow.cancellation_policy is CancellationPolicy.CANCEL_RUNNING


def test_a_key_named_workflow_may_wrap_it_all() -> None:
    """Paths then begin with it."""
    workflow = parse_workflow("workflow:\n  tasks: [{name: a, action: core.noop}]")

    assert workflow.tasks[0].path == "workflow.tasks[0]"
    assert problems("workflow: {}") == ["w.yaml:1:11: workflow: `tasks` is missing (a workflow is a list of tasks)"]


@pytest.mark.parametrize("variables", ["{a: 1, b: [x]}", "[{a: 1}, {b: [x]}]"])
def test_variables_are_a_map_or_a_list_of_one_key_maps(variables: str) -> None:
    """Both give the same."""
    assert parse_workflow(f"vars: {variables}\n{TASK}").vars == {"a": 1, "b": ["x"]}


def test_faulty_variables_are_named() -> None:
    """Their names, their shape, their number."""
    assert problems(f'vars: {{"": 1, a.b: 2, ok-1_ü: 3}}\n{TASK}') == [
        'w.yaml:1:12: vars[""]: `` is no name of a variable (use letters, digits, _ and -)',
        'w.yaml:1:20: vars["a.b"]: `a.b` is no name of a variable (use letters, digits, _ and -)',
    ]
    assert "set already" in problems(f"vars: [{{a: 1}}, {{a: 2}}]\n{TASK}")[0]
    assert "one variable" in problems(f"vars: [{{a: 1, b: 2}}]\n{TASK}")[0]
    assert "must be a map" in problems(f"vars: 5\n{TASK}")[0]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("version: ''", "text that is not empty"),
        (f"version: '{'1' * 51}'", "at most 50 characters"),
        ("version: [1]", "must be text; it is a list"),
        (f"label: {'x' * 256}", "at most 255 characters"),
        ("tags: {a: 1}", "a list of texts"),
        ("cancellation_policy: cancel-running", "did you mean `cancel_running`?"),
        ("cancellation_policy: 5", "must be one of allow_finish, cancel_running"),
        ("output_map: {a: [1]}", "output_map.a: must be text; it is a list"),
        ("output_map: {a: }", "output_map.a: must be text; it is empty"),
        ("output_map: [a]", "must be a map"),
        ("parameters: [a]", "a schema is a map"),
    ],
)
def test_a_faulty_field_is_told_with_its_path(field: str, words: str) -> None:
    """And with what it should be."""
    (problem,) = problems(f"{field}\n{TASK}")

    assert problem.startswith("w.yaml:1:")
    assert words in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "a workflow file is a map, this is text"),
        ("[]", "a workflow file is a map, this is a list"),
        ("ref: a.b", "`tasks` is missing"),
        ("tasks: []", "tasks: `tasks` is empty"),
        ("tasks: {}", "tasks: `tasks` is empty"),
        ("tasks: 5", "tasks: `tasks` is a list of tasks"),
        ("tasks: [a]", "tasks[0]: a task is a map, this is text"),
    ],
)
def test_a_file_without_tasks_is_refused(text: str, words: str) -> None:
    """There is nothing to run."""
    (problem,) = problems(text)

    assert words in problem


def test_unknown_keys_are_warnings_with_a_suggestion() -> None:
    """Never silently ignored."""
    assert warnings(f"output-mapp: {{}}\nx-base: 1\n__chart_meta__: {{}}\n{TASK}") == [
        "w.yaml:1:1: output-mapp: unknown key `output-mapp`: it has no effect (did you mean `output_map`?)"
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """One edit, not ten runs."""
    text = """
version: ''
vars: {a b: 1}
tasks:
  - name: one
    action: nodot
    retry: {count: 0, delay: 5, max_delay: 1}
    next:
      - do: [tow]
      - publish: [5]
  - name: two
    action: core.noop
    join: many
    input: {x: "{{ task.onne.data }}", y: "{{ 1 + }}"}
output_map: {a: [1]}
"""
    found = problems(text)

    paths = [line.split(": ")[1] for line in found]
    assert paths == [
        "version",
        'vars["a b"]',
        "tasks[0].action",
        "tasks[0].retry.count",
        "tasks[0].retry.max_delay",
        "tasks[0].next[0].do[0]",
        "tasks[0].next[1].publish[0]",
        "tasks[1].join",
        "tasks[1].input.x",
        "tasks[1].input.y",
        "output_map.a",
    ]
    assert all(line.startswith("w.yaml:") for line in found)


def test_json_and_yaml_of_one_workflow_give_the_same() -> None:
    """JSON is a part of YAML."""
    document = {
        "vars": {"emoji": "😀", "tab": "\t", "n": 1.5},
        "tasks": [
            {"name": "a", "action": "core.echo", "input": {"message": "ü {{ vars.emoji }}"}, "next": [{"do": ["b"]}]},
            {"name": "b", "action": "core.noop", "timeout": 0},
        ],
    }

    def shape(workflow: Workflow) -> object:
        return workflow.vars, [(task.name, task.input, task.timeout_s, task.next[:0]) for task in workflow.tasks]

    assert shape(parse_workflow(json.dumps(document))) == shape(parse_workflow(yaml.safe_dump(document)))


def test_the_error_of_a_file_carries_its_warnings_too() -> None:
    """The misspelt key is why the right one is missing; both survive a pickle."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow("tasks: [{name: a, acton: core.noop}]")

    copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  our own
    assert [problem.message for problem in copied.problems] == ["`action` is missing"]
    assert [warning.message for warning in copied.warnings] == ["unknown key `acton`: it has no effect"]
