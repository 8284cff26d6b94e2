"""Given parameters against a schema."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

import pytest

from attune_ray.errors import InvalidParametersError, Location
from attune_ray.model import apply_schema, to_json_schema

HERE = Location("given")


def applied(flat: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run with a flat schema."""
    return apply_schema(to_json_schema(flat), given, location=HERE)


def problems(flat: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the given parameters."""
    with pytest.raises(InvalidParametersError) as caught:
        applied(flat, given)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_without_a_schema_everything_passes() -> None:
    """As it is, in a dict of its own."""
    given = {"x": 1}

    result = apply_schema(None, given, location=HERE)
    assert result == given
    assert result is not given


def test_defaults_fill_what_is_missing_or_null() -> None:
    """Also inside of the objects that are given; a given value is never replaced."""
    flat = {
        "a": {"default": 1},
        "b": {"default": 2, "required": True, "type": "integer"},
        "c": {"default": 3},
        "o": {"type": "object", "properties": {"p": {"default": 80}}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"p": {"default": 80}}}},
        "absent": {"type": "object", "properties": {"p": {"default": 80}}},
    }

    assert applied(flat, {"a": None, "c": 0, "o": {}, "l": [{"p": 1}, {}]}) == {
        "a": 1,
        "b": 2,
        "c": 0,
        "o": {"p": 80},
        "l": [{"p": 1}, {"p": 80}],
    }


def test_a_default_is_copied() -> None:
    """Runs do not share it."""
    schema = to_json_schema({"a": {"default": []}})

    apply_schema(schema, {}, location=HERE)["a"].append(1)
    assert apply_schema(schema, {}, location=HERE) == {"a": []}


def test_a_default_is_not_checked_again() -> None:
    """It is the author's, who was warned."""
    assert applied({"a": {"type": "integer", "default": "x"}}, {}) == {"a": "x"}


def test_null_is_a_missing_value() -> None:
    """Unless the type takes null."""
    assert applied({"a": {"type": "string"}}, {"a": None}) == {"a": None}
    assert problems({"a": {"type": "string", "required": True}}, {"a": None}) == ["parameters.a: is missing"]
    assert applied({"a": {"type": ["string", "null"], "required": True}}, {"a": None}) == {"a": None}


def test_undeclared_parameters_pass_through() -> None:
    """Unless the schema forbids them."""
    assert applied({"a": {}}, {"b": 1}) == {"b": 1}
    schema = to_json_schema({"type": "object", "properties": {"host": {}}, "additionalProperties": False})
    with pytest.raises(InvalidParametersError) as caught:
        apply_schema(schema, {"hots": 1}, location=HERE)
    assert [str(problem) for problem in caught.value.problems] == [
        "given: parameters.hots: is not a parameter (did you mean `host`?)"
    ]


def test_all_problems_are_told_at_once() -> None:
    """Each with the path of the value."""
    flat = {
        "servers": {
            "type": "array",
            "minItems": 9,
            "items": {"type": "object", "properties": {"port": {"type": "integer", "required": True}}},
        },
        "name": {"type": "string", "required": True},
        "level": {"enum": ["a", "b"]},
        "n": {"type": "number", "minimum": 1, "maximum": 5},
        "m": {"type": "number", "minimum": 1, "maximum": 5},
        "flag": {"type": "boolean"},
    }
    given = {"servers": [{"port": 1}, {"port": "x"}, {}, 5], "level": "c", "n": 0, "m": 6, "flag": 1}

    assert sorted(problems(flat, given)) == [
        "parameters.flag: must be of type boolean; it is an integer",
        "parameters.level: must be one of a, b",
        "parameters.m: must be at most 5",
        "parameters.n: must be at least 1",
        "parameters.name: is missing",
        "parameters.servers: must have at least 9 elements",
        "parameters.servers[1].port: must be of type integer; it is a string",
        "parameters.servers[2].port: is missing",
        "parameters.servers[3]: must be of type object; it is an integer",
    ]


@pytest.mark.parametrize(("value", "fits"), [(3, True), (3.0, True), (3.5, False), (True, False), ("3", False)])
def test_an_integer_is_a_number_without_a_fraction(value: object, fits: bool) -> None:  # noqa: FBT001  # a parameter
    """JSON Schema's rule: 3.0 is one, true is not."""
    if fits:
        assert applied({"n": {"type": "integer"}}, {"n": value}) == {"n": value}
    else:
        assert len(problems({"n": {"type": "integer"}}, {"n": value})) == 1


def test_a_missing_parameter_may_be_a_misspelt_one() -> None:
    """The hint says which; else it is the description."""
    schema = to_json_schema({"servers": {"required": True}, "zone": {"required": True, "description": "where to run"}})
    with pytest.raises(InvalidParametersError) as caught:
        apply_schema(schema, {"severs": []}, location=HERE)

    assert [problem.hint for problem in caught.value.problems] == ["you gave `severs`: is that it?", "where to run"]


def test_no_problem_tells_a_value() -> None:
    """Nor, of a secret, what may be in it."""
    flat = {
        "token": {"type": "string", "secret": True, "enum": ["s3cret-a"], "pattern": "s3cret"},
        "login": {"type": "object", "secret": True, "properties": {"user": {"type": "integer"}}},
        "open": {"type": "string", "pattern": "^a+$"},
    }
    given = {"token": "s3cret-b", "login": {"user": "s3cret-c"}, "open": "hidden"}
    text = "\n".join(problems(flat, given))

    assert "hidden" not in text
    assert "s3cret" not in text
    assert "parameters.login: must be of type integer" in text


def test_a_schema_that_cannot_be_applied_is_told() -> None:
    """A reference to nowhere, or to itself, neither downloads nor hangs."""
    for reference in ("#/$defs/gone", "#/properties/a"):
        (found,) = problems({"a": {"$ref": reference}}, {"a": 1})
        assert found.startswith("parameters: the schema cannot be applied")


class Rows(Sequence[int]):
    """A list that is no ``list``, like the results of a fan-out."""

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "int | Rows":
        """Ten elements."""
        if isinstance(index, int) and index < 10:
            return index
        raise IndexError

    def __len__(self) -> int:
        """Ten."""
        return 10


def test_lazy_lists_are_arrays() -> None:
    """A sub-workflow may be given the results of a fan-out."""
    rows = Rows()

    assert applied({"a": {"type": "array", "minItems": 10}}, {"a": rows})["a"] is rows
