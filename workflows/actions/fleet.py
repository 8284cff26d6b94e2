"""A fleet of servers to try things on: one real HTTP server on loopback that plays all of them.

Actions:
    fleet.get_servers   starts the fleet (or takes a running one by its URL) and lists its servers.
    fleet.access_log    gives the lines of an access log: a file's, or those of requests made to a server of its own.
    fleet.stop          ends the fleet that ``fleet.get_servers`` started.

The server is a process of its own, started from this file's source. It cannot be orphaned: it ends at a
``POST /shutdown`` with its token, and by itself after ``idle_s`` seconds without a request. It listens on the loopback
of the machine that started it: on a cluster of many nodes, start it by hand and name it by ``fleet_url``.
"""

import asyncio
import json
import linecache
import os
import random
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import attune_ray

START_TIMEOUT_S = 20.0
HEALTH = re.compile(r"/server-(\d{4,})/health")
USUAL_DELAY_S, SLOW_DELAY_S = 0.05, 0.3

# What the pages of the web site in front of the fleet answer, and how often each is asked for.
PAGES = {
    "/": (200, 30),
    "/products": (200, 25),
    "/login": (302, 10),
    "/static/app.css": (200, 15),
    "/api/orders": (201, 10),
    "/favicon.ico": (404, 6),
    "/api/reports": (500, 3),
    "/admin": (403, 1),
}
REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 400: "Bad Request", 403: "Forbidden"} | {
    404: "Not Found",
    500: "Internal Server Error",
}


# --- The actions ------------------------------------------------------------------------------------------------------


@attune_ray.action("fleet.get_servers")
def get_servers(*, count: int = 1000, fleet_url: str = "", log_file: str = "", idle_s: float = 30.0) -> dict[str, Any]:
    """Make the fleet available and list its servers.

    Of 100 servers two are slow (300 ms; the others take 50 ms), one answers 500, and one is listed at a port that
    refuses connections.

    Args:
        count: servers to list.
        fleet_url: of a fleet that runs already; "" starts one.
        log_file: where the fleet that is started writes its access log; "" is nowhere.
        idle_s: seconds without a request after which a fleet that was started ends by itself.

    Returns:
        ``servers``, a list of ``{name, health_endpoint}``; and ``fleet``, which ``fleet.stop`` takes.
    """
    fleet = {"url": fleet_url} if fleet_url else _start(log_file=log_file, idle_s=idle_s)
    up, down = fleet["url"].rstrip("/"), fleet.get("refused_url", "http://127.0.0.1:9")
    servers = []
    for number in range(count):
        name = f"server-{number:04}"
        base = down if number % 100 == 42 else up
        servers.append({"name": name, "health_endpoint": f"{base}/{name}/health"})
    return {"servers": servers, "fleet": fleet}


@attune_ray.action("fleet.access_log")
async def access_log(*, lines: int = 10_000, log_file: str = "") -> dict[str, Any]:
    """Read an access log.

    Args:
        lines: how many lines to give: of ``log_file`` at most so many, else exactly so many requests are made.
        log_file: the file to read, in the combined log format, on the machine that runs this; "" starts a server,
            makes requests to it over its sockets, and reads the log that it wrote.

    Returns:
        ``lines``, without their ends, and their ``count``.
    """
    if log_file:
        found = await asyncio.to_thread(_read_lines, Path(log_file), lines)
        return {"lines": found, "count": len(found)}
    with tempfile.TemporaryDirectory(prefix="attune-fleet-") as folder:
        path = Path(folder) / "access.log"
        fleet = await asyncio.to_thread(_start, log_file=str(path), idle_s=30.0)
        try:
            await _browse(fleet["url"], n_requests=lines)
        finally:
            await asyncio.to_thread(_stop, fleet)
        found = await asyncio.to_thread(_read_lines, path, lines)
    return {"lines": found, "count": len(found)}


