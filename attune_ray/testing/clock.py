"""Virtual time: an event loop that never waits, and the clock that reads it."""

import asyncio
import datetime as dt
import selectors
from typing import Any

from attune_ray.errors import EngineError

__all__ = ["ManualClock", "VirtualLoop"]

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else is to be done."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        """Seconds of virtual time since the loop began."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


class _Impatient(selectors.DefaultSelector):
    """A selector that lets virtual time pass where a real one would wait for it."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Poll; then jump over the wait."""
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self._loop.advance(timeout)
        if not ready and timeout is None:
            raise EngineError("the simulation waits for something that will never come: an answer, or an end")
        return ready


class ManualClock:
    """A clock that starts at a fixed moment and moves with its loop's time."""

    def now(self) -> str:
        """UTC, ISO 8601 with microseconds."""
        passed = dt.timedelta(seconds=asyncio.get_running_loop().time())
        return (_START + passed).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def sleep(self, delay_s: float) -> None:
        """Wait in the loop's time."""
        await asyncio.sleep(delay_s)
