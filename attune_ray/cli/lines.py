"""The view for logs and pipes: plain lines, no more than one per task and second."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from attune_ray.engine import Event, RunStatus, TaskRunId
from attune_ray.observe.progress import Progress, TaskProgress
from attune_ray.observe.text import harmless, question, run_line, seconds
from attune_ray.ports import RunView

__all__ = ["PlainLines", "told"]

_BETWEEN_LINES_S = 1.0
_STATUS_LINES = {
    RunStatus.PAUSED: "paused; what runs is finished, nothing new starts",
    RunStatus.RUNNING: "resumed",
    RunStatus.CANCELLING: "cancelling",
}


class PlainLines:
    """A line when a task starts and when it ends; in between at most one per second for a fan-out.

    Args:
        title: the workflow's name.
        clock: seconds; read when a fact arrives, never polled.
    """

    def __init__(self, title: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._progress = Progress(self._changed, clock)
        self._told_s: dict[TaskRunId, float] = {}
        self._status = RunStatus.RUNNING

    def started(self, view: RunView) -> None:
        """Name the run; tasks that it goes on with are told after that."""
        self.say(run_line(view.run_id, self._title))
        self._progress.started(view)

    def saw(self, run_id: str, event: Event) -> None:
        """Write what has changed."""
        self._progress.saw(run_id, event)
        if self._progress.status is not self._status:
            self._status = self._progress.status
            if (line := _STATUS_LINES.get(self._status)) is not None:
                self.say(f"run {run_id}: {line}")

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing: warnings are listed at the end."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Show the question."""
        self.say(question(run_id, task, prompt))

    def ended(self, run_id: str, status: str) -> None:
        """Nothing: the report follows."""

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to leave behind."""

    def _changed(self, task: TaskProgress) -> None:
        now_s, name = self._progress.clock(), harmless(str(task.run))
        if task.ended_s is not None:
            self._told_s.pop(task.run, None)
            counts = f", {told(task, now_s)}" if task.is_fan_out and task.n_items is not None else ""
            self.say(f"{name}: {task.status.value} in {seconds(task.elapsed_s(now_s))}{counts}")
        elif task.run not in self._told_s:
            if task.n_items is not None:
                self._told_s[task.run] = now_s
                self.say(f"{name}: started" + (f", {task.n_items:,} items" if task.is_fan_out else ""))
        elif task.is_fan_out and now_s - self._told_s[task.run] >= _BETWEEN_LINES_S:
            self._told_s[task.run] = now_s
            self.say(f"{name}: {told(task, now_s)}")


def told(task: TaskProgress, now_s: float) -> str:
    """``430 of 1,000 items, 2 failed, 210 items/s, 2.7 s left``: what is known of it."""
    parts = [f"{task.n_done:,} of {task.n_items or 0:,} items"]
    if task.n_failed:
        parts.append(f"{task.n_failed:,} failed")
    if (rate := task.rate(now_s)) is not None:
        parts.append(f"{rate:,.0f} items/s" if rate >= 10 else f"{rate:.1f} items/s")
    if task.ended_s is None and (eta_s := task.eta_s(now_s)) is not None:
        parts.append(f"{seconds(eta_s)} left")
    return ", ".join(parts)
