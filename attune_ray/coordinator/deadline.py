"""A timeout of a whole run."""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Deadline"]


class Deadline:
    """Ends what runs within it after some seconds, of which those of a pause do not count.

    Leaving it raises TimeoutError when the time was up.

    Args:
        timeout_s: None: it never is.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout = asyncio.timeout(timeout_s)
        self._left_s: float | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, traceback)

    def hold(self, *, paused: bool) -> None:
        """Let no time pass while the run is paused."""
        now_s, due_s = asyncio.get_running_loop().time(), self._timeout.when()
        if paused and due_s is not None:
            self._left_s = due_s - now_s
            self._timeout.reschedule(None)
        elif not paused and self._left_s is not None:
            self._timeout.reschedule(now_s + self._left_s)
            self._left_s = None
