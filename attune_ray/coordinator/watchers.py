"""Telling observers what happens in a run."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from attune_ray.engine import Event
from attune_ray.ports import Observer, RunView

__all__ = ["Watchers"]

_log = logging.getLogger("attune_ray")


class Watchers:
    """The observers of one run; one that raises is removed, and its error logged."""

    def __init__(self, run_id: str, observers: Iterable[Observer]) -> None:
        self._run_id = run_id
        self._observers = list(observers)

    def started(self, view: RunView) -> None:
        """The run begins, or goes on."""
        self._tell(lambda observer: observer.started(view))

    def saw(self, event: Event) -> None:
        """A fact was applied."""
        if self._observers:
            self._tell(partial(_saw, run_id=self._run_id, event=event))

    def warned(self, warnings: Iterable[str]) -> None:
        """Something is odd, told without secrets."""
        for warning in warnings:
            _log.warning("%s", warning, extra={"run": self._run_id})
            self._tell(partial(_warned, run_id=self._run_id, warning=warning))

    def ended(self, status: str) -> None:
        """The run has ended."""
        self._tell(lambda observer: observer.ended(self._run_id, status))

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for observer in list(self._observers):
            try:
                tell(observer)
            except Exception:  # noqa: BLE001  a fault of an observer is never the run's
                self._observers.remove(observer)
                _log.exception("observer %r is removed", observer, extra={"run": self._run_id})


def _saw(observer: Observer, *, run_id: str, event: Event) -> None:
    observer.saw(run_id, event)


def _warned(observer: Observer, *, run_id: str, warning: str) -> None:
    observer.warned(run_id, warning)
