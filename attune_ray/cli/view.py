"""What a person sees while a run goes on; the views themselves are in ``lines`` and ``live``."""

import os
import sys
from typing import Protocol

from attune_ray.observe.text import question, run_line
from attune_ray.ports import Observer, RunView

__all__ = ["Silent", "View", "open_view"]


class View(Observer, Protocol):
    """An observer that shows what it sees on standard error."""

    def say(self, text: str) -> None:
        """Show one line of our own, now."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice, and at any moment."""


def open_view(title: str, *, quiet: bool, is_kept: bool = False) -> View:
    """The view that fits standard error.

    Args:
        title: the workflow's name.
        is_kept: the run is known by its id afterwards, which is said even where nothing else is.
    """
    if quiet:
        return Silent(title if is_kept else None)
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from attune_ray.cli.live import LiveView  # noqa: PLC0415  imports rich: 0.1 s

        return LiveView(title)
    from attune_ray.cli.lines import PlainLines  # noqa: PLC0415

    return PlainLines(title)


class Silent:
    """Shows nothing of the run, but for its id.

    Args:
        title: the workflow's name, to be said with the id; None: neither is said.
    """

    def __init__(self, title: str | None = None) -> None:
        self._title = title

    def started(self, view: RunView) -> None:
        """Name the run."""
        if self._title is not None:
            self.say(run_line(view.run_id, self._title))

    def saw(self, run_id: str, event: object) -> None:
        """Nothing."""

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Show the question."""
        self.say(question(run_id, task, prompt))

    def ended(self, run_id: str, status: str) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """One line on standard error."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201  the command line speaks by it

    def close(self) -> None:
        """Nothing."""
