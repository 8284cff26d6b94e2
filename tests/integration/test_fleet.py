"""The actions of workflows/actions/fleet.py, monitoring.py and logs.py, over real sockets and without an engine."""

import asyncio
import http.client
import os
import re
import select
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from attune_ray.actions.sources import actions_of, sources_of

ACTIONS = Path(__file__).parents[2] / "workflows" / "actions"
COMBINED = re.compile(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "[^"]*" \d{3} \d+ "-" "[^"]*"')


def load(path: Path) -> dict[str, Callable[..., Any]]:
    """The actions of a file, loaded as a worker loads them."""
    return {action.ref: action.function for source in sources_of(path) for action in actions_of(source)}


FLEET = load(ACTIONS / "fleet.py")
MONITORING = load(ACTIONS / "monitoring.py")
LOGS = load(ACTIONS / "logs.py")


def ends(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], within_s)[0])
    finally:
        os.close(process)


@pytest.fixture
def start() -> Iterator[Callable[..., dict[str, Any]]]:
    """Starts fleets that are stopped after the test, whatever happens in it."""
    with ExitStack() as stack:

        def started(**parameters: Any) -> dict[str, Any]:
            listed: dict[str, Any] = FLEET["fleet.get_servers"](**parameters)
            stack.callback(FLEET["fleet.stop"], fleet=listed["fleet"])
            return listed

        yield started


