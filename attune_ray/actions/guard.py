"""A process that outlives its worker to end the scripts that the worker, killed, could not end itself.

A worker that dies by SIGKILL (a cancelled chunk, the OOM killer) runs no handler, and its scripts live in sessions of
their own. So every worker that runs scripts has one guard, which reads from a pipe which process groups live. When the
pipe ends, the worker is gone: what still lives gets SIGTERM, and SIGKILL after the same grace as ever. Until then
somebody must read what they write, or the first word of their tidying up would kill them (SIGPIPE): the guard opens
their output as soon as it knows them. It is no child of its worker (it forks away from it) and not of its group,
because Ray kills these together with a worker that it kills.

As a program: ``python -I -S guard.py GRACE_SECONDS``, lines on standard input: ``+PGID [FILE]`` and ``-PGID``.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

__all__ = ["Guard", "main"]

_POLL_S = 0.05
_PIPE_BYTES = 1 << 20


class Guard:
    """Tells the guard of this process which groups live."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._owner = 0
        self._pipe = -1
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Start it, if it is not there; before the first process is, so that none is ever without a guard."""
        with self._lock:
            if self._owner != os.getpid():  # not started yet, or in a fork, whose guard is its parent's
                self._start()

    def watch(self, group: int, file: str | None = None) -> None:
        """A group lives; ``file``: is removed with it."""
        self._tell(f"+{group} {file}\n" if file else f"+{group}\n")

    def forget(self, group: int) -> None:
        """It has ended, or may go on alone."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with self._lock:
            try:
                os.write(self._pipe, line.encode(errors="surrogateescape"))
            except BrokenPipeError:  # somebody killed it: a new one knows the groups from here on
                os.close(self._pipe)
                self._start()
                os.write(self._pipe, line.encode(errors="surrogateescape"))

    def _start(self) -> None:
        reader, self._pipe = os.pipe()
        try:
            starter = subprocess.Popen(  # noqa: S603  this very file
                [sys.executable, "-I", "-S", __file__, str(self._grace_s)],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(reader)
        starter.wait()  # ~20 ms, once per worker: it forks and ends
        self._owner = os.getpid()


def main(grace_s: float) -> None:
    """Read until the worker is gone, then end what it has left."""
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    live: dict[int, str] = {}
    outputs: dict[int, list[int]] = {}
    for line in sys.stdin.buffer:
        told, _, file = line[1:-1].partition(b" ")
        group = int(told)
        if line.startswith(b"+"):
            live[group], outputs[group] = os.fsdecode(file), _outputs_of(group)
            continue
        live.pop(group, None)
        for descriptor in outputs.pop(group, ()):
            os.close(descriptor)
    deadline = time.monotonic() + grace_s
    groups = [group for group in live if _signal(group, signal.SIGTERM)]
    while groups and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        for group in groups:
            _drain(outputs[group])
        groups = [group for group in groups if _signal(group, 0)]
    for group in groups:
        _signal(group, signal.SIGKILL)
    for file in filter(None, live.values()):
        _remove(file)


def _outputs_of(leader: int) -> list[int]:
    """The reading ends of a script's stdout and stderr; Linux, elsewhere there are none."""
    found = []
    for number in (1, 2):
        with contextlib.suppress(OSError):  # it has ended, or has closed it
            found.append(os.open(f"/proc/{leader}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
    return found


def _drain(descriptors: list[int]) -> None:
    """Make room for what they still write."""
    for descriptor in descriptors:
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, _PIPE_BYTES)


def _signal(group: int, number: int) -> bool:
    """Whether there was somebody to get the signal."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


def _remove(file: str) -> None:
    try:
        os.unlink(file)  # noqa: PTH108  pathlib takes longer to import than all else here
    except OSError:
        return


if __name__ == "__main__":
    main(float(sys.argv[1]))
