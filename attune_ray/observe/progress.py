"""How far the tasks of a run are: read from the engine's state whenever a fact arrives, kept in the words of a view."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from attune_ray.engine import Event, Request, RunStarted, RunStatus, TaskRunId, TaskStatus, TransitionsEvaluated
from attune_ray.ports import RunView

__all__ = ["Progress", "TaskProgress"]


@dataclass(slots=True)
class TaskProgress:
    """One run of a task.

    Attributes:
        status: RUNNING until it has ended.
        n_items: None until its items are known.
        n_done: items that have ended, the failed ones (``n_failed``) included; ``n_before`` of them had before that
            was followed, of a run that is gone on with.
        began_s, prepared_s, ended_s: seconds on the clock of its ``Progress``; None: not yet.
    """

    run: TaskRunId
    is_fan_out: bool
    began_s: float
    status: TaskStatus = TaskStatus.RUNNING
    n_items: int | None = None
    n_done: int = 0
    n_before: int = 0
    n_failed: int = 0
    prepared_s: float | None = None
    ended_s: float | None = None

    def elapsed_s(self, now_s: float) -> float:
        """Seconds since its start, or that it took."""
        return (now_s if self.ended_s is None else self.ended_s) - self.began_s

    def rate(self, now_s: float) -> float | None:
        """Items per second since its items are known: the mean, as chunks end in bursts; None: no item has ended."""
        until_s = now_s if self.ended_s is None else self.ended_s
        n_done = self.n_done - self.n_before
        if self.prepared_s is None or not n_done or until_s <= self.prepared_s:
            return None
        return n_done / (until_s - self.prepared_s)

    def eta_s(self, now_s: float) -> float | None:
        """Seconds that the rest will take at this rate; None: not known yet."""
        rate = self.rate(now_s)
        return None if rate is None or self.n_items is None else (self.n_items - self.n_done) / rate


class Progress:
    """An observer that follows one run; ``live`` are the task runs that have begun and not ended, in that order.

    O(1) per fact of a chunk, O(live task runs) when a task starts or ends; what has ended is let go of.

    Args:
        changed: is told of every task run that has begun, moved on or ended.
        clock: seconds.
    """

    def __init__(
        self, changed: Callable[[TaskProgress], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.live: dict[TaskRunId, TaskProgress] = {}
        self.clock = clock
        self._changed = changed or (lambda _: None)
        self._view: RunView | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is a run that is followed."""
        return self._view is not None

    @property
    def status(self) -> RunStatus:
        """How the run stands; RUNNING before it has begun."""
        return RunStatus.RUNNING if self._view is None else self._view.state.status

    def started(self, view: RunView) -> None:
        """Follow this run from now on, with what it had begun before."""
        self._view = view
        self.live.clear()
        for run in sorted(view.state.live):
            self._look(view, run)
            self.live[run].n_before = self.live[run].n_done

    def saw(self, run_id: str, event: Event) -> None:
        """Look at what the fact has moved."""
        if self._view is None or self._view.run_id != run_id:
            return
        if isinstance(event, RunStarted | TransitionsEvaluated | Request):
            for run in sorted(self._view.state.live.keys() ^ self.live.keys()):
                self._look(self._view, run)
        else:
            self._look(self._view, event.run)

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing: a warning is no progress."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Nothing: the task that asks is running."""

    def ended(self, run_id: str, status: str) -> None:
        """Nothing: every task has ended before."""

    def _look(self, view: RunView, run: TaskRunId) -> None:
        known, found = self.live.get(run), view.state.live.get(run)
        if known is None:
            if found is None:
                return  # a late report
            known = self.live[run] = TaskProgress(run, view.plan.tasks[run.task].is_fan_out, self.clock())
        if found is None:
            known.status, known.ended_s = view.state.tasks[run.task].status, self.clock()
            del self.live[run]
        elif found.fan_out is not None:
            held = found.fan_out
            known.n_items, known.n_failed = held.n_items, held.n_failed
            known.n_done = held.n_succeeded + held.n_failed
            known.prepared_s = self.clock() if known.prepared_s is None else known.prepared_s
        self._changed(known)
