"""``core.http_request``: one HTTP request over pooled connections."""

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from attune_ray.actions.core.http_arguments import Request
from attune_ray.actions.core.http_guard import guard_of, guarded
from attune_ray.actions.execution import CURRENT
from attune_ray.actions.output import Output
from attune_ray.errors import PermanentError, TransientError

if TYPE_CHECKING:  # `import attune_ray` must stay light: httpx is loaded by the first request
    import httpx

__all__ = ["close_clients", "http_request"]

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A larger answer is refused: it would travel through journals and reports as one value."""

_MAX_IDLE_CONNECTIONS = 8
"""Idle connections kept per client, of which each serves one request at a time."""

_Kind = tuple[bool, int, tuple[str, ...]]
_IDLE: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Kind, list["httpx.AsyncClient"]]] = WeakKeyDictionary()
"""Clients that serve no request now, the last used one last, by what is fixed per client: verify, max_redirects, and
what its guard lets pass.

One client per request in flight, not one for all: httpx looks through all connections of a pool at each request, so
1,000 requests of 50 ms, 256 at once, took 19 s over one client and 2 s so (2 cores, httpx 0.28).
"""


async def http_request(
    *,
    url: str,
    method: str = "GET",
    headers: Mapping[str, Any] | None = None,
    body: str | None = None,
    json_body: Any = None,
    query_params: Mapping[str, Any] | None = None,
    timeout: float = 30,  # noqa: ASYNC109 - the documented name; it is asyncio.timeout's own argument below
    verify_ssl: bool = True,
    auth_type: str = "none",
    auth_username: str | None = None,
    auth_password: str | None = None,
    auth_token: str | None = None,
    follow_redirects: bool = True,
    max_redirects: int = 10,
) -> Output:
    """Send one request and read the whole answer, at most 10 MiB of it.

    Args:
        url: http or https.
        method: GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS, in any case.
        headers: sent as given; values are text, numbers or booleans.
        body: text to send; ``json_body`` comes before it.
        json_body: any JSON value to send, with ``Content-Type: application/json`` unless ``headers`` name another.
        query_params: added to the query that the URL has; a list gives its name several times.
        timeout: seconds for the whole request, redirects included.
        verify_ssl: whether the server's certificate must be valid.
        auth_type: none, basic (``auth_username``, ``auth_password``) or bearer (``auth_token``).
        auth_username: of basic authentication.
        auth_password: of basic authentication.
        auth_token: of bearer authentication.
        follow_redirects: whether a redirect is followed; credentials stay with the origin they were given for.
        max_redirects: redirects that are followed before the request fails.

    Returns:
        data ``{status_code, headers, body, json, elapsed_ms, url, success, error}``. ``success`` is a status of 2xx:
        a 404 is an answer, not a failure.

    Raises:
        PermanentError: a parameter is invalid (the text names it), too many redirects, too large an answer, or an
            address that is refused, see ``http_guard``.
        TransientError: the connection, TLS or the transfer failed, or the timeout passed.
    """
    request = Request.of(
        url=url,
        method=method,
        headers=headers,
        body=body,
        json_body=json_body,
        query_params=query_params,
        timeout=timeout,
        verify_ssl=verify_ssl,
        auth_type=auth_type,
        auth_username=auth_username,
        auth_password=auth_password,
        auth_token=auth_token,
        follow_redirects=follow_redirects,
        max_redirects=max_redirects,
    )
    return Output(data=await _exchange(request))


async def close_clients() -> None:
    """Close the connections that requests of the running loop have left open."""
    for clients in _IDLE.pop(asyncio.get_running_loop(), {}).values():
        for client in clients:
            await client.aclose()


@asynccontextmanager
async def _client(request: Request) -> "AsyncIterator[httpx.AsyncClient]":
    """A client of the running loop, for one request."""
    loop = asyncio.get_running_loop()
    if loop not in _IDLE:
        for closed in [known for known in _IDLE if known.is_closed()]:
            del _IDLE[closed]  # its open connections refer to it: the weak key alone would never go
    kind = (request.verify_ssl, request.max_redirects, CURRENT.get().allowed_hosts)
    idle = _IDLE.setdefault(loop, {}).setdefault(kind, [])
    client = idle.pop() if idle else _new_client(*kind)
    try:
        yield client
    finally:
        idle.append(client)


def _new_client(verify_ssl: bool, max_redirects: int, allowed: tuple[str, ...]) -> "httpx.AsyncClient":  # noqa: FBT001
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - see above

    import httpx  # noqa: PLC0415

    client = httpx.AsyncClient(
        verify=_tls(verify_ssl=verify_ssl),
        max_redirects=max_redirects,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=_MAX_IDLE_CONNECTIONS),
        # Runs share the client: a cookie of one must not be sent by another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113 - asyncio.timeout bounds the whole exchange; httpx's bound single reads
    )
    return guarded(client, guard_of(allowed))


@cache
def _tls(*, verify_ssl: bool) -> ssl.SSLContext:
    """Made once per process: reading the certificates takes about 20 ms."""
    import httpx  # noqa: PLC0415 - see above

    return httpx.create_ssl_context(verify=verify_ssl)


async def _exchange(request: Request) -> dict[str, Any]:
    """Send and read within the timeout; httpx's errors become ours, without a word of credentials or queries.

    Raised ``from None``: httpx's errors carry the request with its headers.
    """
    import httpx  # noqa: PLC0415 - see above

    started_s = time.monotonic()
    try:
        async with asyncio.timeout(request.timeout_s):
            response, content = await _send(request)
    except TimeoutError:
        raise TransientError(f"{request.title}: timed out after {request.timeout_s:g} seconds") from None
    except httpx.TooManyRedirects:
        raise PermanentError(f"{request.title}: more than {request.max_redirects} redirects (max_redirects)") from None
    except httpx.LocalProtocolError:  # its text quotes the header
        raise PermanentError(f"{request.title}: headers are not valid in HTTP") from None
    except httpx.UnsupportedProtocol:
        raise PermanentError(f"{request.title}: redirected to something that is not http or https") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TransientError(f"{request.title}: {_reason(error)}") from None
    return _result(response, content, elapsed_ms=round((time.monotonic() - started_s) * 1000))


async def _send(request: Request) -> tuple["httpx.Response", bytes]:
    """The final response and its decoded body."""
    chunks: list[bytes] = []
    n_bytes = 0
    async with _client(request) as client:
        outgoing = client.build_request(request.method, request.url, headers=request.headers, content=request.content)
        response = await client.send(
            outgoing, auth=request.auth, follow_redirects=request.follow_redirects, stream=True
        )
        try:
            async for chunk in response.aiter_bytes():
                n_bytes += len(chunk)
                if n_bytes > MAX_BODY_BYTES:
                    raise PermanentError(f"{request.title}: the response body is larger than {MAX_BODY_BYTES} bytes")
                chunks.append(chunk)
        finally:
            await response.aclose()
    return response, b"".join(chunks)


def _reason(error: Exception) -> str:
    """The operating system's words for a failed connection where there are any, else what kind of failure it was.

    httpx's own texts may quote bytes of the exchange; an ``OSError`` names at most the host.
    """
    kind = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            own_number = cause.errno < 0 or isinstance(cause, ssl.SSLError)  # name resolution and TLS number anew
            return f"{kind}: {cause.strerror if own_number else os.strerror(cause.errno)}"
        cause = cause.__cause__ or cause.__context__
    return kind


def _result(response: "httpx.Response", content: bytes, *, elapsed_ms: int) -> dict[str, Any]:
    text = content.decode(_encoding(response), errors="replace")
    return {
        "status_code": response.status_code,
        "headers": dict(response.headers),
        "body": text,
        "json": _json(text, response.headers.get("content-type", "")),
        "elapsed_ms": elapsed_ms,
        "url": str(response.url.copy_with(userinfo=b"")),
        "success": response.is_success,
        "error": None if response.is_success else f"HTTP {response.status_code} {response.reason_phrase}".rstrip(),
    }


def _encoding(response: "httpx.Response") -> str:
    try:
        "".encode(response.charset_encoding or "utf-8")
    except LookupError:  # a server may name anything
        return "utf-8"
    return response.charset_encoding or "utf-8"


def _json(text: str, content_type: str) -> Any:
    """The body's value where it says or looks like JSON, else None."""
    if "json" not in content_type and not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return None


def _not_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
