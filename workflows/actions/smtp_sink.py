"""A mail server on loopback that takes every message and keeps none.

Actions:
    smtp_sink.start   starts it (or takes a running mail server by its address).
    smtp_sink.count   asks it how many messages it has received.
    smtp_sink.stop    ends it.

The server (aiosmtpd) is a process of its own, started from this file's source. It cannot be orphaned: it ends when told
to with its token, and by itself after ``idle_s`` seconds without a command. It is asked and told over SMTP, by two
commands of its own: ``XCOUNT token`` and ``XSTOP token``.
"""

import asyncio
import importlib.util
import json
import linecache
import os
import secrets
import smtplib
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import attune_ray
from attune_ray.errors import PermanentError

START_TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 10.0


# --- The actions ------------------------------------------------------------------------------------------------------


@attune_ray.action("smtp_sink.start")
def start(*, smtp_host: str = "", smtp_port: int = 25, idle_s: float = 30.0) -> dict[str, Any]:
    """Make a mail server available.

    Args:
        smtp_host: of a mail server that runs already; "" starts the sink.
        smtp_port: of that mail server.
        idle_s: seconds without a command after which the sink ends by itself.

    Returns:
        ``{host, port, token, pid}``, which the other two take; of a mail server that was given only host and port.
    """
    if smtp_host:
        return {"host": smtp_host, "port": smtp_port}
    if importlib.util.find_spec("aiosmtpd") is None:
        raise PermanentError("smtp_sink.start needs aiosmtpd: `pip install aiosmtpd`, or give smtp_host")
    # This file's source is handed over as text, since a worker may have been given the text without the file. The child
    # forks once more (see `main`), so that it is nobody's child and does not end with the worker.
    source = "".join(linecache.getlines(start.__code__.co_filename, globals()))
    order = {"token": secrets.token_urlsafe(16), "idle_s": idle_s}
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
        raise RuntimeError(f"the mail sink did not start: {done.stdout.strip()[-500:] or done.returncode}")
    return json.loads(done.stdout) | {"token": order["token"]}


@attune_ray.action("smtp_sink.count")
def count(*, sink: dict[str, Any]) -> dict[str, Any]:
    """Ask the sink what it has received.

    Args:
        sink: as ``smtp_sink.start`` gave it.

    Returns:
        ``received``: different message ids; ``deliveries``: messages, with those that came twice. Both are null for a
        mail server that was given by its address: it does not tell.
    """
    if "token" not in sink:
        return {"received": None, "deliveries": None}
    return json.loads(_command(sink, "XCOUNT"))


@attune_ray.action("smtp_sink.stop")
def stop(*, sink: dict[str, Any]) -> dict[str, Any]:
    """End the sink; a mail server that was given by its address is left alone.

    Args:
        sink: as ``smtp_sink.start`` gave it.
    """
    if "token" not in sink:
        return {"stopped": False}
    with suppress(ConnectionError, smtplib.SMTPServerDisconnected):  # it has ended by itself
        _command(sink, "XSTOP")
    return {"stopped": True}


def _command(sink: dict[str, Any], name: str) -> str:
    with smtplib.SMTP(sink["host"], sink["port"], local_hostname="localhost", timeout=COMMAND_TIMEOUT_S) as connection:
        code, text = connection.docmd(name, sink["token"])
    if code != 250:
        raise PermanentError(f"the mail sink answered {name} with {code}")
    return text.decode()


# --- The server process -----------------------------------------------------------------------------------------------


class Received:
    """What has come in."""

    def __init__(self) -> None:
        self.message_ids: set[str] = set()
        self.n_deliveries = 0
        self.last_command_s = time.monotonic()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 - aiosmtpd's name
        """Count one message by its Message-ID."""
        self.n_deliveries += 1
        for line in envelope.content.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"message-id":
                self.message_ids.add(value.strip().decode("latin-1"))
                break
            if not line:  # the end of the headers
                break
        return "250 OK"


async def _serve(order: dict[str, Any]) -> None:
    """Listen, tell where, and run until told to stop or nobody has said anything in ``idle_s`` seconds."""
    from aiosmtpd.smtp import SMTP, syntax  # noqa: PLC0415 - only the server process needs it

    received, ended = Received(), asyncio.Event()

    def allowed(token: str | None) -> bool:
        return secrets.compare_digest((token or "").encode(), order["token"].encode())

    class Sink(SMTP):
        async def push(self, status: Any) -> None:
            received.last_command_s = time.monotonic()
            await super().push(status)

        @syntax("XCOUNT token")
        async def smtp_XCOUNT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds commands by such names
            told = {"received": len(received.message_ids), "deliveries": received.n_deliveries}
            await self.push(f"250 {json.dumps(told)}" if allowed(arg) else "550 no")

        @syntax("XSTOP token")
        async def smtp_XSTOP(self, arg: str | None) -> None:  # noqa: N802 - see above
            await self.push("250 bye" if allowed(arg) else "550 no")
            if allowed(arg):
                ended.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Sink(received, hostname="localhost", enable_SMTPUTF8=True, timeout=order["idle_s"], loop=loop),
        "127.0.0.1",
        0,
        backlog=512,
    )
    told = {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "pid": os.getpid()}
    print(json.dumps(told), flush=True)  # noqa: T201 - that is how the starter learns the port
    with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - lets the starter's pipe end
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    while not ended.is_set() and time.monotonic() - received.last_command_s < order["idle_s"]:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout=min(0.2, order["idle_s"]))
    server.close()


def main() -> None:
    """Read the order, leave the parent, serve."""
    order = json.loads(sys.stdin.read())
    if os.fork():
        os._exit(0)
    asyncio.run(_serve(order))


if __name__ == "__main__" and sys.argv[1:] == ["serve"]:
    main()
