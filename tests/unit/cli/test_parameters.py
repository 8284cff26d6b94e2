"""Parameters from the command line and from files."""

import pytest

from attune_ray.cli.parameters import parse_document, parse_pair
from attune_ray.errors import InvalidWorkflowError, UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ('{"a": [1]}', {"a": [1]}),
        ("yes", "yes"),
        ("True", "True"),
        ("a=b", "a=b"),
        ("", ""),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("18446744073709551615", 2**64 - 1),
        ('"\\ud800"', '"\\ud800"'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_where_json_can_carry_it_and_else_text(text: str, value: object) -> None:
    """No digit is lost, nothing raises."""
    assert parse_pair(f"key={text}") == ("key", value)


@pytest.mark.parametrize("pair", ["key", "=value", "", "key=\udcff"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    """A usage error, in one line."""
    with pytest.raises(UsageError, match="-p "):
        parse_pair(pair)


def test_a_document_is_json_or_yaml_with_the_same_scalars_as_workflows() -> None:
    """``yes`` is a text in both."""
    assert parse_document('{"a": 1}', "p") == {"a": 1}
    assert parse_document("a: yes\nb: [1, true]\nc: 010\n", "p") == {"a": "yes", "b": [1, True], "c": "010"}


@pytest.mark.parametrize(
    ("text", "kind"), [("[1]", "a list"), ("word", "a text"), ("- a\n", "a list"), ("1", "a number")]
)
def test_a_document_that_is_no_map_is_refused(text: str, kind: str) -> None:
    """Its kind is named."""
    with pytest.raises(UsageError, match=f"must be a map of name: value, not {kind}"):
        parse_document(text, "p.yaml")


def test_a_broken_document_is_told_with_its_place() -> None:
    """As a broken workflow is."""
    with pytest.raises(InvalidWorkflowError, match=r"p\.yaml:2:\d+: not YAML"):
        parse_document("a: 1\nb: c: d\n", "p.yaml")
    with pytest.raises(UsageError, match="empty"):
        parse_document(" \n", "p.yaml")
