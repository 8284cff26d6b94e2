"""The items of a chunk that are under way at once, and what becomes of one that does not end when it is cancelled."""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from attune_ray.dispatch.worker.attempt import Recorder
from attune_ray.dispatch.worker.watch import Watch
from attune_ray.expression import ItemContext

__all__ = ["Begun", "UnderWay", "watched"]

_LONGEST_BEAT_S = 1.0


@dataclass(slots=True)
class Begun:
    """An item that a lane is at.

    Attributes:
        began_ns: as ``time.perf_counter_ns()`` tells it.
        noticed_ns: when it was seen to have overrun its timeout; its grace begins with that.
    """

    row: int
    scope: ItemContext
    began_ns: int
    noticed_ns: int | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What each lane is at.

    Attributes:
        items: by the task of asyncio that is the lane.
    """

    recorder: Recorder
    items: dict["asyncio.Task[Any] | None", Begun] = field(default_factory=dict)

    def deaf(self) -> list[Begun]:
        """The items that were cancelled when their timeout was over, and go on after their grace."""
        program, now_ns = self.recorder.work.program, time.perf_counter_ns()
        timeout_ns = (program.timeout_s or math.inf) * 1e9
        found = []
        for item in list(self.items.values()):  # another thread may ask, while the lanes go on
            if now_ns - item.began_ns < timeout_ns:
                continue
            item.noticed_ns = item.noticed_ns or now_ns
            if now_ns - item.noticed_ns >= program.grace_s * 1e9:
                found.append(item)
        return found

    def record_deaf(self, loop: asyncio.AbstractEventLoop) -> None:
        """Record those as timed out, and the one that holds up the loop, if any does."""
        now_ns, deaf = time.perf_counter_ns(), self.deaf()
        holding = self.items.get(asyncio.current_task(loop))
        if holding is not None and holding not in deaf:
            deaf.append(holding)
        for item in deaf:
            self.recorder.overran(item.row, item.scope, (now_ns - item.began_ns) // 1000)
        if deaf:
            self.recorder.accounted()


@contextlib.contextmanager
def watched(under_way: UnderWay, watch: Watch | None) -> Iterator[None]:
    """Have the watch look after the loop that runs the items, and the loop after them."""
    timeout_s = under_way.recorder.work.program.timeout_s
    if watch is None or timeout_s is None:
        yield
        return
    loop = asyncio.get_running_loop()
    watch.dying = lambda: under_way.record_deaf(loop)
    beat = loop.create_task(_beat(under_way, watch, min(timeout_s / 4, _LONGEST_BEAT_S)))
    try:
        yield
    finally:
        beat.cancel()


async def _beat(under_way: UnderWay, watch: Watch, every_s: float) -> None:
    """Show the watch that the loop moves on; a deaf item cannot be left alone, since it holds its lane for ever."""
    while True:
        watch.begin()
        if under_way.deaf():
            watch.kill()
        await asyncio.sleep(every_s)
