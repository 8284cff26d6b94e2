"""The runs that are kept, as the verbs ask for them; what tells a run whole is in ``telling``."""

import datetime as dt
import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attune_ray.errors import UsageError
from attune_ray.settings import StateSettings
from attune_ray.store.standing import INTERRUPTED
from attune_ray.values.words import did_you_mean

if TYPE_CHECKING:
    from attune_ray.store.archive import Archive, RunLine

__all__ = ["KeptRuns", "is_live", "seconds_of"]

_DEFAULT = StateSettings().url
_MOST_COMPARED = 1_000


def is_live(line: "RunLine") -> bool:
    """Whether a coordinator has the run."""
    return line.ended_at is None and line.status != INTERRUPTED


def seconds_of(line: "RunLine") -> float | None:
    """Seconds from a run's begin to its end, or to now where it is live; None: it was interrupted, at some moment."""
    if line.status == INTERRUPTED:
        return None
    end = dt.datetime.now(dt.UTC) if line.ended_at is None else dt.datetime.fromisoformat(line.ended_at)
    return max(0.0, (end - dt.datetime.fromisoformat(line.begun_at)).total_seconds())


class KeptRuns:
    """The runs of one place.

    Args:
        settings: where they are.
        said: the same as the user has said it.
    """

    def __init__(self, settings: StateSettings, said: str) -> None:
        self.settings = settings
        self._said = said

    @cached_property
    def archive(self) -> "Archive":
        """What is kept of them."""
        from attune_ray.store.archive import Archive  # noqa: PLC0415  0.2 s, when something is looked at

        folder = Path(".attune") if "://" in self.settings.url else Path(self.settings.url)
        return Archive(self.settings.url, silence_s=self.settings.silence_s, folder=folder)

    def line(self, run_id: str) -> "RunLine":
        """How a run stands.

        Raises:
            UsageError: there is none of that id; tells the closest one.
        """
        if (found := self.find(run_id)) is not None:
            return found
        known = (line.id for line in self.archive.runs(limit=_MOST_COMPARED))
        hint = did_you_mean(run_id, known) or "attune-ray runs lists those that there are"
        raise UsageError(f"there is no run {run_id} in {self.archive.database.shown} ({hint})")

    def find(self, run_id: str) -> "RunLine | None":
        """The same; None: there is none."""
        try:
            return self.archive.run(run_id)
        except UsageError:
            return None

    def how(self, verb: str, *words: str) -> str:
        """The command that does something with these runs."""
        is_said = self._said not in {_DEFAULT, os.environ.get("ATTUNE_STATE")}
        state = ["--state", self.archive.database.shown if "://" in self._said else self._said]
        return shlex.join(["attune-ray", verb, *words, *(state if is_said else [])])
