"""Ctrl-C and SIGTERM: once to cancel, twice to stop at once; SIGUSR1 to pause, SIGUSR2 to go on."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol, TypeVar

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.view import View

__all__ = ["Interrupts", "descendants", "kill_descendants"]

_GRACE_S = 3.0
"""Seconds that a run has to end after the second signal: killing workers takes well below one."""
_ENDING = (signal.SIGINT, signal.SIGTERM)
_PAUSING = (signal.SIGUSR1, signal.SIGUSR2)
_T = TypeVar("_T")


class _Engine(Protocol):
    def cancel(self, *, running: bool | None = ...) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Interrupts:
    """Turns signals into what is asked of the run.

    The first Ctrl-C or SIGTERM cancels it as its workflow's policy says, the second stops what runs, and a third, or a
    run that does not end within seconds, kills every process that descends from this one. Before the run such a signal
    is a KeyboardInterrupt. SIGUSR1 pauses the run, SIGUSR2 resumes it; where there is none, they do nothing.

    Args:
        last_words: what there is to be said before all is killed.
    """

    def __init__(self, engine: _Engine, view: View, *, last_words: Callable[[], str | None] = lambda: None) -> None:
        self._engine = engine
        self._view = view
        self._last_words = last_words
        self._count = 0
        self._has_run = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Own the signals until Ray has ended as well."""
        before = {number: signal.signal(number, self._outside) for number in _ENDING}
        before |= {number: signal.signal(number, _no_run) for number in _PAUSING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def watched(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await the run; signals are handled between its events."""
        loop = asyncio.get_running_loop()
        self._has_run = True
        for number in _ENDING:
            loop.add_signal_handler(number, self._within, loop)
        loop.add_signal_handler(signal.SIGUSR1, self._pause)
        loop.add_signal_handler(signal.SIGUSR2, self._resume)
        try:
            return await work
        finally:
            for number in (*_ENDING, *_PAUSING):
                loop.remove_signal_handler(number)
                signal.signal(number, self._outside if number in _ENDING else _no_run)

    def _pause(self) -> None:
        self._view.say(f"pausing; kill -USR2 {os.getpid()} goes on")
        self._engine.pause()

    def _resume(self) -> None:
        self._view.say("going on")
        self._engine.resume()

    def _within(self, loop: asyncio.AbstractEventLoop) -> None:
        self._count += 1
        if self._count == 1:
            self._view.say("cancelling; press Ctrl-C again to stop at once")
            self._engine.cancel()
        elif self._count == 2:
            self._view.say("stopping at once")
            self._engine.cancel(running=True)
            loop.call_later(_GRACE_S, self._stop_hard)
        else:
            self._stop_hard()

    def _outside(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  as signal calls it
        """Before the loop turns, and after it: while results are printed and Ray ends."""
        self._count += 1
        if self._count > 1:
            self._stop_hard()
        if not self._has_run:
            raise KeyboardInterrupt
        os.write(2, b"the run has ended, Ray is ending; press Ctrl-C again to stop at once\n")

    def _stop_hard(self) -> NoReturn:
        self._view.close()
        if (words := self._last_words()) is not None:
            self._view.say(words)
        kill_descendants()
        os._exit(ExitCode.CANCELLED)


def _no_run(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  as signal calls it
    """A handler and not SIG_IGN, which the processes of Ray would inherit."""
    os.write(2, b"there is no run to pause or to resume\n")


def kill_descendants(kill: Callable[[int, int], None] = os.kill) -> None:
    """Kill every process that descends from this one; a cluster that was attached to is not among them."""
    for _ in range(5):  # what was born while we looked is found the next time
        found = descendants(os.getpid())
        if not found:
            return
        for pid in found:
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def descendants(root: int) -> list[int]:
    """Ids of the living processes below ``root``, parents before children. Linux; elsewhere there are none."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if state not in {"Z", "X"}:
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, todo = [], [root]
    while todo:
        new = children.get(todo.pop(), [])
        found += new
        todo += new
    return found
