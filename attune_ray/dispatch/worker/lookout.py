"""The thread of a worker process that looks after its attempts, and lights its fuse as long as it runs.

One for all chunks: to start and end a thread takes 0.17 ms, ten times as much as a chunk of one item has of its own.
"""

import contextlib
import functools
import math
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from attune_ray.dispatch.worker.fuse import Fuse

__all__ = ["Lookout", "Watched", "lookout"]

_LONGEST_S = 2.0
"""Between two looks, and so the age of the last sign of life when a C call begins; a look costs 0.03 ms."""


class Watched(Protocol):
    """What is looked after.

    Attributes:
        timeout_s: nothing is to be seen within so many seconds from its beginning.
        silence_s: seconds without a look, which the interpreter then does not allow, that are the end of the process.
    """

    timeout_s: float
    silence_s: float

    def look(self) -> float:
        """Look after it; seconds until there is something to see."""


class Lookout:
    """Looks after one thing at a time."""

    def __init__(self) -> None:
        self._fuse = Fuse()
        self._watched: Watched | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._next_s = math.inf
        self._runs = False

    @contextlib.contextmanager
    def over(self, watched: Watched) -> Iterator[None]:
        """Look after something; a process that may have no more threads goes without."""
        self._start()
        self._watched = watched
        if self._runs:
            self._fuse.light(watched.silence_s)
        if self._next_s > time.monotonic() + watched.timeout_s:  # never between two chunks that follow each other
            self._wake.set()
        try:
            yield
        finally:
            with self._lock:  # or the thread might light the fuse afterwards
                self._watched = None
                self._fuse.put_out()

    def _start(self) -> None:
        if not self._runs:
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._run, name="attune-lookout", daemon=True).start()
                self._runs = True

    def _run(self) -> None:
        while True:
            self._wake.clear()
            self._next_s = math.inf  # what begins from here on is seen now, or wakes the thread
            left_s = self._look()
            self._next_s = time.monotonic() + left_s
            self._wake.wait(None if left_s == math.inf else left_s)

    def _look(self) -> float:
        """Look once; seconds until the next time, which is when it is woken where there is nothing to look after."""
        with self._lock:
            watched = self._watched
            if watched is None:
                return math.inf
            self._fuse.light(watched.silence_s)
        return min(watched.look(), _LONGEST_S)


@functools.cache
def lookout() -> Lookout:
    """That of this process."""
    return Lookout()
