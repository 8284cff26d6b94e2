"""What scripts write, read as data: each format, its fall-backs and its bounds."""

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.actions.parsing import parse_output
from attune_ray.values.formats import OutputFormat


def parse(text: str, form: str) -> Any:
    """Read a text."""
    return parse_output(text, OutputFormat(form))


@pytest.mark.parametrize("form", [form.value for form in OutputFormat])
@pytest.mark.parametrize("text", ["", " ", "\n\n\t"])
def test_blank_output_holds_no_data(text: str, form: str) -> None:
    """In no format."""
    assert parse(text, form) is None


def test_text_is_never_read_as_data() -> None:
    """Even where it is JSON."""
    assert parse('{"a": 1}', "text") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}\n', {"a": 1}),
        ("[1,\n 2.0,\n null]", [1, 2.0, None]),
        ('"x"', "x"),
        ("4.0", 4.0),
        ('starting\n50 %\n{"a": 1}\n\n', {"a": 1}),
        ('log\r\n{"a": 1}\r\n', {"a": 1}),
        ('{"a": 1}\nbye', None),
        ('{"a": 1}\n{"a": 2}', {"a": 2}),
        ('"a\u2028b"', "a\u2028b"),
        ("oops", None),
        ("NaN", None),
        ("{'a': 1}", None),
        ('{"a": 1} trailing', None),
        ("[" * 300 + "]" * 300, None),
        ("[" * 100_000, None),
    ],
)
def test_json_is_the_whole_text_or_its_last_line(text: str, value: Any) -> None:
    """What is deeper than results can be is no data."""
    assert parse(text, "json") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}\n{"b": 2}\n', [{"a": 1}, {"b": 2}]),
        ('{"a": 1}\r\n\r\nprogress\r\n2\r\n', [{"a": 1}, 2]),
        ('"a\u2028b"\n1', ["a\u2028b", 1]),
        ("null", [None]),
        ("oops\nagain", None),
        (' \t[1]\n"a"\n-1\nfalse\n\x0c1\nnope\n{\n"b": 2\n}\n', [[1], "a", -1, False]),
        ("[" * 201 + "]" * 201 + "\n[1]", [[1]]),
    ],
)
def test_jsonl_is_the_lines_that_are_json(text: str, value: Any) -> None:
    """Lines that are not are log."""
    assert parse(text, "jsonl") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, yes, 010, 12:30, 1.5, ~]", {"a": 1, "b": ["x", "yes", "010", "12:30", 1.5, None]}),
        ("hello", "hello"),
        ("a: '1'\nb: \"2\"\nc: !!str 3", {"a": "1", "b": "2", "c": "3"}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: 1\na: 2", None),
        ("[a]: 1", None),
        ("a: 1\n---\nb: 2", None),
        ("a: !!python/object/apply:os.system [id]", None),
        ("a: !!int '5'", None),
        ("&a [*a]", None),
        ("*nobody", None),
        ("a: b: c", None),
        ("a: \x00", None),
        ("[" * 100_000, None),
        ("# only a comment", None),
        ("a: x\n" + " " * (1024 * 1024) + "b", None),
    ],
)
def test_yaml_is_one_document_of_json_values(text: str, value: Any) -> None:
    """Scalars are as in workflow files; tags, cycles, duplicates and what is too large or deep are refused."""
    assert parse(text, "yaml") == value


def test_an_alias_bomb_is_not_built() -> None:
    """Nine levels of ten would be a thousand million nodes."""
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    began = time.perf_counter()

    assert parse(bomb, "yaml") is None
    assert time.perf_counter() - began < 2


@given(st.text(), st.sampled_from(sorted(form.value for form in OutputFormat)))
def test_parsing_never_raises(text: str, form: str) -> None:
    """And what it gives can be stored."""
    orjson.dumps(parse(text, form))


_SNIPPETS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "'",
        "\n",
        "  ",
        "- ",
        "&a ",
        "*a",
        "!!",
        "|",
        ">",
        "a",
        "1",
        "<<",
        "?",
        "%",
        "\t",
    ]
)


@given(st.lists(_SNIPPETS, max_size=60).map("".join), st.sampled_from(["yaml", "json", "jsonl"]))
def test_parsing_never_raises_on_what_looks_like_data(text: str, form: str) -> None:
    """Half of a document, brackets that do not match, anchors in odd places."""
    orjson.dumps(parse(text, form))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_was_written_as_json_is_read_as_json(value: Any) -> None:
    """On one line, or after a log."""
    text = json.dumps(value)

    assert parse(text, "json") == value
    assert parse(f"log: [\n{text}\n", "json") == value
    assert parse(f"log: [\n{text}\n", "jsonl") == [value]
