"""core.http_request against a real HTTP server on loopback."""

import asyncio
import base64
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from attune_ray.actions.core.http_request import MAX_BODY_BYTES, close_clients, http_request
from attune_ray.errors import PermanentError, TransientError

ONE_MIB = b"x" * (1024 * 1024)


@dataclass
class Server:
    """A small HTTP/1.1 server that remembers what it was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    n_connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        self.n_connections += 1
        self.tasks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip("\r\n").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                self.asked.append((method, target, headers, body))
                await self.answer(target, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        """What each path is for."""
        path = target.partition("?")[0]
        if path.startswith("/hops/"):
            left = int(path.removeprefix("/hops/"))
            return send(writer, 302, f"location: /hops/{left - 1}") if left else send(writer, 200, body=b"there")
        match path:
            case "/json":
                send(writer, 200, "content-type: application/json", body='{"name": "é", "n": [1, 2.5, null]}'.encode())
            case "/not-json":
                send(writer, 200, "content-type: application/json", body=b'{"n": NaN}')
            case "/latin-1":
                send(writer, 200, "content-type: text/plain; charset=iso-8859-1", body="é".encode("latin-1"))
            case "/unknown-charset":
                send(writer, 200, "content-type: text/plain; charset=klingon", body="é".encode())
            case "/cookie":
                send(writer, 200, "set-cookie: session=secret; Path=/")
            case "/missing":
                send(writer, 404, body=b"nothing here")
            case "/silent":
                await asyncio.sleep(30)
            case "/hang-up":
                writer.close()
            case "/large":
                n_chunks = MAX_BODY_BYTES // len(ONE_MIB) + 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (n_chunks * len(ONE_MIB)))
                for _ in range(n_chunks):
                    writer.write(ONE_MIB)
                    await writer.drain()
            case _:
                send(writer, 200, "x-two: a", "x-two: b", body=b"ok")
        return None


def send(writer: asyncio.StreamWriter, status: int, *headers: str, body: bytes = b"") -> None:
    """One response."""
    reason = {200: "OK", 302: "Found", 404: "Not Found"}[status]
    head = [f"HTTP/1.1 {status} {reason}", f"content-length: {len(body)}", *headers]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Listening on a free port of loopback, gone after the test."""
    handler = Server()
    async with await asyncio.start_server(handler.serve, "127.0.0.1", 0, backlog=512) as listening:
        handler.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield handler
        await close_clients()
        for task in handler.tasks:
            task.cancel()
        await asyncio.wait(handler.tasks)


async def ask(**parameters: Any) -> dict[str, Any]:
    """The data of one request."""
    output = await http_request(**parameters)
    assert output.exit_code == 0
    data: dict[str, Any] = output.data
    assert json.loads(json.dumps(data)) == data
    return data


async def test_an_answer_is_told_whole(server: Server) -> None:
    """Status, headers, body, time and URL."""
    data = await ask(url=f"{server.url}/a?b=1", query_params={"c": 2})

    assert data.pop("elapsed_ms") >= 0
    assert data == {
        "status_code": 200,
        "headers": {"content-length": "2", "x-two": "a, b"},
        "body": "ok",
        "json": None,
        "url": f"{server.url}/a?b=1&c=2",
        "success": True,
        "error": None,
    }


async def test_a_404_is_an_answer_without_success(server: Server) -> None:
    """The task succeeds; the workflow decides."""
    data = await ask(url=f"{server.url}/missing")

    assert (data["status_code"], data["success"], data["body"]) == (404, False, "nothing here")
    assert data["error"] == "HTTP 404 Not Found"


async def test_a_json_body_is_read(server: Server) -> None:
    """Beside the text, which is always there."""
    data = await ask(url=f"{server.url}/json")

    assert data["json"] == {"name": "é", "n": [1, 2.5, None]}
    assert data["body"].startswith('{"name"')


async def test_a_body_that_only_says_it_is_json_stays_text(server: Server) -> None:
    """NaN is no JSON value, and would break the journal."""
    data = await ask(url=f"{server.url}/not-json")

    assert (data["json"], data["body"]) == (None, '{"n": NaN}')


@pytest.mark.parametrize("path", ["/latin-1", "/unknown-charset"])
async def test_the_body_is_decoded_by_its_charset(server: Server, path: str) -> None:
    """One that nobody knows is read as UTF-8."""
    assert (await ask(url=server.url + path))["body"] == "é"


async def test_method_headers_and_json_reach_the_server(server: Server) -> None:
    """As they were given."""
    await ask(url=f"{server.url}/a", method="put", headers={"X-Trace": "1"}, json_body={"a": "é"})

    method, _, headers, body = server.asked[0]
    assert (method, headers["x-trace"], headers["content-type"]) == ("PUT", "1", "application/json")
    assert json.loads(body) == {"a": "é"}


async def test_basic_authentication_is_seen_by_the_server(server: Server) -> None:
    """User name and password, in UTF-8."""
    await ask(url=server.url, auth_type="basic", auth_username="user", auth_password="pässword")  # noqa: S106

    assert base64.b64decode(server.asked[0][2]["authorization"].removeprefix("Basic ")).decode() == "user:pässword"


