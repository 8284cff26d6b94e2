"""The view for terminals: one line per running task, a bar for a fan-out; drawn by rich."""

import asyncio
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from attune_ray.cli.lines import told
from attune_ray.engine import Event, RunStatus
from attune_ray.observe.progress import Progress, TaskProgress
from attune_ray.observe.text import clipped, harmless, question, run_line, seconds
from attune_ray.ports import RunView

__all__ = ["LiveView"]

_FRAME_S = 0.125
"""Seconds between two frames: smooth to the eye, 1-2 ms of the coordinator's time each."""
_MOST_TASKS = 12
_NAME_WIDTH = 32
_BAR_WIDTH: Final = 28


class LiveView:
    """Redraws while the run's own event loop turns; texts of the workflow are never read as markup.

    Frames are timers of that loop, so that nothing is read while it is being written.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._named = title
        self._title = clipped(harmless(title), _NAME_WIDTH)
        self._console = console or Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._progress = Progress()
        self._spinner = Spinner("dots")
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._timer: asyncio.TimerHandle | None = None
        self._began_s = self._progress.clock()

    def started(self, view: RunView) -> None:
        """Name the run, and take the lower part of the terminal."""
        self.say(run_line(view.run_id, self._named))
        self._progress.started(view)
        self._began_s = self._progress.clock()
        self._live.start()
        self._draw()

    def saw(self, run_id: str, event: Event) -> None:
        """Keep what the next frame shows."""
        self._progress.saw(run_id, event)

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing: warnings are listed at the end."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Show the question."""
        self.say(question(run_id, task, prompt))

    def ended(self, run_id: str, status: str) -> None:  # noqa: ARG002  as the port has it
        """Show the last frame, then give the terminal back."""
        self.close()

    def say(self, text: str) -> None:
        """Write a line above the view."""
        self._console.print(Text(text))

    def close(self) -> None:
        """Give the terminal back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(self._frame(), refresh=True)
        self._timer = asyncio.get_running_loop().call_later(_FRAME_S, self._draw)

    def _frame(self) -> RenderableType:
        now_s, live = self._progress.clock(), list(self._progress.live.values())
        grid = Table.grid(padding=(0, 1))
        for _ in range(4):
            grid.add_column(no_wrap=True)
        for task in live[:_MOST_TASKS]:
            name = Text(clipped(harmless(str(task.run)), _NAME_WIDTH))
            elapsed = Text(seconds(task.elapsed_s(now_s)), style="dim")
            grid.add_row(self._spinner, name, elapsed, self._progress_of(task, now_s))
        more = f", {len(live) - _MOST_TASKS} more tasks run" if len(live) > _MOST_TASKS else ""
        status = self._progress.status
        stands = "" if status is RunStatus.RUNNING else f"  {status.value}"
        head = Text(f"{self._title}  {seconds(now_s - self._began_s)}{stands}{more}", style="bold")
        return Group(head, grid)

    def _progress_of(self, task: TaskProgress, now_s: float) -> RenderableType:
        if task.n_items is None:
            return Text("starting", style="dim")
        if not task.is_fan_out:
            return Text("")
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, task.n_items), completed=task.n_done, width=_BAR_WIDTH)
        row.add_row(bar, Text(told(task, now_s), style="red" if task.n_failed else ""))
        return row
