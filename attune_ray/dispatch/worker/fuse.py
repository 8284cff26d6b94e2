"""A fuse: the kernel kills this process unless the fuse is lit anew in time, or put out.

What holds the interpreter's lock inside of a C call lets no Python run, no handler of a signal and no thread: only the
kernel can end its process.
"""

import contextlib
import functools
import signal
import struct
import sys
import time
from typing import Any

__all__ = ["Fuse"]

_EVENT = struct.Struct("@Pii48x")
"""``struct sigevent``: a value for the handler, the signal, how it is told (0: as a signal); 64 bytes in all."""
_TIMES = struct.Struct("@llll")
"""``struct itimerspec``: seconds and nanoseconds of the interval (0: once), and from now to the first expiry."""


class Fuse:
    """A timer of POSIX whose signal is SIGKILL.

    A child of this process does not inherit it, and a machine that sleeps does not count the time. Where there is none
    (no Linux, no more timers), lighting it does nothing.
    """

    __slots__ = ("_library", "_timer")

    def __init__(self) -> None:
        self._library = _library()
        self._timer = None if self._library is None else _timer(self._library)

    def light(self, burns_s: float) -> None:
        """It burns so many seconds from now, whatever it had left."""
        seconds, rest = divmod(burns_s, 1)
        self._set(int(seconds), max(1, int(rest * 1e9)))

    def put_out(self) -> None:
        """It no longer burns."""
        self._set(0, 0)

    def _set(self, seconds: int, nanoseconds: int) -> None:
        if self._timer is not None:
            self._library.timer_settime(self._timer, 0, _TIMES.pack(0, 0, seconds, nanoseconds), None)


@functools.cache
def _library() -> Any:
    """The C library, if it has these timers; those of glibc before 2.34 are in a library of their own."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return None
    import ctypes  # noqa: PLC0415  3 ms, for workers alone

    for name in (None, "librt.so.1"):
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(name)
            if hasattr(library, "timer_create"):
                return library
    return None


def _timer(library: Any) -> Any:
    """A new timer that is not running; None: the kernel has none for us."""
    import ctypes  # noqa: PLC0415

    timer = ctypes.c_void_p()
    event = _EVENT.pack(0, signal.SIGKILL, 0)
    return None if library.timer_create(time.CLOCK_MONOTONIC, event, ctypes.byref(timer)) else timer