async def test_a_bearer_token_is_seen_by_the_server(server: Server) -> None:
    """It wins over a header that was given too."""
    await ask(url=server.url, auth_type="bearer", auth_token="t0ken", headers={"authorization": "x"})  # noqa: S106

    assert server.asked[0][2]["authorization"] == "Bearer t0ken"


async def test_credentials_in_the_url_are_used_and_not_told(server: Server) -> None:
    """The result goes into journals and reports."""
    data = await ask(url=server.url.replace("//", "//user:secret@") + "/a")

    assert server.asked[0][2]["authorization"].startswith("Basic ")
    assert data["url"] == f"{server.url}/a"


async def test_redirects_are_followed(server: Server) -> None:
    """The URL is the one that answered."""
    data = await ask(url=f"{server.url}/hops/3")

    assert (data["body"], data["url"]) == ("there", f"{server.url}/hops/0")


async def test_redirects_are_not_followed_when_told_so(server: Server) -> None:
    """The redirect is the answer."""
    data = await ask(url=f"{server.url}/hops/3", follow_redirects=False)

    assert (data["status_code"], data["success"], data["headers"]["location"]) == (302, False, "/hops/2")


async def test_too_many_redirects_fail_for_good(server: Server) -> None:
    """As many as allowed are followed, one more is not."""
    assert (await ask(url=f"{server.url}/hops/2", max_redirects=2))["success"]
    with pytest.raises(PermanentError, match="more than 2 redirects"):
        await http_request(url=f"{server.url}/hops/3", max_redirects=2)


async def test_a_request_that_overruns_its_timeout_may_be_tried_again(server: Server) -> None:
    """The text names the URL without its query."""
    started_s = time.monotonic()
    with pytest.raises(TransientError) as caught:
        await http_request(url=f"{server.url}/silent?key=secret", timeout=0.2)

    assert str(caught.value) == f"GET {server.url}/silent: timed out after 0.2 seconds"
    assert time.monotonic() - started_s < 5


async def test_a_refused_connection_may_be_tried_again() -> None:
    """The text says why, and neither credentials nor the query."""
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        port = refusing.getsockname()[1]
        with pytest.raises(TransientError) as caught:
            await http_request(url=f"http://user:secret@127.0.0.1:{port}/a?key=secret#secret")

    assert str(caught.value) == f"GET http://127.0.0.1:{port}/a: ConnectError: Connection refused"
    await close_clients()


async def test_a_connection_that_ends_without_an_answer_may_be_tried_again(server: Server) -> None:
    """It is a fault of the transfer."""
    with pytest.raises(TransientError, match="RemoteProtocolError"):
        await http_request(url=f"{server.url}/hang-up")


@pytest.mark.parametrize("verify_ssl", [True, False])
async def test_a_server_that_speaks_no_tls_is_a_transport_error(*, verify_ssl: bool) -> None:
    """Certificates come later."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(TransientError, match="ConnectError"):
            await http_request(url=f"https://127.0.0.1:{port}/", verify_ssl=verify_ssl, timeout=5)
        await close_clients()


async def test_too_large_a_body_fails_for_good(server: Server) -> None:
    """It is given up as soon as it is too large, and the next request is not hurt."""
    with pytest.raises(PermanentError, match=f"larger than {MAX_BODY_BYTES} bytes"):
        await http_request(url=f"{server.url}/large")

    assert (await ask(url=f"{server.url}/a"))["success"]


async def test_a_cookie_of_one_request_is_not_sent_by_another(server: Server) -> None:
    """Runs share the connections, and nothing else."""
    await ask(url=f"{server.url}/cookie")
    await ask(url=f"{server.url}/a")

    assert "cookie" not in server.asked[1][2]


async def test_connections_are_kept_for_the_next_requests(server: Server) -> None:
    """One after the other they share one; 256 at once have one each, and those are kept too."""
    for _ in range(3):
        await ask(url=f"{server.url}/a")
    assert server.n_connections == 1

    for _ in range(2):
        await asyncio.gather(*(ask(url=f"{server.url}/a") for _ in range(256)))
    assert server.n_connections <= 256


def test_each_event_loop_has_connections_of_its_own() -> None:
    """A client of a loop that has ended is never used again."""

    async def once() -> int:
        handler = Server()
        async with await asyncio.start_server(handler.serve, "127.0.0.1", 0) as listening:
            data = await ask(url=f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
            await close_clients()
            await asyncio.wait(handler.tasks)
        return int(data["status_code"])

    assert [asyncio.run(once()) for _ in range(2)] == [200, 200]


def test_certificates_are_verified_unless_told_otherwise() -> None:
    """The default is the safe one."""
    from attune_ray.actions.core.http_request import _tls  # noqa: PLC0415 - its only purpose is this setting

    assert _tls(verify_ssl=True).verify_mode is ssl.CERT_REQUIRED
    assert _tls(verify_ssl=False).verify_mode is ssl.CERT_NONE
