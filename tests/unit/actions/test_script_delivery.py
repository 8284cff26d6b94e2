"""Parameters as text: each format, what must not be read as anything else, and what cannot be written."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.actions.delivery import plain_parameters, to_text
from attune_ray.errors import PermanentError
from attune_ray.expression import LazyList
from attune_ray.values.formats import ParameterFormat

HOSTILE = "a'b\"c`id`$(id);|&\\ {{ 7*7 }} {% x %} \x1b[31m __class__ ✓"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Numbers(LazyList):
    """A list that is read when it is asked."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return [1, 2][index]


def dotenv(**parameters: Any) -> str:
    """The parameters as dotenv."""
    return to_text(parameters, ParameterFormat.DOTENV)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, ""),
        ({"b": "x", "a": 1}, "a='1'\nb='x'"),
        ({"yes": True, "no": False, "none": None}, "no='false'\nnone=''\nyes='true'"),
        ({"whole": 4.0, "half": 0.5, "big": 1e20}, "big='1e+20'\nhalf='0.5'\nwhole='4.0'"),
        ({"deep": {"b": {"c": "x"}, "a": 1}, "empty": {}}, "deep.a='1'\ndeep.b.c='x'"),
        (
            {"list": [1, "a b", None, {"b": 1, "a": []}], "none": []},
            """list='[1,"a b",null,{"a":[],"b":1}]'\nnone='[]'""",
        ),
        ({"text": "it's"}, "text='it'\\''s'"),
        ({"lines": "one\ntwo"}, "lines='one\ntwo'"),
        ({"name": "ünï ✓"}, "name='ünï ✓'"),
        ({"headers": {"Content-Type": "x"}}, "headers.Content-Type='x'"),
    ],
)
def test_dotenv_is_sorted_lines_of_quoted_text(parameters: dict[str, Any], text: str) -> None:
    """Nested names are dotted, empty objects left out, lists compact JSON, null empty."""
    assert to_text(parameters, ParameterFormat.DOTENV) == text


@pytest.mark.parametrize("name", ["a b", "a=b", "x\nPATH", "a'", "$(id)", "a;b", "", "nul\0", "`id`", "#x"])
def test_a_name_that_a_reader_of_dotenv_could_run_or_split_is_refused(name: str) -> None:
    """Keys of nested objects may come from data: ``headers.x; rm -rf ~='1'`` must not reach an ``eval``."""
    with pytest.raises(PermanentError, match="cannot stand in dotenv: use parameter_format json"):
        dotenv(**{name: 1})
    if name:
        with pytest.raises(PermanentError):
            dotenv(headers={name: 1})


def test_json_is_one_line() -> None:
    """Line ends and control characters are escaped, all else is as it is."""
    text = to_text({"b": HOSTILE, "a": "l1\nl2\0"}, ParameterFormat.JSON)

    assert json.loads(text) == {"b": HOSTILE, "a": "l1\nl2\0"}
    assert "\n" not in text


@pytest.mark.parametrize(
    "text", ["yes", "1e3", "0o7", "010", "12:30", "null", "~", "", "a: b", "# x", "<<", "- a", "=", HOSTILE]
)
def test_text_is_text_in_every_yaml(text: str) -> None:
    """YAML 1.1 and 1.2 do not agree on plain scalars, so what looks like one is quoted."""
    written = to_text({"value": text, text: 1}, ParameterFormat.YAML)

    assert yaml.safe_load(written) == {"value": text, text: 1}
    assert written.startswith(('value: "', "value: '", "value: a"))


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_yaml_and_json_hold_the_same_parameters(parameters: dict[str, Any]) -> None:
    """Both are read back as they were, whatever texts, names and numbers are in them."""
    parameters = plain_parameters(parameters)

    assert json.loads(to_text(parameters, ParameterFormat.JSON)) == parameters
    assert yaml.safe_load(to_text(parameters, ParameterFormat.YAML)) == parameters


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_dotenv_is_written_or_refused(parameters: dict[str, Any]) -> None:
    """There is no third way."""
    try:
        to_text(parameters, ParameterFormat.DOTENV)
    except PermanentError:
        return


def test_lazy_lists_are_read_and_bytes_are_text() -> None:
    """A script gets plain JSON, whatever the input's values are made of."""
    assert plain_parameters({"items": Numbers(), "raw": "é".encode()}) == {"items": [1, 2], "raw": "é"}


@pytest.mark.parametrize("value", [object(), b"\xff", {1: 2}, "\ud800", 2**64])
def test_what_is_no_json_fails_for_good(value: Any) -> None:
    """Another attempt would not mend it."""
    with pytest.raises(PermanentError, match="cannot be handed to a script"):
        plain_parameters({"value": value})


def nested(depth: int) -> dict[str, Any]:
    """An object in an object in an object."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("depth", [100, 200, 5_000])
def test_deep_parameters_are_written_or_refused(depth: int) -> None:
    """Never a RecursionError."""
    for form in ParameterFormat:
        try:
            to_text(plain_parameters(nested(depth)), form)
        except PermanentError:
            continue
