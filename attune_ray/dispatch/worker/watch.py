"""Timeouts of synchronous actions: a timer signal ends the attempt, and a deaf one takes its process along."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["Overrun", "Watch", "watching"]


class Overrun(BaseException):
    """Raised inside an action whose attempt has overrun its timeout."""


class Watch:
    """Tells how long the current attempt may still take.

    Arming a timer per item would cost two system calls each. So one timer runs per chunk; when it rings it looks
    at when the current attempt began, and goes on for what is left of it.
    """

    __slots__ = ("_grace_s", "_timeout_s", "began_ns", "dying", "killer")

    def __init__(self, timeout_s: float, grace_s: float) -> None:
        self.began_ns: int | None = None
        """``time.perf_counter_ns()`` at the start of the attempt; None between attempts."""
        self.killer: threading.Timer | None = None
        """What ends the process unless the overrun attempt ends; ``end`` calls it off."""
        self.dying: Callable[[], None] = _nothing
        """Is called before the process is ended, in another thread than the attempt's."""
        self._timeout_s = timeout_s
        self._grace_s = grace_s

    def begin(self) -> None:
        """An attempt begins."""
        self.began_ns = time.perf_counter_ns()

    def end(self) -> None:
        """It has ended, in whatever way."""
        self.began_ns = None
        if self.killer is not None:
            self.killer.cancel()
            self.killer = None

    def ring(self, _signal: int, _frame: FrameType | None) -> None:
        """The timer's handler."""
        if self.began_ns is None:
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s)
            return
        left_s = self._timeout_s - (time.perf_counter_ns() - self.began_ns) / 1e9
        if left_s > 0:
            signal.setitimer(signal.ITIMER_REAL, left_s)
            return
        signal.setitimer(signal.ITIMER_REAL, self._timeout_s)
        if self.killer is None:
            self.killer = threading.Timer(self._grace_s, self._end)
            self.killer.daemon = True
            self.killer.start()
        raise Overrun

    def _end(self) -> None:
        """End a process whose action does not end; what it had ended is in its log, this attempt's overrun too."""
        try:
            self.dying()
        finally:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _nothing() -> None:
    """Nobody asks to be called."""


@contextlib.contextmanager
def watching(timeout_s: float | None, grace_s: float) -> Iterator[Watch | None]:
    """A watch for the attempts of one chunk; None where there is no timeout, or no main thread to interrupt."""
    if timeout_s is None or threading.current_thread() is not threading.main_thread():
        yield None
        return
    watch = Watch(timeout_s, grace_s)
    before = signal.signal(signal.SIGALRM, watch.ring)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.end()
        signal.signal(signal.SIGALRM, before)
