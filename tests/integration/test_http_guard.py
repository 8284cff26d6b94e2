"""The address guard of core.http_request against real servers on loopback, and credentials over redirects."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from attune_ray import Engine
from attune_ray.actions import CURRENT, Execution
from attune_ray.actions.core.http_request import close_clients, http_request
from attune_ray.errors import PermanentError
from attune_ray.settings import LimitSettings, Settings

Serve = Callable[[str], Awaitable[str]]


@pytest.fixture
async def heads() -> AsyncIterator[list[str]]:
    """The heads of requests that servers have seen; connections are closed after the test."""
    yield []
    await close_clients()


@pytest.fixture
async def serve(heads: list[str]) -> AsyncIterator[Serve]:
    """Starts servers that give one answer to all, and tell where they are."""
    servers: list[asyncio.Server] = []

    async def start(answer: str) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(handle, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//2852039166/",
        "http://[::ffff:169.254.169.254]/",
        "http://0xA9FEA9FE/",
    ],
)
async def test_a_redirect_to_a_metadata_service_is_refused(serve: Serve, heads: list[str], target: str) -> None:
    """Whatever it is spelled like."""
    url = await serve(f"302 Found\r\nlocation: {target}")

    with pytest.raises(PermanentError, match="is link-local or serves a cloud's metadata"):
        await http_request(url=url)

    assert len(heads) == 1


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Makes ``moving.example`` have one address after the other; the names that were looked up."""
    asked, real = [], socket.getaddrinfo
    left = list(answers)

    def lookup(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host not in {"moving.example", b"moving.example"}:
            return real(host, port, *rest, **options)
        asked.append(str(host))
        return real(left.pop(0) if len(left) > 1 else left[0], port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


async def test_a_name_of_a_metadata_service_is_refused(heads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it resolves to, before anything is connected."""
    asked = resolving(monkeypatch, "169.254.169.254")

    with pytest.raises(PermanentError, match=r"moving\.example is refused: 169\.254\.169\.254 is link-local"):
        await http_request(url="http://moving.example/")

    assert asked
    assert heads == []


async def test_a_name_that_moves_after_the_lookup_is_refused(
    serve: Serve, heads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer of the connection counts: nothing is sent to it; here one of loopback is made dangerous."""
    from attune_ray.actions.core import http_guard  # noqa: PLC0415  whose list is changed

    url = await serve("200 OK")
    monkeypatch.setattr(http_guard, "_REFUSED", (*http_guard._REFUSED, http_guard.ip_network("127.0.0.1/32")))  # noqa: SLF001
    resolving(monkeypatch, "127.0.0.2", "127.0.0.1")

    with pytest.raises(PermanentError, match=r"moving\.example is refused: 127\.0\.0\.1 is link-local"):
        await http_request(url=url.replace("127.0.0.1", "moving.example"))

    assert heads == []


async def test_an_allowed_host_is_reached(serve: Serve, heads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting for one host: connections of another guard are not used."""
    url = (await serve("200 OK")).replace("127.0.0.1", "metadata.google.internal")
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **options: real("127.0.0.1", *rest, **options))

    token = CURRENT.set(Execution("s", allowed_hosts=("metadata.google.internal",)))
    try:
        await http_request(url=url)
    finally:
        CURRENT.reset(token)
    with pytest.raises(PermanentError, match="serves a cloud's metadata"):
        await http_request(url=url)

    assert len(heads) == 1


async def test_the_setting_reaches_the_action(serve: Serve, heads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine; without it the task fails at once, also where it might be tried again."""
    url = (await serve("200 OK")).replace("127.0.0.1", "metadata.google.internal")
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **options: real("127.0.0.1", *rest, **options))
    workflow = f"""
    tasks: [{{name: a, action: core.http_request, retry: {{count: 50, delay: 10}}, input: {{url: "{url}"}}}}]
    """

    with await asyncio.to_thread(Engine) as engine:
        refused = await engine.arun(workflow)
    settings = Settings(limits=LimitSettings(link_local_hosts=("metadata.google.internal",)))
    with await asyncio.to_thread(Engine, settings=settings) as engine:
        allowed = await engine.arun(workflow)

    assert "metadata.google.internal is refused" in str(refused.task("a").error)
    assert allowed.status == "completed"
    assert len(heads) == 1


@pytest.mark.parametrize(
    "auth",
    [
        {"auth_type": "basic", "auth_username": "me", "auth_password": "hunter22"},
        {"auth_type": "bearer", "auth_token": "hunter22"},
        {"headers": {"Authorization": "hunter22"}},
        {"url": "http://me:hunter22@"},
    ],
)
async def test_credentials_stay_with_their_origin(serve: Serve, heads: list[str], auth: dict[str, Any]) -> None:
    """A redirect to another port is another origin."""
    other = await serve("200 OK")
    url = await serve(f"302 Found\r\nlocation: {other}/there")
    given = {**auth, "url": url.replace("http://", auth.get("url", "http://"))}

    await http_request(**given)

    first, second = heads
    assert "authorization" in first.lower()
    assert "authorization" not in second.lower()
    assert "hunter22" not in second