@attune_ray.action("fleet.stop")
def stop(*, fleet: dict[str, Any]) -> dict[str, Any]:
    """End a fleet; one that was given by its URL is left alone.

    Args:
        fleet: as ``fleet.get_servers`` gave it.
    """
    return {"stopped": _stop(fleet)}


# --- Starting, stopping and using the server process ------------------------------------------------------------------


def _start(*, log_file: str, idle_s: float) -> dict[str, Any]:
    """Start the server process; return once it listens.

    This file's source is handed over as text, since a worker may have been given the text without the file. The child
    forks once more (see ``_serve``), so that it is nobody's child: no zombie stays, and a worker that ends does not
    take it along.
    """
    source = "".join(linecache.getlines(_start.__code__.co_filename, globals()))
    order = {"token": secrets.token_urlsafe(16), "log_file": log_file, "idle_s": idle_s}
    done = subprocess.run(  # noqa: S603 - this interpreter, and this file's own source
        [sys.executable, "-c", source, "serve"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_TIMEOUT_S,
        start_new_session=True,
        check=False,
    )
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"the fleet did not start: {done.stdout.strip()[-500:] or done.returncode}")
    return json.loads(done.stdout) | {"token": order["token"]}


def _stop(fleet: dict[str, Any]) -> bool:
    """Ask the server to end, and wait until it has: it closes this connection last. False: it is not ours to stop."""
    if not fleet.get("token"):
        return False
    connection = HTTPConnection(urlsplit(fleet["url"]).netloc, timeout=10)
    try:
        connection.request("POST", "/shutdown", headers={"Authorization": f"Bearer {fleet['token']}"})
        connection.sock.recv(65536)
        while connection.sock.recv(65536):
            pass
    except ConnectionError:
        pass  # it has ended by itself
    finally:
        connection.close()
    return True


def _read_lines(path: Path, n_lines: int) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(n_lines), strict=False)]


