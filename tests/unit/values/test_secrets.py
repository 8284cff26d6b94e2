"""Masking: every form of a secret, nothing else, and nothing where there are no secrets."""

import base64
import json
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.values.secrets import NO_SECRETS, RunSecrets, Secrets, secret_defaults, secret_parts

ODD = 'pa\'ss "wörd"/\\%&+\n\t\x1b[31m{{ 7*7 }}'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=100).filter(
    lambda text: len(text.strip()) >= 4 and text.strip().lower() not in {"true", "false", "null", "none"}
)


@pytest.mark.parametrize(
    "form",
    [
        ODD,
        json.dumps(ODD),
        json.dumps(ODD, ensure_ascii=False),
        json.dumps(json.dumps(ODD)),
        repr(ODD),
        ascii(ODD),
        shlex.quote(ODD),
        quote(ODD),
        quote(ODD, safe=""),
        quote_plus(ODD),
        quote(ODD, safe="").lower(),
        urlencode({"q": ODD}),
    ],
)
def test_every_form_of_a_secret_is_masked(form: str) -> None:
    """What writing it out makes of it."""
    masked = Secrets.of([ODD]).mask(f"before {form} after")

    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    assert "ss" not in masked
    assert "7*7" not in masked


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "someone:"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_masked_at_any_offset(before: str, after: str, encode: Any) -> None:
    """A password within the credentials of basic authentication."""
    secret = "correct-horse?>~battery"  # noqa: S105  made up
    encoded = encode(f"{before}{secret}{after}".encode()).decode()

    masked = Secrets.of([secret]).mask(encoded)

    assert "***" in masked
    assert len(masked) < len(encoded) - len(secret) + 3


@given(TEXTS, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_never_left(secret: str, before: str, after: str) -> None:
    """Wherever it stands in a text."""
    masked = Secrets.of([secret]).mask(f"{before}{secret}{after}")

    assert "***" in masked
    assert secret.strip() not in masked.replace("***", "") or secret.strip() in f"{before} {after}"


@given(st.text(st.characters(), max_size=40))
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    """Halves of characters, too."""
    assert Secrets.of(["no text of hypothesis is this one"]).mask(text) == text
    assert NO_SECRETS.mask(text) is text


def test_the_longest_secret_wins_and_neighbours_are_one_mask() -> None:
    """One that begins as another does is masked whole."""
    secrets = Secrets.of(["token", "token-of-admin"])

    assert secrets.mask("token-of-admin, token, tokentoken") == "***, ***, ***"


def test_lines_and_parts_of_long_secrets_are_masked() -> None:
    """A script may show the last lines of a key; a long token may be cut."""
    lines = [f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{number:032}" for number in range(4)]
    token = "".join(f"{number:04}" for number in range(100))
    secrets = Secrets.of(["\n".join(lines), token])

    assert secrets.mask(f"bad key: {lines[2]}") == "bad key: ***"
    assert secrets.mask(f"bad token: {token[:130]}") == f"bad token: ***{token[128:130]}"


def test_what_is_too_short_or_a_common_word_is_not_looked_for() -> None:
    """Masking it would take other words along."""
    secrets = Secrets.of(["abc", "true", "None", 12, True, None, "    "])

    assert not secrets
    assert secrets.mask("abc true None 12") == "abc true None 12"


def test_numbers_are_masked_as_they_are_written() -> None:
    """In texts, and as values."""
    secrets = Secrets.of([{"pin": 918273}])

    assert secrets.mask("pin 918273") == "pin ***"
    assert secrets.masked({"a": [918273, 1, None, True]}) == {"a": ["***", 1, None, True]}


def test_values_are_masked_deeply_and_keep_their_shape() -> None:
    """Keys too."""
    assert Secrets.of(["hunter22"]).masked({"a": ["x hunter22", {"hunter22": 1.5}]}) == {"a": ["x ***", {"***": 1.5}]}


def test_many_secrets_are_found_in_one_pass() -> None:
    """A keystore of a thousand."""
    secrets = Secrets.of([f"secret-number-{number:04}" for number in range(1_000)])

    assert secrets.mask("secret-number-0007 and secret-number-0999") == "*** and ***"


def test_too_many_to_look_for_hide_the_whole_text() -> None:
    """In doubt nothing is shown."""
    secrets = Secrets.of(f"{number:064}{number * 7919:064}" for number in range(10_000))

    assert secrets.mask("anything at all") == "***"


def test_a_representation_tells_the_number_alone() -> None:
    """It may stand in a log."""
    assert repr(Secrets.of(["hunter22"])) == "<Secrets: 1>"
    assert "hunter22" not in repr(RunSecrets(keystore=Secrets.of(["hunter22"])))


@pytest.mark.parametrize(
    ("schema", "value", "parts"),
    [
        ({"properties": {"a": {"secret": True}}}, {"a": "x", "b": "y"}, ["x"]),
        ({"properties": {"a": {"properties": {"b": {"secret": True}}}}}, {"a": {"b": {"c": 1}}}, [{"c": 1}]),
        ({"properties": {"a": {"items": {"secret": True}}}}, {"a": ["x", "y"]}, ["x", "y"]),
        ({"prefixItems": [{}, {"secret": True}]}, ["x", "y"], ["y"]),
        ({"additionalProperties": {"secret": True}, "properties": {"a": {}}}, {"a": "x", "b": "y"}, ["y"]),
        ({"patternProperties": {"^s": {"secret": True}}}, {"s": "x"}, ["x"]),
        ({"oneOf": [{"properties": {"a": {"secret": True}}}, {}]}, {"a": "x"}, ["x"]),
        ({"$defs": {"k": {"secret": True}}, "properties": {"a": {"$ref": "#/$defs/k"}}}, {"a": "x"}, ["x"]),
        ({"$ref": "#"}, {"a": "x"}, []),
        (None, {"a": "x"}, []),
    ],
)
def test_the_secret_parts_of_a_value_are_those_that_its_schema_marks(schema: Any, value: Any, parts: list[Any]) -> None:
    """Also where the schema is of the richer kind."""
    assert list(secret_parts(schema, value)) == parts


def test_defaults_of_secrets_are_secrets() -> None:
    """None for those that have none."""
    schema = {"properties": {"a": {"secret": True, "default": "x"}, "b": {"secret": True}, "c": {"default": "y"}}}

    assert sorted(map(str, secret_defaults(schema))) == ["None", "x"]


class Unread(list[Any]):
    """A list that nobody may walk through."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was read")


@pytest.mark.parametrize(
    "properties",
    [
        {"rows": {"type": "array", "items": {"type": "integer"}}},
        {"rows": {"type": "array"}, "token": {"type": "string", "secret": True}},
    ],
    ids=["nothing is secret", "something else is"],
)
def test_a_list_that_cannot_hold_secrets_is_not_read(properties: Any) -> None:
    """It may have a million items."""
    value = {"rows": Unread([1]), "token": "t0ken"}

    assert list(secret_parts({"properties": properties}, value)) == ["t0ken"] * ("token" in properties)
