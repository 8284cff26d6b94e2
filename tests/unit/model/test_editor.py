"""The schema of workflow files says what the parser reads."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import parse_workflow
from attune_ray.model.editor import FIELDS, workflow_schema
from attune_ray.model.fields import Fields

ROOT = Path(__file__).parents[3]
SCHEMA = workflow_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EVERYTHING = """
ref: p.w
label: W
tasks:
  - name: a
    action: c.d
    with-items: "{{ [1] }}"
    batch_size: 2
    concurrency: auto
    on-item-error: stop
    tolerate: 10%
    rate-limit: 1.5/m
    retry: {count: 1, delay: 1, backoff: linear, max-delay: 2, on_error: "{{ true }}"}
    cache: {ttl: 1, key: k}
    resources: {num_cpus: 0.5, num-gpus: 0, memory: 512MiB}
    next: [{when: succeeded(), publish: [x, {y: 1}], do: b}]
  - name: b
    type: parallel
    tasks:
      one: {action: c.d, input: {x: 1}}
      two: {action: c.d, timeout: 0}
    join: all
    decision: [{when: "{{ true }}", next: c}, {default: c}]
  - {name: c, action: c.d, on_success: d, on_complete: [d]}
  - {name: e, action: c.d, with_items: {source: [a, b], format: csv, columns: x, compression: gzip}}
  - {name: d, action: c.d, when: "true", worker_selector: {a: b}, permission_set_ref: x, input: ~}
parameters: {x: {type: integer, minimum: 1, secret: true}}
output: {type: object, properties: {x: {type: string}}, required: [x]}
vars: [{v: 1}]
version: 1.10
tags: one
cancellation-policy: cancel_running
x-note: ours
"""
PLACES = {
    "": "workflow",
    "tasks[0]": "task",
    "tasks[1].tasks.one": "task",
    "tasks[0].next[0]": "transition",
    "tasks[1].decision[0]": "branch",
    "tasks[0].retry": "retry",
    "tasks[0].cache": "cache",
    "tasks[0].resources": "resources",
    "tasks[3].with_items": "item_source",
}
TASK = "tasks: [{name: a, action: c.d, with_items: [1], %s}]"


def accepts(text: str) -> bool:
    """Whether the schema does, of the text as an editor reads it."""
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_it_is_a_schema() -> None:
    """By the metaschema of its draft."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_it_has_the_fields_that_the_parser_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more and no fewer, in every map of the language."""
    asked: dict[str, set[str]] = {}
    take = Fields.take

    def noted(fields: Fields, name: str) -> Any:
        asked.setdefault(fields.path, set()).add(name)
        return take(fields, name)

    monkeypatch.setattr(Fields, "take", noted)
    parse_workflow(EVERYTHING)

    assert {path: asked[path] for path in PLACES} == {path: set(FIELDS[kind]) for path, kind in PLACES.items()}


def test_a_file_with_every_field_fits() -> None:
    """In either spelling, bare or wrapped, older forms too."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(EVERYTHING))) == []
    assert list(VALIDATOR.iter_errors({"workflow": yaml.safe_load(EVERYTHING)})) == []
    assert not VALIDATOR.is_valid({"workflow": {"tasks": []}})


@pytest.mark.parametrize("path", sorted((ROOT / "workflows").glob("*.yaml")), ids=lambda path: path.name)
def test_the_workflows_that_come_with_it_fit(path: Path) -> None:
    """Each of them."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))) == []


def descriptions(schema: Any) -> Iterator[tuple[str, Any]]:
    """Name and schema of every field."""
    if isinstance(schema, dict):
        for definition in schema["$defs"].values():
            yield from definition.get("properties", {}).items()


def test_every_field_is_described() -> None:
    """In a sentence, with both spellings."""
    found = list(descriptions(SCHEMA))

    assert [name for name, field in found if not re.search(r"\w.*[.)]$", field.get("description", ""))] == []
    assert {"with_items", "with-items", "max_delay", "max-delay"} <= {name for name, _ in found}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "tasks: []",
        "tasks: {}",
        "label: x",
        "tasks: [{action: c.d}]",
        "tasks: [{name: a}]",
        "tasks: [{name: item, action: c.d}]",
        "tasks: [{name: a, action: noop}]",
        "tasks: [{name: a, type: paralell, action: c.d}]",
        "tasks: [{name: a, type: parallel}]",
        "tasks: [{name: a, action: c.d, with_items: {x: 1}}]",
        "{tasks: [{name: a, action: c.d}], cancellation_policy: stop}",
        "{tasks: [{name: a, action: c.d}], output_map: [1]}",
        "{tasks: [{name: a, action: c.d}], vars: [{a: 1, b: 2}]}",
        "{tasks: [{name: a, action: c.d}], parameters: {x: {type: text}}}",
        "{tasks: [{name: a, action: c.d}], parameters: {x: {minimum: low}}}",
        TASK % "batch_size: 0",
        TASK % "concurrency: many",
        TASK % "concurrency: 0",
        TASK % "tolerate: 101%",
        TASK % "on_item_error: ignore",
        TASK % "join: any",
        TASK % "timeout: -1",
        TASK % "delay: soon",
        TASK % "retry: 3",
        TASK % "retry: {count: 101}",
        TASK % "retry: {count: 1, backoff: exponental}",
        TASK % "rate_limit: 0.0/s",
        TASK % "rate_limit: 5/day",
        TASK % "rate_limit: 50",
        TASK % "cache: {ttl: 0}",
        TASK % "resources: {memory: 1 potato}",
        TASK % "resources: {num_cpus: -1}",
        TASK % "input: [1]",
        TASK % "next: {do: a}",
        TASK % "next: [{do: {a: 1}}]",
        TASK % "next: [{publish: 1}]",
        TASK % "decision: [{when: x}]",
    ],
)
def test_what_the_schema_refuses_the_parser_refuses(text: str) -> None:
    """Wrong types, ranges and choices; both of them."""
    assert not accepts(text)
    with pytest.raises(InvalidWorkflowError):
        parse_workflow(text)


def test_an_unknown_key_is_marked() -> None:
    """The parser warns of it."""
    text = "tasks: [{name: a, action: c.d, with_itmes: [1]}]"

    assert not accepts(text)
    assert len(parse_workflow(text).warnings) == 1