async def _browse(url: str, *, n_requests: int, n_visitors: int = 8) -> None:
    """Make so many requests, over one connection per visitor; a few are no HTTP at all, as in any real log."""
    shares = [n_requests // n_visitors + (visitor < n_requests % n_visitors) for visitor in range(n_visitors)]
    await asyncio.gather(*(_visit(url, share, random.Random(n)) for n, share in enumerate(shares) if share))  # noqa: S311


async def _visit(url: str, n_requests: int, choice: random.Random) -> None:
    """One visitor: requests are pipelined, and answers are read as they come."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    paths = choice.choices(list(PAGES), weights=[weight for _, weight in PAGES.values()], k=n_requests)
    try:
        for path in paths:
            if choice.random() < 0.001:  # noqa: PLR2004 - about one in a thousand
                writer.write(b"\x16\x03\x01 not HTTP\r\n\r\n")
            else:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nUser-Agent: visitor/1.0\r\n\r\n".encode()
                )
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
        await writer.wait_closed()


# --- The server process -----------------------------------------------------------------------------------------------


class Site:
    """What the connections share: the settings, the log, and when the last request came."""

    def __init__(self, *, token: str, idle_s: float, log: TextIO | None) -> None:
        self.token = token
        self.idle_s = idle_s
        self.log = log
        self.last_request_s = time.monotonic()
        self.ended = asyncio.Event()
        self._stamp = (0, "")

    def answer(self, method: str, path: str, authorization: str) -> tuple[int, float]:
        """The status of the answer to a request, and the seconds to wait before it is sent."""
        health = HEALTH.fullmatch(path)
        if health:
            number = int(health[1])
            status = 500 if number % 100 == 13 else 200
            return status, SLOW_DELAY_S if number % 50 == 7 else USUAL_DELAY_S
        if method == "POST" and path == "/shutdown":
            allowed = secrets.compare_digest(authorization.encode(), f"Bearer {self.token}".encode())
            if allowed:
                self.ended.set()
            return (204 if allowed else 403), 0.0
        return PAGES.get(path, (404, 0))[0], 0.0

    def write(self, host: str, request_line: str, status: int, n_bytes: int, user_agent: str) -> None:
        """One line of the access log, in the combined log format."""
        if self.log is None:
            return
        now_s = int(time.time())
        if now_s != self._stamp[0]:
            self._stamp = (now_s, time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now_s)))
        shown = request_line
        if not shown.isprintable() or '"' in shown or "\\" in shown:
            shown = shown.encode("unicode_escape").decode().replace('"', "\\x22")
        self.log.write(f'{host} - - [{self._stamp[1]}] "{shown}" {status} {n_bytes} "-" "{user_agent or "-"}"\n')


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as little of it as health checks need: one request at a time, bodies are skipped."""

    MAX_HEAD_BYTES = 65536

    def __init__(self, site: Site) -> None:
        self._site = site
        self._received = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._host = transport.get_extra_info("peername")[0]

    def data_received(self, data: bytes) -> None:
        """Answer once the head of a request is complete."""
        self._received += data
        self._next()

    def _next(self) -> None:
        if self._busy:
            return
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(head) > self.MAX_HEAD_BYTES:
                self._transport.close()
            return
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        n_body_bytes = int(headers.get("content-length", "0"))
        if len(rest) < n_body_bytes:
            return
        self._received = rest[n_body_bytes:]
        self._site.last_request_s = time.monotonic()
        match request_line.split(" "):
            case [method, path, "HTTP/1.1" | "HTTP/1.0"]:
                status, delay_s = self._site.answer(method, path.partition("?")[0], headers.get("authorization", ""))
            case _:
                status, delay_s = 400, 0.0
        self._busy = True
        told = (request_line, status, headers.get("user-agent", ""), headers.get("connection", "") == "close")
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._answer, *told)
        else:
            self._answer(*told)

    def _answer(self, request_line: str, status: int, user_agent: str, close: bool) -> None:  # noqa: FBT001
        self._busy = False
        body = b"" if status == 204 else b'{"status": "%s"}' % (b"ok" if status < 400 else b"failing")
        self._site.write(self._host, request_line, status, len(body), user_agent)
        if self._transport.is_closing():
            return
        self._transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (status, REASONS[status].encode(), len(body), body)
        )
        if close:
            self._transport.close()
        elif self._received:
            self._next()


async def _serve(order: dict[str, Any], log: TextIO | None) -> None:
    """Listen, tell where, and run until told to stop or nobody has asked for anything in ``idle_s`` seconds."""
    site = Site(token=order["token"], idle_s=order["idle_s"], log=log)
    # 2,048: a burst of hundreds of connections overflows asyncio's backlog of 100 and is retried after a second.
    server = await asyncio.get_running_loop().create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=2048)
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))  # never listens: the port is ours and refuses
    told = {
        "url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "refused_url": f"http://127.0.0.1:{refusing.getsockname()[1]}",
        "pid": os.getpid(),
    }
    print(json.dumps(told), flush=True)  # noqa: T201 - that is how the starter learns the port
    with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - lets the starter's pipe end
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    while not site.ended.is_set() and time.monotonic() - site.last_request_s < site.idle_s:
        with suppress(TimeoutError):
            await asyncio.wait_for(site.ended.wait(), timeout=min(0.2, site.idle_s))
        if log is not None:
            log.flush()
    server.close()
    refusing.close()


def main() -> None:
    """Read the order, leave the parent, serve."""
    order = json.loads(sys.stdin.read())
    if os.fork():
        os._exit(0)
    if not order["log_file"]:
        asyncio.run(_serve(order, None))
        return
    with Path(order["log_file"]).open("a", encoding="utf-8") as log:
        asyncio.run(_serve(order, log))


if __name__ == "__main__" and sys.argv[1:] == ["serve"]:
    main()
