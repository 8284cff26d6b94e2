"""Timeouts of actions: a timer signal ends the attempt, and one that is deaf to it takes its process along.

Three things look after an attempt, since each is blind to something. The signal's handler interrupts Python code, but
waits for the end of a C call. The lookout, a thread, sees that the attempt goes on after its grace, and kills the
process; it runs beside a C call that lets go of the interpreter's lock. One that does not stops the thread too: then
the fuse, which the thread lights anew as long as it runs, burns down, and the kernel kills the process.
"""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from attune_ray.dispatch.worker.lookout import lookout

__all__ = ["Overrun", "Watch", "watching"]

_MARGIN_S = 10.0
"""Seconds beyond timeout and grace without any sign of the interpreter: what a machine that swaps or is overloaded may
take from a process that is well. The last sign may be two seconds old when a C call begins (``lookout``)."""


class Overrun(BaseException):
    """Raised inside an action whose attempt has overrun its timeout."""


class Watch:
    """Tells how long the current attempt may still take.

    Arming a timer per item would cost two system calls each. So one timer runs per chunk; when it rings, and when the
    lookout looks, they see when the current attempt began, and go on for what is left of it.
    """

    __slots__ = ("_grace_s", "_is_over", "_noticed", "began_ns", "dying", "silence_s", "timeout_s")

    def __init__(self, timeout_s: float, grace_s: float) -> None:
        self.began_ns: int | None = None
        """``time.perf_counter_ns()`` at the start of the attempt; None between attempts."""
        self.dying: Callable[[], None] = _nothing
        """Is called before the process is ended, in another thread than the attempt's."""
        self.timeout_s = timeout_s
        self.silence_s = timeout_s + grace_s + _MARGIN_S
        self._grace_s = grace_s
        self._noticed = (0, 0)
        self._is_over = False

    def begin(self) -> None:
        """An attempt begins."""
        self.began_ns = time.perf_counter_ns()

    def end(self) -> None:
        """It has ended, in whatever way."""
        self.began_ns = None

    def ring(self, _signal: int, _frame: FrameType | None) -> None:
        """The timer's handler."""
        if self._is_over:
            return
        left_s = self._left_s(self.began_ns)
        signal.setitimer(signal.ITIMER_REAL, left_s if left_s > 0 else self.timeout_s)
        if left_s <= 0:
            raise Overrun

    def kill(self) -> None:
        """End a process whose action does not end; what it had ended is in its log, this attempt's overrun too."""
        try:
            self.dying()
        finally:
            _die()

    def leave(self) -> None:
        """There are no more attempts."""
        self.end()
        self._is_over = True

    def look(self) -> float:
        """Look after the current attempt.

        Its grace begins when its overrun is noticed, not when it was due: a process that was held up as a whole has
        not had the time to end it.

        Returns:
            Seconds until there is something to see.
        """
        began_ns = self.began_ns
        left_s = self._left_s(began_ns)
        if began_ns is None or left_s > 0:
            return left_s
        now_ns = time.perf_counter_ns()
        if self._noticed[0] != began_ns:
            self._noticed = (began_ns, now_ns)
        left_s = self._grace_s - (now_ns - self._noticed[1]) / 1e9
        if left_s > 0:
            return left_s
        self.kill()
        return math.inf

    def _left_s(self, began_ns: int | None) -> float:
        """Of an attempt; of one that would begin now where there is none."""
        return self.timeout_s - (0 if began_ns is None else (time.perf_counter_ns() - began_ns) / 1e9)


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
    with lookout().over(watch):
        before = signal.signal(signal.SIGALRM, watch.ring)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            yield watch
        finally:
            watch.leave()  # first: a signal that comes now would set the timer again
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
