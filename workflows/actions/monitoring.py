"""Health checks over HTTP.

Actions:
    monitoring.check_http   asks one health endpoint; that a server is not well is a result, not a failure.
    monitoring.report       what many checks say together.
"""

import asyncio
import time
from collections import defaultdict
from functools import cache
from typing import Any

import httpx

import attune_ray

# Clients without a request in flight, for each event loop of this process. One client per request in flight, and not
# one for all: httpx looks through all connections of a client at each request, which at 256 at once takes most of the
# time.
_IDLE: dict[asyncio.AbstractEventLoop, list[httpx.AsyncClient]] = {}


@attune_ray.action("monitoring.check_http")
async def check_http(*, name: str, url: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """Ask one health endpoint; healthy is an answer of 2xx in time.

    Args:
        name: of the server.
        url: of its health endpoint.
        timeout_s: seconds for the whole check.

    Returns:
        ``{name, url, healthy, status, latency_ms, reason}``; without an answer ``status`` is null. The latency is what
        this client saw: with hundreds of checks at once its own work is a part of it.
    """
    status, reason = None, "ok"
    idle = _IDLE.setdefault(asyncio.get_running_loop(), [])
    client = idle.pop() if idle else _new_client()
    started_s = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.get(url)
        status = response.status_code
        if not response.is_success:
            reason = f"HTTP {status}"
    except TimeoutError:
        reason = f"no answer in {timeout_s:g} s"
    except httpx.HTTPError as error:
        reason = "connection refused" if _refused(error) else type(error).__name__
    finally:
        idle.append(client)
    latency_ms = round((time.perf_counter() - started_s) * 1000, 1)
    healthy = reason == "ok"
    return {"name": name, "url": url, "healthy": healthy, "status": status, "latency_ms": latency_ms, "reason": reason}


@attune_ray.action("monitoring.report")
def report(*, checks: list[dict[str, Any]], n_slowest: int = 5) -> dict[str, Any]:
    """Tell what the checks found together.

    Args:
        checks: results of ``monitoring.check_http``.
        n_slowest: how many of the slowest healthy servers to name.

    Returns:
        ``{checked, healthy, unhealthy, by_reason: {reason: [names]}, slowest: [{name, latency_ms}]}``.
    """
    by_reason = defaultdict(list)
    for check in checks:
        if not check["healthy"]:
            by_reason[check["reason"]].append(check["name"])
    well = [check for check in checks if check["healthy"]]
    slowest = sorted(well, key=lambda check: (-check["latency_ms"], check["name"]))[:n_slowest]
    return {
        "checked": len(checks),
        "healthy": len(well),
        "unhealthy": len(checks) - len(well),
        "by_reason": {reason: sorted(names) for reason, names in sorted(by_reason.items())},
        "slowest": [{"name": check["name"], "latency_ms": check["latency_ms"]} for check in slowest],
    }


def _new_client() -> httpx.AsyncClient:
    """A client that keeps a few connections open; it has no timeouts of its own, since the whole check has one."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=4)
    return httpx.AsyncClient(verify=_tls(), limits=limits, timeout=None, trust_env=False)  # noqa: S113 - see above


@cache
def _tls() -> Any:
    return httpx.create_ssl_context()


def _refused(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None