def status(url: str, path: str, method: str = "GET", **headers: str) -> int:
    """Ask the server itself."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


async def check(servers: list[dict[str, Any]], *, n_at_once: int = 256) -> list[dict[str, Any]]:
    """Check all servers; results are in their order."""
    slots = asyncio.Semaphore(n_at_once)

    async def one(server: dict[str, Any]) -> dict[str, Any]:
        async with slots:
            found: dict[str, Any] = await MONITORING["monitoring.check_http"](
                name=server["name"], url=server["health_endpoint"]
            )
            return found

    results = await asyncio.gather(*map(one, servers))
    for client in MONITORING["monitoring.check_http"].__globals__["_IDLE"].pop(asyncio.get_running_loop()):
        await client.aclose()
    return results


async def test_a_thousand_servers_are_checked_and_reported(start: Callable[..., Any], tmp_path: Path) -> None:
    """Ten answer 500, ten refuse, twenty are slow; the log has a line for each request that came."""
    log = tmp_path / "access.log"
    listed = start(count=1000, log_file=str(log))

    checks = await check(listed["servers"])
    FLEET["fleet.stop"](fleet=listed["fleet"])

    report = MONITORING["monitoring.report"](checks=checks, n_slowest=20)
    assert [one["name"] for one in checks] == [one["name"] for one in listed["servers"]]
    assert (report["checked"], report["healthy"], report["unhealthy"]) == (1000, 980, 20)
    refusing, failing = report["by_reason"]["connection refused"], report["by_reason"]["HTTP 500"]
    assert (len(refusing), refusing[0], len(failing), failing[0]) == (10, "server-0042", 10, "server-0013")
    assert all(one["latency_ms"] >= 300 for one in report["slowest"])
    assert min(one["latency_ms"] for one in checks if one["healthy"]) >= 50

    lines = log.read_text().splitlines()
    assert Counter(line.split('"')[2].split()[0] for line in lines) == {"200": 980, "500": 10, "204": 1}
    assert all(COMBINED.fullmatch(line) for line in lines)


async def test_a_server_that_does_not_answer_in_time_is_not_well(start: Callable[..., Any]) -> None:
    """The check ends after its own timeout."""
    slow = start(count=8)["servers"][7]

    found = await MONITORING["monitoring.check_http"](name="slow", url=slow["health_endpoint"], timeout_s=0.1)

    assert (found["healthy"], found["status"], found["reason"]) == (False, None, "no answer in 0.1 s")
    for client in MONITORING["monitoring.check_http"].__globals__["_IDLE"].pop(asyncio.get_running_loop()):
        await client.aclose()


def test_no_process_remains_after_the_fleet_is_stopped(start: Callable[..., Any]) -> None:
    """Its port refuses at once, and stopping twice does no harm."""
    fleet = start(count=1)["fleet"]

    assert FLEET["fleet.stop"](fleet=fleet) == {"stopped": True}

    assert ends(fleet["pid"])
    with pytest.raises(ConnectionRefusedError):
        status(fleet["url"], "/")
    assert FLEET["fleet.stop"](fleet=fleet) == {"stopped": True}


def test_the_fleet_ends_by_itself_when_nobody_asks_it_anything(start: Callable[..., Any]) -> None:
    """A run that breaks off leaves nothing behind."""
    assert ends(start(count=1, idle_s=0.3)["fleet"]["pid"])


def test_only_its_token_ends_the_fleet(start: Callable[..., Any]) -> None:
    """Anyone on the machine may reach its port."""
    fleet = start(count=1)["fleet"]

    assert status(fleet["url"], "/shutdown", "POST") == 403
    assert status(fleet["url"], "/shutdown", "POST", Authorization="Bearer guess") == 403
    assert status(fleet["url"], "/server-0000/health") == 200


def test_the_fleet_is_nobodys_child_and_in_a_session_of_its_own(start: Callable[..., Any]) -> None:
    """A worker that ends, or a Ctrl-C, does not take it along."""
    pid = start(count=1)["fleet"]["pid"]

    assert f"\nPPid:\t{os.getpid()}\n" not in Path(f"/proc/{pid}/status").read_text()
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)


def test_a_fleet_given_by_its_url_is_neither_started_nor_stopped(start: Callable[..., Any]) -> None:
    """Its servers are listed all the same."""
    running = start(count=1)["fleet"]

    listed = FLEET["fleet.get_servers"](count=2, fleet_url=f"{running['url']}/")

    assert listed["servers"][1] == {"name": "server-0001", "health_endpoint": f"{running['url']}/server-0001/health"}
    assert FLEET["fleet.stop"](fleet=listed["fleet"]) == {"stopped": False}
    assert status(running["url"], "/") == 200


def test_the_fleet_starts_from_its_text_alone(tmp_path: Path) -> None:
    """A worker on another machine has no such file."""
    path = shutil.copy(ACTIONS / "fleet.py", tmp_path / "carried_fleet.py")
    actions = load(path)
    path.unlink()

    fleet = actions["fleet.get_servers"](count=1)["fleet"]

    assert actions["fleet.stop"](fleet=fleet) == {"stopped": True}


async def test_an_access_log_is_made_read_parsed_and_counted() -> None:
    """The lines are those of requests that were really made; a few of them are no HTTP."""
    collected = await FLEET["fleet.access_log"](lines=3000)

    assert collected["count"] == len(collected["lines"]) == 3000
    assert all(COMBINED.fullmatch(line) for line in collected["lines"])

    totals = LOGS["logs.aggregate"](records=[LOGS["logs.parse"](line=line) for line in collected["lines"]])
    report = LOGS["logs.report"](totals=totals, n_top=2)
    assert totals["requests"] + totals["malformed"] == 3000
    assert 0 < totals["malformed"] < 30
    assert [path["path"] for path in report["top_paths"]] == ["/", "/products"]
    assert 0.01 < report["error_rate"] < 0.06


async def test_an_access_log_of_a_file_is_read_up_to_so_many_lines(tmp_path: Path) -> None:
    """Line ends are gone; nothing is started."""
    log = tmp_path / "access.log"
    log.write_text("a\nb\r\nc")

    assert await FLEET["fleet.access_log"](lines=2, log_file=str(log)) == {"lines": ["a", "b"], "count": 2}


def test_a_log_line_is_parsed() -> None:
    """The path is told without its query, and a missing size is none."""
    line = '10.0.0.1 - kim [21/Nov/2026:01:22:47 +0100] "GET /a?b=1 HTTP/2" 301 - "-" "x"'

    assert LOGS["logs.parse"](line=line) == {
        "malformed": False,
        "time": "2026-11-21T01:22:47+01:00",
        "host": "10.0.0.1",
        "method": "GET",
        "path": "/a",
        "status": 301,
        "class": "redirect",
        "n_bytes": 0,
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{{ 1 + 1 }}",
        '10.0.0.1 - - [99/Nov/2026:01:22:47 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
        '10.0.0.1 - - [21/Nov/2026:01:22:47 +0000] "\\x16\\x03" 400 0 "-" "-"',
    ],
)
def test_a_line_that_is_no_request_is_counted_as_malformed(line: str) -> None:
    """It fails nothing."""
    record = LOGS["logs.parse"](line=line)

    assert record == {"malformed": True, "line": line}
    assert LOGS["logs.aggregate"](records=[record])["malformed"] == 1
    assert LOGS["logs.report"](totals=LOGS["logs.aggregate"](records=[record]))["error_rate"] == 0
