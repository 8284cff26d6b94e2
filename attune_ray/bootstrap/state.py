"""Where the runs of an engine are kept."""

from dataclasses import dataclass
from pathlib import Path

from attune_ray.ports import Inbox, Journal
from attune_ray.settings import StateSettings
from attune_ray.values.keeping import Keeping, ResultStore

__all__ = ["State", "open_results", "open_state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the runs of an engine are kept.

    Attributes:
        journal: their facts; ``inbox``: what other processes ask of them, looked into every ``beat_s`` seconds.
        keeping: their results.
    """

    journal: Journal
    inbox: Inbox
    keeping: Keeping
    beat_s: float = 1.0


def open_state(settings: StateSettings) -> State:
    """The state that settings name; nothing is connected to, or made, before it is needed.

    Raises:
        UsageError: a URL is wrong.
    """
    from attune_ray.store.sql_journal import SqlJournal  # noqa: PLC0415  0.2 s that a run which is not kept saves
    from attune_ray.store.write_behind import WriteBehind  # noqa: PLC0415

    journal = SqlJournal(settings.url, silence_s=settings.silence_s, folder=_folder(settings))
    return State(
        journal=WriteBehind(journal, settings),
        inbox=journal,
        keeping=Keeping(results=open_results(settings), inline_bytes=settings.inline_bytes),
        beat_s=settings.beat_s,
    )


def open_results(settings: StateSettings) -> ResultStore:
    """The store of results that settings name."""
    from attune_ray.store.results import FileResults  # noqa: PLC0415

    return FileResults(settings.results or str(_folder(settings) / "results"))


def _folder(settings: StateSettings) -> Path:
    """The folder for what is not in the database."""
    return Path(".attune") if "://" in settings.url else Path(settings.url)
