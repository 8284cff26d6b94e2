"""The three pipes of a process: fed and read by the event loop, bounded, never blocking."""

import asyncio
import codecs
import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from typing import IO

__all__ = ["MAX_BYTES", "Captured", "Pipes"]

MAX_BYTES = 10 * 1024 * 1024
"""Bytes kept of each of stdout and stderr; the rest is read and let go, so that the process is not held up."""
_MAX_TAIL_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_MIB = 1024 * 1024


@dataclass(slots=True)
class Captured:
    """What a process wrote to one of its streams.

    Attributes:
        head: the first ``MAX_BYTES``.
        tail: of what came after these, the last 64 KiB or more.
        n_bytes: how much it wrote in all.
    """

    name: str
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    n_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all was kept."""
        return self.n_bytes <= MAX_BYTES

    def add(self, chunk: bytes) -> None:
        """Keep what there is room for."""
        self.n_bytes += len(chunk)
        room = MAX_BYTES - len(self.head)
        self.head += chunk[:room]
        if len(chunk) > room:
            self.tail += chunk[room:]
            if len(self.tail) > 2 * _MAX_TAIL_BYTES:
                del self.tail[:-_MAX_TAIL_BYTES]

    def text(self) -> str:
        """What was kept, and a notice if that is not all; what is no UTF-8 is replaced."""
        if self.is_whole:
            return self.head.decode("utf-8", "replace")
        kept = codecs.getincrementaldecoder("utf-8")("replace").decode(self.head)  # without half a character at the cut
        return f"{kept}\n[{self.name} truncated: the first {MAX_BYTES // _MIB} MiB of {self.n_bytes:,} bytes]\n"

    def end(self) -> str:
        """How it ended, for the last lines: all of it where all was kept."""
        return (self.head if self.is_whole else self.tail).decode("utf-8", "replace")


class Pipes:
    """Our ends of the pipes of one process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.stdout = Captured("stdout")
        self.stderr = Captured("stderr")
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._watched: set[int] = set()
        self._ended = self._loop.create_future()
        self._n_open = 0
        self._unsent = memoryview(b"")

    def open(self, stdin: bytes | None) -> None:
        """Begin to read, and to write what it may read."""
        for pipe, captured in ((self._process.stdout, self.stdout), (self._process.stderr, self.stderr)):
            if pipe is not None:
                fd = pipe.fileno()
                os.set_blocking(fd, False)
                self._n_open += 1
                self._watched.add(fd)
                self._loop.add_reader(fd, self._read, fd, captured)
        if stdin is not None and self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._unsent = memoryview(stdin)
            self._write(self._process.stdin)

    async def drained(self, timeout_s: float) -> bool:
        """Wait until nobody can write any more: False where somebody still can when the time is up."""
        await asyncio.wait([self._ended], timeout=timeout_s)
        return self._ended.done()

    def close(self) -> None:
        """Let go of all pipes."""
        for fd in self._watched:
            self._loop.remove_reader(fd)
        self._watched.clear()
        if self._process.stdin is not None:
            self._close_stdin(self._process.stdin)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self, fd: int, captured: Captured) -> None:
        try:
            chunk = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            captured.add(chunk)
            return
        self._loop.remove_reader(fd)
        self._watched.discard(fd)
        self._n_open -= 1
        if not self._n_open and not self._ended.done():
            self._ended.set_result(None)

    def _write(self, stdin: IO[bytes]) -> None:
        """Write what the pipe takes; a process that closes it wants no more, which is no failure."""
        try:
            self._unsent = self._unsent[os.write(stdin.fileno(), self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = self._unsent[:0]
        if self._unsent:
            self._loop.add_writer(stdin.fileno(), self._write, stdin)
        else:
            self._close_stdin(stdin)

    def _close_stdin(self, stdin: IO[bytes]) -> None:
        if not stdin.closed:
            self._loop.remove_writer(stdin.fileno())
            with contextlib.suppress(OSError):
                stdin.close()
