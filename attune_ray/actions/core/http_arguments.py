"""The parameters of ``core.http_request``, checked once and made into what is sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from attune_ray.actions.core.arguments import as_text
from attune_ray.errors import PermanentError

if TYPE_CHECKING:  # see http_request
    import httpx

__all__ = ["Request"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_AUTH_TYPES = ("none", "basic", "bearer")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, token
_MAX_REDIRECTS = 100  # one client is kept per value: a bound on them too


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A valid request.

    Attributes:
        title: method and URL for people: neither user info, nor query, nor fragment.
    """

    title: str
    method: str
    url: "httpx.URL" = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    content: bytes | None = field(repr=False)
    auth: "httpx.Auth | None" = field(repr=False)
    timeout_s: float
    verify_ssl: bool
    follow_redirects: bool
    max_redirects: int

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Check the parameters of ``core.http_request`` and build the request.

        Raises:
            PermanentError: one is invalid; the text names it and never tells its value.
        """
        method = as_text(given["method"]).upper()
        if method not in _METHODS:
            raise _invalid("method", f"must be one of {', '.join(_METHODS)}")
        url = _url(given["url"])
        query = _query(given["query_params"])
        headers = _headers(given["headers"])
        content, content_type = _content(given["body"], given["json_body"])
        if content_type and not any(name.lower() == b"content-type" for name, _ in headers):
            headers = (*headers, (b"Content-Type", content_type))
        if given["auth_type"] == "bearer" and given["auth_token"]:
            token = _header_value("auth_token", given["auth_token"])
            headers = (
                *(h for h in headers if h[0].lower() != b"authorization"),
                (b"Authorization", b"Bearer " + token),
            )
        return cls(
            title=f"{method} {url.copy_with(userinfo=b'', query=None, fragment=None)}",
            method=method,
            url=url.copy_merge_params(query) if query else url,
            headers=headers,
            content=content,
            auth=_auth(given["auth_type"], given["auth_username"], given["auth_password"], given["auth_token"]),
            timeout_s=_timeout_s(given["timeout"]),
            verify_ssl=_boolean("verify_ssl", given["verify_ssl"]),
            follow_redirects=_boolean("follow_redirects", given["follow_redirects"]),
            max_redirects=_max_redirects(given["max_redirects"]),
        )


def _invalid(name: str, reason: str) -> PermanentError:
    return PermanentError(f"core.http_request: {name} {reason}")


def _url(value: Any) -> "httpx.URL":
    import httpx  # noqa: PLC0415 - `import attune_ray` must stay light

    if not isinstance(value, str) or not value:
        raise _invalid("url", "must be text that is not empty")
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, UnicodeError):
        raise _invalid("url", "is not a valid URL") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise _invalid("url", "must start with http:// or https:// and name a host")
    return url


def _scalar(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str | int | float):
        raise _invalid(name, "may hold only texts, numbers and booleans")
    return as_text(value)


def _header_value(name: str, value: Any) -> bytes:
    text = _scalar(name, value)
    if any(character in text for character in "\r\n\0"):
        raise _invalid(name, "may not hold line ends")
    return text.strip(" \t").encode()


def _headers(value: Any) -> tuple[tuple[bytes, bytes], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise _invalid("headers", "must be an object")
    for name in value:
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise _invalid("headers", "has a name that HTTP does not allow")
    return tuple((name.encode(), _header_value("headers", text)) for name, text in value.items())


def _query(value: Any) -> dict[str, list[str]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _invalid("query_params", "must be an object")
    return {
        str(name): [_scalar("query_params", one) for one in (many if isinstance(many, list | tuple) else [many])]
        for name, many in value.items()
    }


def _content(body: Any, json_body: Any) -> tuple[bytes | None, bytes | None]:
    """What is sent, and the content type that it needs."""
    if json_body is not None:
        try:
            return json.dumps(json_body, ensure_ascii=False, allow_nan=False).encode(), b"application/json"
        except (TypeError, ValueError):
            raise _invalid("json_body", "must be a JSON value") from None
    if body is None:
        return None, None
    if not isinstance(body, str):
        raise _invalid("body", "must be text (json_body takes other values)")
    return body.encode(), None


def _auth(kind: Any, username: Any, password: Any, token: Any) -> "httpx.Auth | None":
    """Basic authentication; a bearer token is a header, which httpx drops too when a redirect leaves the origin."""
    import httpx  # noqa: PLC0415 - see above

    if kind not in _AUTH_TYPES:
        raise _invalid("auth_type", f"must be one of {', '.join(_AUTH_TYPES)}")
    if kind == "bearer" and not token:
        raise _invalid("auth_token", "is required by auth_type bearer")
    if kind != "basic":
        return None
    if not username:
        raise _invalid("auth_username", "is required by auth_type basic")
    return httpx.BasicAuth(_scalar("auth_username", username), _scalar("auth_password", password))


def _timeout_s(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise _invalid("timeout", "must be a number of seconds above 0")
    return float(value)


def _max_redirects(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_REDIRECTS:
        raise _invalid("max_redirects", f"must be an integer from 0 to {_MAX_REDIRECTS}")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid(name, "must be true or false")
    return value
