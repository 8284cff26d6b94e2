"""The Ray cluster that an engine runs on: started on this machine when it is first needed, or attached to."""

import asyncio
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attune_ray.errors import UsageError
from attune_ray.settings import RaySettings

__all__ = ["Cluster", "address_of"]

_ADDRESS = "RAY_ADDRESS"
_ANSWER_S = 5.0
"""Seconds that a head has to accept a connection before it is taken for absent."""

_CONFIG = {
    "process_group_cleanup_enabled": True,
    "kill_child_processes_on_worker_exit": False,
    "max_direct_call_object_size": 32 * 1024,
}
"""A worker that is killed takes the processes of its group along, however it died. Ray's default kills its children
instead, among them scripts, which have groups of their own and a guard that asks them to end first.

What a task returns goes to the object store from 32 KiB on. Ray's default of 100 KiB leaves it in the heap of the
coordinator, and every reference that travels takes a copy along: with a result of 100 KB in its context, a fan-out cost
the coordinator a third more."""


class Cluster:
    """A connection to Ray, opened once.

    All calls that start or stop Ray run in one thread that lives as long as the connection: the kernel kills the
    processes of a local cluster when the *thread* that started them ends (PR_SET_PDEATHSIG), so a thread of its own
    keeps the event loop free and the cluster alive, and a dead coordinator leaves no orphan.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "attune-ray-cluster")
        self._started: asyncio.Future[int] | None = None
        self._is_ours = False

    async def slots(self) -> int:
        """Start or attach, the first time; then how many chunks can run at once.

        Raises:
            UsageError: there is no cluster at the address, or it refuses us.
        """
        if self._started is None:
            loop = asyncio.get_running_loop()
            self._started = loop.run_in_executor(self._thread, self._connect)
        return await asyncio.shield(self._started)

    async def nodes(self) -> list[dict[str, Any]]:
        """What Ray knows of each node, those that have left included; only while connected."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _nodes)

    def _connect(self) -> int:
        _quieten()
        address = address_of(self._settings)
        if address is None:
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # a cluster of one: loopback only
        else:
            os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "5")  # seconds; a head that refuses us never answers
            _show_token()
        import ray  # noqa: PLC0415  takes 0.5 s and 40 MB: only for runs that need it

        logging.getLogger("ray").setLevel(logging.ERROR)  # importing it has set the level
        if not ray.is_initialized():
            try:
                _require_listening(address)
                ray.init(**self._arguments(address))
            except (RuntimeError, ValueError, OSError, ray.exceptions.AuthenticationError) as error:
                raise UsageError(_refusal(address, error, is_given=self._settings.address is not None)) from error
            self._is_ours = True
            if address is None:
                _warm_up(int(_resources().get("CPU", 1)))
        return max(1, int(_resources().get("CPU", 1)))

    def _arguments(self, address: str | None) -> dict[str, Any]:
        settings = self._settings
        common = {"log_to_driver": False, "configure_logging": False}
        if address is not None:
            return {"address": address, **common}
        return {
            "address": "local",  # without it Ray would join a cluster that it finds on this machine
            "num_cpus": settings.num_cpus,
            "object_store_memory": settings.object_store_bytes,
            "include_dashboard": False,
            "_system_config": _CONFIG,
            "_node_ip_address": "127.0.0.1",  # with the environment variable above: no port of it faces the network
            **common,
        }

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends, processes and all. Doing it again does nothing."""
        if self._started is not None:
            self._started = None
            self._thread.submit(self._disconnect).result()
        self._thread.shutdown()

    def _disconnect(self) -> None:
        import ray  # noqa: PLC0415

        if self._is_ours and ray.is_initialized():
            ray.shutdown()


def address_of(settings: RaySettings) -> str | None:
    """Where the cluster is that is attached to; None: one is started here.

    Without an address in the settings it is what ``RAY_ADDRESS`` says, as for Ray's own programs: a job of Ray finds
    its cluster by it. Settings that give a local cluster its size ask for one.
    """
    has_size = settings.num_cpus is not None or settings.object_store_bytes is not None
    found = settings.address or ("" if has_size else os.environ.get(_ADDRESS, ""))
    return None if found in {"", "local"} else found


def _require_listening(address: str | None) -> None:
    """Refuse a ``host:port`` where nobody listens: Ray itself tries again for more than ten minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = (address or "").rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


def _warm_up(n_workers: int) -> None:
    """Have the workers import what they run while the first task is being prepared: it takes each of them 0.5 s."""
    from attune_ray.dispatch.remote import WARM_UP, perform  # noqa: PLC0415  imports ray

    for _ in range(n_workers):
        perform.remote(None, None, WARM_UP)


def _resources() -> dict[str, float]:
    """What the cluster has, by name."""
    import ray  # noqa: PLC0415

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def _nodes() -> list[dict[str, Any]]:
    import ray  # noqa: PLC0415

    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


def _quieten() -> None:
    """Keep Ray from writing to our streams: a dead worker is told by its items, and Ray's own logs keep the rest.

    Ray reads these variables when it is imported; what the caller has set stays.
    """
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")


def _show_token() -> None:
    """Have Ray show its token where there is one: ``ray start`` then asks for it by itself, ``ray.init`` shows none.

    A head that asks for none takes no notice of it. What the caller has said of the mode stays.
    """
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser())
    if os.environ.get("RAY_AUTH_TOKEN") or file.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _refusal(address: str | None, error: Exception, *, is_given: bool) -> str:
    """Why there is no connection, in one line; Ray does not say so where it is the token.

    Args:
        is_given: the settings name the address, else the environment does.
    """
    told = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if address is None:
        return f"cannot run on Ray at this machine: {told}"
    is_clear = isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno)
    hint = "" if is_clear else " (does RAY_AUTH_MODE=token and the token's file fit it?)"
    where = address if is_given else f"{address}, which {_ADDRESS} in the environment names"
    return f"cannot run on Ray at {where}: {told}{hint}"
