"""YAML text → nodes with their places."""

import json

import pytest

from attune_ray.errors import InvalidWorkflowError, Location
from attune_ray.model.findings import Findings
from attune_ray.model.source import MAX_BYTES, MAX_DEPTH, Map, Node, Scalar, compose


def composed(text: str) -> Node:
    """The node of a text that has no errors."""
    findings = Findings("w.yaml")
    node = compose(text, findings)
    findings.raise_errors()
    assert node is not None
    return node


def problems(text: str) -> list[str]:
    """What is wrong with a text, one line each."""
    findings = Findings("w.yaml")
    compose(text, findings)
    with pytest.raises(InvalidWorkflowError) as caught:
        findings.raise_errors()
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("12", 12),
        ("-0", 0),
        ("+5", 5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_plain_words_and_decimal_numbers_are_resolved(text: str, value: object) -> None:
    """true/false, null and decimal numbers have their value."""
    assert repr(composed(f"a: {text}").json()) == repr({"a": value})


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "12:30",
        "010",
        "0x10",
        "0o7",
        "1_000",
        "2020-01-01",
        ".inf",
        ".nan",
        "1e400",
        "18446744073709551616",
        "'1'",
        '"true"',
        "v1.0",
    ],
)
def test_whatever_else_is_plain_stays_text(text: str) -> None:
    """No word, time, date or other number turns into something that the author did not write."""
    assert composed(f"a: {text}").json() == {"a": text.strip("'\"")}


def test_a_scalar_remembers_how_it_was_written() -> None:
    """A version 1.10 is not 1.1."""
    node = composed("version: 1.10")

    assert isinstance(node, Map)
    value = node.entries[0][1]
    assert isinstance(value, Scalar)
    assert (value.value, value.text) == (1.1, "1.10")


def test_tags_choose_between_text_and_value() -> None:
    """The core tags are known."""
    assert composed('a: !!str 5\nb: !!int "5"\nc: ! 5').json() == {"a": "5", "b": 5, "c": "5"}


def test_other_tags_are_errors() -> None:
    """No object is ever made from a tag."""
    first, second = problems("a: !!python/object:os.system x\nb: !mine [1]")

    assert "tag" in first
    assert second.startswith("w.yaml:2:4: b: the tag !mine is not supported")


def test_merge_keys_are_resolved_and_own_keys_win() -> None:
    """``<<`` takes a map or a list of maps."""
    text = "base: &base {a: 1, b: 2}\none:\n  <<: *base\n  a: 9\ntwo: {<<: [*base, {c: 3}]}"

    assert composed(text).json() == {
        "base": {"a": 1, "b": 2},
        "one": {"a": 9, "b": 2},
        "two": {"a": 1, "b": 2, "c": 3},
    }


def test_a_merge_key_needs_a_map() -> None:
    """Anything else is an error."""
    assert problems("a: {<<: 5}") == ["w.yaml:1:9: a: `<<` merges maps only (name a map, as `<<: *base`)"]


def test_duplicate_and_non_text_keys_are_all_reported() -> None:
    """Every one with its place and path."""
    found = problems("a:\n  b: 1\n  b: 2\n1: x\nnull: y\n[p]: z")

    assert found == [
        "w.yaml:3:3: a: the key `b` stands in line 2 already (keep one of them)",
        "w.yaml:4:1: the key 1 must be text (put it in quotes)",
        "w.yaml:5:1: the key null must be text (put it in quotes)",
        'w.yaml:6:1: a key must be text, not a list or map (quote templates: "{{ … }}")',
    ]


def test_a_template_without_quotes_is_told_to_be_quoted() -> None:
    """To YAML it is a map within a map."""
    assert "quote templates" in problems("a: {{ x }}")[0]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: b: c", "1:5", "a text with a colon"),
        ("a:\n\t- b", "2:1", "not tabs"),
        ("a: [1, 2", "2:1", "close the bracket"),
        ('a: "x', "1:4", "close the quote"),
        ("a: 1\n b: 2", "2:3", "mapping values"),
        ("a: @x", "1:4", "in quotes"),
    ],
)
def test_syntax_errors_have_a_place_and_advice(text: str, place: str, words: str) -> None:
    """The parser's words, line and column, and what to do."""
    (problem,) = problems(text)

    assert problem.startswith(f"w.yaml:{place}: not YAML: ")
    assert words in problem


