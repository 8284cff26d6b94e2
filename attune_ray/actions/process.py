"""One process: started without a shell, fed and read without blocking, and ended with its whole group.

Not ``asyncio.create_subprocess_exec``: on Python 3.11 that costs a thread per process, and it reaps a process as soon
as it ends, after which its group's number may be somebody else's. Here a pidfd tells the end, and a process is reaped
only when nothing will be sent to its group any more.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from attune_ray.actions.guard import Guard
from attune_ray.actions.pipes import Captured, Pipes

__all__ = ["GRACE_S", "Command", "Ended", "run_process"]

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL, and for which output is awaited that others hold open after the end."""
_POLL_S = 0.02
_GUARD = Guard(GRACE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start.

    Attributes:
        argv: the program and its arguments, passed on as they are.
        stdin: what it may read; None: nothing.
        file: removed by whoever is left, should this process be killed.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    stdin: bytes | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that has ended by itself.

    Attributes:
        returncode: its exit code, or minus the signal that killed it.
    """

    returncode: int
    stdout: Captured
    stderr: Captured


async def run_process(command: Command, *, grace_s: float = GRACE_S) -> Ended:
    """Run a process to its end; many may run at once in one loop.

    What it leaves running may go on if it has let go of stdout and stderr. What still holds them ``grace_s`` after the
    end is killed. A cancelled call ends the whole group: SIGTERM, and after ``grace_s`` SIGKILL.

    Raises:
        OSError: it cannot be started.
    """
    _GUARD.ready()
    process = _start(command)
    pipes, group = Pipes(process), _Group(process)
    try:
        _GUARD.watch(process.pid, command.file)
        pipes.open(command.stdin)
        await group.exited()
        if not await pipes.drained(grace_s):
            group.signal(signal.SIGKILL)
    except BaseException:
        await group.end(grace_s)
        raise
    finally:
        group.reap()
        pipes.close()
        _GUARD.forget(process.pid)
    return Ended(returncode=process.returncode, stdout=pipes.stdout, stderr=pipes.stderr)


def _start(command: Command) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  the pack's own program, and no shell
        command.argv,
        bufsize=0,
        stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=command.cwd,
        env=command.env,
        start_new_session=True,
    )


class _Group:
    """A process, the leader of its group, and the group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def exited(self) -> None:
        """Wait until the leader has ended; it is not reaped, so that the number of its group stays its own."""
        loop = asyncio.get_running_loop()
        try:
            pidfd = os.pidfd_open(self._process.pid)
        except OSError:  # a sandbox without it: a thread waits
            await loop.run_in_executor(None, os.waitid, os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            return
        exited: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pidfd, exited.cancel)
        try:
            await asyncio.wait([exited])
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)

    def signal(self, number: int) -> bool:
        """Whether there was somebody in the group to get it; a leader that is not reaped counts."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True

    async def end(self, grace_s: float) -> None:
        """SIGTERM to all, SIGKILL to whoever is left after the grace; a second cancellation shortens it to nothing.

        Numbers are not given anew while a group has members, and come round too late to matter between two looks.
        """
        deadline = time.monotonic() + grace_s
        try:
            self.signal(signal.SIGTERM)
            while self._lives() and time.monotonic() < deadline:  # noqa: ASYNC110  no event tells of it
                await asyncio.sleep(_POLL_S)
        finally:
            self.signal(signal.SIGKILL)

    def _lives(self) -> bool:
        """Whether anybody is left; reaps the leader, without which nobody could tell."""
        self._process.poll()
        return self.signal(0)

    def reap(self) -> None:
        """Take note of the leader's end; it has come, or comes at once."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nothing helps
            self._process.wait(GRACE_S)
