"""The runs that are kept, as the verbs ask for them."""

import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attune_ray.actions import Catalog
from attune_ray.bootstrap import SystemClock, open_results
from attune_ray.bootstrap.given import Given, gather
from attune_ray.bootstrap.kept import KeptRun, digest_of, tell_again
from attune_ray.cli.launch import Launch
from attune_ray.coordinator.replay import age_s
from attune_ray.errors import UsageError, WorkflowError
from attune_ray.records import RunBegun
from attune_ray.settings import StateSettings
from attune_ray.store.standing import INTERRUPTED
from attune_ray.values.keeping import ResultStore
from attune_ray.values.secrets import NO_SECRETS
from attune_ray.values.words import did_you_mean

if TYPE_CHECKING:
    from attune_ray.store.archive import Archive, RunLine

__all__ = ["KeptRuns", "is_live", "now", "seconds_of"]

_DEFAULT = StateSettings().url
_MOST_COMPARED = 1_000
_MOST_FAILED_ITEMS = 1_000


def is_live(line: "RunLine") -> bool:
    """Whether a coordinator has the run."""
    return line.ended_at is None and line.status != INTERRUPTED


def seconds_of(line: "RunLine") -> float | None:
    """Seconds from a run's begin to its end, or to now where it is live; None: it was interrupted, at some moment."""
    if line.status == INTERRUPTED:
        return None
    return age_s(line.begun_at, line.ended_at or now())


def _knows_secrets(begun: RunBegun, given: Given) -> bool:
    """Whether keystore, configuration and the schema of the parameters are those that the run had."""
    reference, digest = begun.launch.get("reference"), begun.launch.get("secrets")
    return (reference is None or reference in given.workflows) and (digest is None or digest == digest_of(given))


def _nothing_given() -> Given:
    """As of an engine that is given nothing: not even the environment's keystore."""
    return Given(
        catalog=Catalog(finds_installed=False),
        workflows={},
        config=None,
        configs={},
        config_secrets=NO_SECRETS,
        keystore={},
    )


def now() -> str:
    """UTC, ISO 8601."""
    return SystemClock().now()


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
        from attune_ray.store.archive import Archive  # noqa: PLC0415  0.3 s, when something is looked at

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

    def settings_of(self, begun: RunBegun) -> StateSettings:
        """Where a run and its results are kept. Raises UsageError: where its results are must be said."""
        return self.settings if "folder" not in begun.launch else Launch.of(begun).state(self.settings, begun.run_id)

    def results_of(self, begun: RunBegun) -> ResultStore:
        """The store of a run's results. Errors: as of ``settings_of``."""
        return open_results(self.settings_of(begun))

    def told(
        self, run_id: str, *, keystore: str | None = None, max_failed_items: int = _MOST_FAILED_ITEMS
    ) -> tuple[KeptRun, bool]:
        """All of a run as it stands, and whether all of its secrets are known here.

        Raises:
            UsageError: there is none of that id.
            StateError: it cannot be read.
        """
        line = self.line(run_id)
        history = self.archive.history(run_id)
        begun = history.begun
        given = self.given(begun, keystore=keystore)
        kept = tell_again(
            history,
            _nothing_given() if given is None else given,
            self.results_of(begun),
            until=now() if is_live(line) else None,
            max_failed_items=max_failed_items,
        )
        return kept, not begun.is_secret or (given is not None and _knows_secrets(begun, given))

    def given(self, begun: RunBegun, *, keystore: str | None = None) -> Given | None:
        """Packs, configuration and keystore of a run, without its actions; None: they are not there any more."""
        launch = Launch.of(begun) if "folder" in begun.launch else Launch()
        try:
            return gather((), {}, launch.packs, launch.config, keystore or launch.keystore)
        except (UsageError, WorkflowError, OSError):
            return None

    def given_or_nothing(self, begun: RunBegun) -> Given:
        """The same, or nothing where that is not there."""
        return self.given(begun) or _nothing_given()

    @property
    def default_results(self) -> ResultStore:
        """Where results are unless their run says otherwise."""
        return open_results(self.settings)

    def how(self, verb: str, *words: str) -> str:
        """The command that does something with these runs."""
        is_said = self._said not in {_DEFAULT, os.environ.get("ATTUNE_STATE")}
        state = ["--state", self.archive.database.shown if "://" in self._said else self._said]
        return shlex.join(["attune-ray", verb, *words, *(state if is_said else [])])
