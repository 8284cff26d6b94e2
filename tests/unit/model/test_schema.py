"""Flat schemas and JSON Schema objects → one JSON Schema."""

from typing import Any

import pytest

from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import parse_workflow, to_json_schema

FLAT = {
    "servers": {
        "type": "array",
        "items": {"type": "object", "properties": {"port": {"type": "integer", "required": True}}},
    },
    "token": {"type": "string", "required": True, "secret": True, "description": "the token"},
    "n": {"default": 1, "minimum": 1, "maximum": 9, "enum": [1, 2]},
}


def test_a_flat_schema_becomes_an_object() -> None:
    """``required`` moves to the object around it, at every depth; ``secret`` stays."""
    assert to_json_schema(FLAT) == {
        "type": "object",
        "properties": {
            "servers": {
                "type": "array",
                "items": {"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]},
            },
            "token": {"type": "string", "secret": True, "description": "the token"},
            "n": {"default": 1, "minimum": 1, "maximum": 9, "enum": [1, 2]},
        },
        "required": ["token"],
    }


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$schema": "x", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    ],
)
def test_a_json_schema_object_stays_one(declared: dict[str, Any]) -> None:
    """With or without ``type: object``."""
    schema = to_json_schema(declared)

    assert (schema["type"], schema["properties"], schema["required"]) == (
        "object",
        {"a": {"type": "string"}},
        ["a"],
    )


def test_parameters_may_be_called_like_keywords() -> None:
    """What they hold tells them from keywords."""
    schema = to_json_schema({"type": {"type": "string"}, "properties": {"type": "object"}, "required": {}})

    assert list(schema["properties"]) == ["type", "properties", "required"]
    assert to_json_schema({}) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            "{type: strnig}",
            "parameters.x.type: must be one of string, integer, number, boolean, array, object (did you",
        ),
        ("{type: [string, nix]}", "parameters.x.type: must be one of"),
        ("{required: 'yes'}", "parameters.x.required: must be true or false"),
        ("{secret: 1}", "parameters.x.secret: must be true or false"),
        ("{enum: []}", "parameters.x.enum: must be a list of values, not empty"),
        ("{minimum: '1'}", "parameters.x.minimum: must be a number"),
        ("{minItems: -1}", "parameters.x.minItems: must be an integer of at least 0"),
        ("{items: [1]}", "parameters.x.items: must be a schema"),
        ("{items: {type: nix}}", "parameters.x.items.type: must be one of"),
        ("{properties: {y: 5}}", "parameters.x.properties.y: a schema is a map"),
        ("string", "parameters.x: a schema is a map (write `{type: string}`)"),
        ("{pattern: '('}", "no JSON Schema"),
        ("{anyOf: 5}", "no JSON Schema"),
        ("{$ref: 'http://example.com/s.json'}", "names another document"),
    ],
)
def test_a_faulty_schema_is_told_at_its_place(entry: str, words: str) -> None:
    """At load, before any parameter is given."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow(f"parameters:\n  x: {entry}\ntasks: [{{name: a, action: c.d}}]", source="w.yaml")

    (problem,) = caught.value.problems
    assert problem.location.line == 2
    assert words in str(problem)


def test_odd_keywords_and_defaults_are_warnings() -> None:
    """They have no effect, or only when the default is used."""
    text = """
parameters:
  x: {type: integer, defualt: 1}
  y: {type: integer, default: z}
  z: {type: integer, default: "{{ 1 }}"}
"""
    found = parse_workflow(f"{text}\ntasks: [{{name: a, action: c.d}}]").warnings

    assert [(problem.path, problem.hint) for problem in found] == [
        ("parameters.x.defualt", "did you mean `default`?"),
        ("parameters.y.default", ""),
    ]


def test_an_array_of_parameters_is_no_schema() -> None:
    """The root is an object."""
    with pytest.raises(InvalidWorkflowError, match="parameters are an object"):
        to_json_schema({"type": "array"})
