"""Ray clusters that a test starts as an operator would: ``ray start``, on loopback, with a token."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Head", "joined_node", "running_head"]

RAY = Path(sys.executable).with_name("ray")


@dataclass(frozen=True)
class Head:
    """A running head: its address, and the environment that a driver needs to be let in."""

    address: str
    environment: dict[str, str]
    process: subprocess.Popen[str]
    folder: Path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running_head(*options: str, mode: str | None = "token") -> Iterator[Head]:
    """``ray start --head``, in a session of its own; ended by its process, not by name.

    Args:
        mode: of its authentication; None: what Ray chooses. The environment of drivers tells it only where it is
            ``token``; else their home, and the head's, is a folder of its own that holds the token.
    """
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # a short path: it holds Unix sockets
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    if mode == "token":
        environment |= {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(token)}
    else:
        environment["HOME"] = str(folder)
        (folder / ".ray").mkdir()
        shutil.copy2(token, folder / ".ray" / "auth_token")
    environment.pop("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", None)  # our local clusters set it: no node may join them
    own = environment if mode is None else {**environment, "RAY_AUTH_MODE": mode}
    address = f"127.0.0.1:{free_port()}"
    arguments = ["--head", f"--port={address.split(':')[1]}", "--include-dashboard=false", f"--temp-dir={folder}"]
    with _running([*arguments, *options], folder, own) as process:
        yield Head(address, environment, process, folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def joined_node(head: Head, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``ray start`` of another node on this machine; its process, whose group all of the node is in."""
    with _running([f"--address={head.address}", *options], head.folder, head.environment) as process:
        yield process


@contextmanager
def _running(arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    common = ["--block", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
    process = subprocess.Popen(
        [str(RAY), "start", *common, *arguments],
        cwd=folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told: list[str] = []
    for line in process.stdout:
        told.append(line)
        if "Ray runtime started" in line:
            break
    else:
        pytest.fail("".join(told))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)  # with --block, it ends what it has started
        process.communicate(timeout=30)