@pytest.mark.parametrize("char", ["\0", "\x07", "\x7f", "\ud800", "\ufffe"])
def test_characters_that_yaml_forbids_are_located(char: str) -> None:
    """NUL and half surrogates among them."""
    (problem,) = problems(f"a: 1\nb: x{char}")

    assert problem == f"w.yaml:2:5: the character U+{ord(char):04X} may not stand in YAML (remove it)"


def test_an_empty_text_and_a_second_document_are_errors() -> None:
    """One file, one workflow."""
    assert "empty" in problems("# nothing\n")[0]
    assert problems("a: 1\n---\nb: 2")[0].startswith("w.yaml:2:1: a second document")


def test_a_file_over_one_mebibyte_is_refused() -> None:
    """Bytes count, not characters."""
    assert "1 MiB" in problems("a: " + "é" * (MAX_BYTES // 2))[0]


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200_000])
def test_deep_nesting_is_refused_before_it_is_built(depth: int) -> None:
    """However deep, without exhausting the stack."""
    assert "nested deeper than 64 levels" in problems("[" * depth)[0]


def test_nesting_up_to_the_limit_is_read() -> None:
    """Sixty-four levels are fine."""
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert json.dumps(composed(text).json()) == text


def test_aliases_may_not_expand_without_end() -> None:
    """A bomb is counted, not built."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]

    assert "aliases expand to more than 10,000 values" in problems("\n".join(lines))[0]


def test_aliases_may_not_nest_deeper_than_the_limit() -> None:
    """What an alias brings along counts too."""
    lines = [f"a0: &a0 {'[' * 40}{']' * 40}", f"b: {'[' * 40}*a0{']' * 40}"]

    assert "nested deeper" in problems("\n".join(lines))[0]


def test_an_alias_inside_of_its_own_anchor_is_an_error() -> None:
    """No value holds itself."""
    assert "cannot hold itself" in problems("a: &a [*a]")[0]


def test_an_unknown_alias_is_an_error_with_a_suggestion() -> None:
    """The closest anchor is named."""
    assert "did you mean `base`?" in problems("a: &base 1\nb: *bass")[0]


def test_json_is_read_as_it_is() -> None:
    """Tabs, escapes, surrogate pairs and adjacent colons."""
    value = {"a": ["é", "😀", 'q"\\/\n\t', "\\ud83d\\ude00", 1.5, None, True], "b": {"c": []}}

    assert composed(json.dumps(value)).json() == value
    assert composed("\t" + json.dumps(value, indent="\t", separators=(",", ":"))).json() == value
    assert composed("# $schema=x\n\n  # y\n" + json.dumps(value)).json() == value


def test_half_a_character_in_json_is_an_error() -> None:
    """A lone surrogate is no text."""
    assert "Unicode" in problems('{"a": "\\ud83d"}')[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: see {{ x }}", (1, 8)),
        ('a: "see\\n \\u00e9 {{ x }}"', (1, 18)),
        ("a: 'it''s {{ x }}'", (1, 11)),
        ("a: |\n  one\n\n  two {{ x }}\n", (4, 7)),
        ("a: >- # folded\n  one\n  two {{ x }}\n", (3, 7)),
        ("a: &anchor !!str |\n  one {{ x }}\n", (2, 7)),
        ("a: one\n  two {{ x }}\n", (2, 7)),
    ],
)
def test_an_offset_in_a_text_is_found_in_the_file(text: str, place: tuple[int, int]) -> None:
    """In every style of scalar."""
    node = composed(text)
    assert isinstance(node, Map)
    scalar = node.entries[0][1]
    assert isinstance(scalar, Scalar)

    assert scalar.at(scalar.text.index("{{")) == Location("w.yaml", *place)
    assert scalar.at(None) == scalar.location
