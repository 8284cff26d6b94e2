"""Whatever a file holds, loading it gives a workflow or tells what is wrong."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attune_ray.errors import InvalidParametersError, InvalidWorkflowError, Location
from attune_ray.model import Workflow, apply_schema, parse_workflow, to_json_schema

SETTINGS = settings(max_examples=150, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])

PIECES = [
    *("tasks:", "name: a", "action: core.noop", "- ", "\n", "  ", "\t", "{", "}", "[", "]", ": ", ", ", "&a ", "*a "),
    *(
        "<<",
        "'",
        '"',
        "|",
        ">",
        "%",
        "!!int ",
        "!x ",
        "---\n",
        "#",
        "{{ task.a }}",
        "{{",
        "}}",
        "1.0",
        "~",
        "\0",
        "\ud800",
    ),
    *("next:", "do: a", "with_items:", "workflow:", "parameters:", "é😀", "\\ud83d", "1e999", "0x", "? "),
]
NAMES = st.sampled_from(["a", "b", "c", "item", "", "é", "a.b", "1"])
EXPRESSIONS = st.sampled_from(
    [
        "{{ task.a.x }}",
        "{{ task.b }}",
        "{{ item }}",
        "{{ vars.v }}",
        "{{ nope() }}",
        "{{ 1 +",
        "x",
        "{{ result() }}",
        "😀",
    ]
)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | EXPRESSIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TASK_KEYS = [
    *(
        "input",
        "with_items",
        "batch_size",
        "concurrency",
        "retry",
        "timeout",
        "delay",
        "join",
        "when",
        "next",
        "tolerate",
    ),
    *(
        "resources",
        "worker_selector",
        "cache",
        "publish",
        "decision",
        "on_success",
        "tasks",
        "type",
        "x",
        "on_item_error",
    ),
]
TRANSITION = st.fixed_dictionaries(
    {}, optional={"when": EXPRESSIONS | ANY, "publish": ANY, "do": NAMES | st.lists(NAMES, max_size=3) | ANY}
)
TASK = st.builds(
    lambda base, more: base | more,
    st.fixed_dictionaries({"name": NAMES, "action": st.just("core.noop") | ANY}),
    st.dictionaries(st.sampled_from(TASK_KEYS), EXPRESSIONS | st.lists(TRANSITION, max_size=2) | ANY, max_size=4),
)
DOCUMENT = st.fixed_dictionaries(
    {"tasks": st.lists(TASK, max_size=4) | ANY},
    optional={"vars": ANY, "parameters": ANY, "output_map": ANY, "version": ANY, "tags": ANY, "label": ANY},
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text("ab é😀\"'\\\t\n:#-{}[]", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab ü:", max_size=3), inner, max_size=3),
    max_leaves=6,
)


def loaded(text: str) -> Workflow | None:
    """The workflow, or None where the text is none; any other error is a fault."""
    try:
        return parse_workflow(text)
    except InvalidWorkflowError as error:
        return refused(error)


def refused(error: InvalidWorkflowError | InvalidParametersError) -> None:
    """An error tells at least one problem, and each of them in words."""
    assert error.problems
    assert all(problem.message for problem in error.problems)


@SETTINGS
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40))
def test_random_text_is_a_workflow_or_an_error(pieces: list[str]) -> None:
    """Never an exception of another kind."""
    loaded("".join(pieces))


@SETTINGS
@given(DOCUMENT)
def test_random_documents_are_workflows_or_errors(document: dict[str, Any]) -> None:
    """Of any shape that JSON can have."""
    loaded(json.dumps(document))


@SETTINGS
@given(ANY, ANY)
def test_random_schemas_and_parameters_fit_or_tell(schema: Any, parameters: Any) -> None:
    """Whatever is declared, whatever is given."""
    try:
        declared = to_json_schema(schema if isinstance(schema, dict) else {"x": schema})
        apply_schema(declared, parameters if isinstance(parameters, dict) else {"x": parameters}, location=Location(""))
    except (InvalidWorkflowError, InvalidParametersError) as error:
        refused(error)


def shape(value: Any) -> Any:
    """A value without its places in the text."""
    if is_dataclass(value):
        places = {"location", "text", "warnings"}
        return {each.name: shape(getattr(value, each.name)) for each in fields(value) if each.name not in places}
    if isinstance(value, tuple | list):
        return [shape(each) for each in value]
    return repr(value)


@SETTINGS
@given(
    st.dictionaries(st.text("abc", min_size=1), VALUE, max_size=3), st.dictionaries(st.text("xyü:"), VALUE, max_size=3)
)
def test_json_and_yaml_say_the_same(variables: dict[str, Any], data: dict[str, Any]) -> None:
    """The same document in either notation is the same workflow."""
    data = json.loads(json.dumps(data).replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #"))
    task = {"name": "a", "action": "core.echo", "input": {"data": data, "x": "{{ vars.a }}"}, "next": [{"do": ["b"]}]}
    document = {"vars": variables, "tasks": [task, {"name": "b", "action": "core.noop", "retry": {"count": 2}}]}
    of_json = parse_workflow(json.dumps(document))

    assert shape(of_json) == shape(parse_workflow(json.dumps(document, ensure_ascii=False, indent=1)))
    assert shape(of_json) == shape(parse_workflow(yaml.safe_dump(document, allow_unicode=True, sort_keys=False)))
    assert of_json.vars == variables
