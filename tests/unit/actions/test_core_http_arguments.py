"""core.http_request: its parameters, checked before anything is sent."""

from typing import Any

import pytest

from attune_ray.actions.core.http_arguments import Request
from attune_ray.actions.core.http_request import http_request
from attune_ray.errors import PermanentError

DEFAULTS = {
    "url": "http://example.com/a",
    "method": "GET",
    "headers": None,
    "body": None,
    "json_body": None,
    "query_params": None,
    "timeout": 30,
    "verify_ssl": True,
    "auth_type": "none",
    "auth_username": None,
    "auth_password": None,
    "auth_token": None,
    "follow_redirects": True,
    "max_redirects": 10,
}


def request(**given: Any) -> Request:
    """A checked request."""
    return Request.of(**(DEFAULTS | given))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", ""),
        ("url", 5),
        ("url", "ftp://example.com/"),
        ("url", "http://"),
        ("url", "http://example.com:port/"),
        ("method", "BREW"),
        ("method", None),
        ("headers", ["a"]),
        ("headers", {"bad name": "x"}),
        ("headers", {"X": "a\r\nInjected: 1"}),
        ("headers", {"X": {}}),
        ("body", {"a": 1}),
        ("json_body", float("nan")),
        ("query_params", "a=1"),
        ("query_params", {"a": {"b": 1}}),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", "30"),
        ("timeout", float("inf")),
        ("verify_ssl", "yes"),
        ("auth_type", "digest"),
        ("follow_redirects", 1),
        ("max_redirects", -1),
        ("max_redirects", 2.5),
        ("max_redirects", 101),
    ],
)
async def test_an_invalid_parameter_fails_for_good_and_is_named(name: str, value: Any) -> None:
    """Another attempt would not mend it."""
    with pytest.raises(PermanentError, match=f"core.http_request: {name} "):
        await http_request(**(DEFAULTS | {name: value}))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("auth_username", {"auth_type": "basic"}),
        ("auth_token", {"auth_type": "bearer"}),
        ("auth_token", {"auth_type": "bearer", "auth_token": "secret\n"}),
    ],
)
def test_authentication_names_what_it_misses_and_tells_no_value(name: str, given: dict[str, Any]) -> None:
    """A credential never stands in an error text."""
    with pytest.raises(PermanentError, match=name) as caught:
        request(**given)

    assert "secret" not in str(caught.value)


def test_the_title_has_neither_credentials_nor_the_query() -> None:
    """It is what error texts say about the request."""
    title = request(url="http://user:secret@example.com/a?key=secret#secret", query_params={"token": "secret"}).title

    assert title == "GET http://example.com/a"


def test_query_parameters_join_those_of_the_url() -> None:
    """A list gives its name several times."""
    url = request(url="http://example.com/?a=1", query_params={"b": [2, True], "c": "é &"}).url

    assert url.query == b"a=1&b=2&b=true&c=%C3%A9+%26"


def test_a_url_without_query_parameters_is_sent_as_it_was_written() -> None:
    """A signed query would break if it were encoded anew."""
    assert str(request(url="http://example.com/?sig=a%2Fb~").url) == "http://example.com/?sig=a%2Fb~"


def test_a_json_body_brings_its_content_type_unless_a_header_names_one() -> None:
    """It also comes before `body`."""
    plain = request(method="post", json_body={"a": "é"}, body="ignored")
    named = request(method="POST", json_body=[1], headers={"content-type": "application/vnd.api+json"})

    assert (plain.method, plain.content) == ("POST", '{"a": "é"}'.encode())
    assert plain.headers == ((b"Content-Type", b"application/json"),)
    assert named.headers == ((b"content-type", b"application/vnd.api+json"),)


def test_header_values_may_be_numbers_and_booleans() -> None:
    """They are written as a template would show them."""
    assert request(headers={"X-N": 5, "X-B": True}).headers == ((b"X-N", b"5"), (b"X-B", b"true"))
