"""A coordinator dies at any write of its journal: whoever goes on with its run loses nothing, and repeats nothing."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from durable import EFFECTS, WORK, answering, durable_engine, effects, outcome

from attune_ray import Engine
from attune_ray.dispatch import spool
from attune_ray.errors import StateError, UsageError
from attune_ray.store import DyingJournal, MemoryJournal, MemoryResults
from attune_ray.store.memory import JournalAndInbox
from attune_ray.store.sql_journal import SqlJournal

NEVER = 10**6
ONCE = ["list", "child", "left", "right", "join", "last", "flaky 1", "flaky 2", "flaky 3"]
DONE = Counter([*ONCE, *(f"each {x}" for x in (0, 1, 2, 3, 4, 5, 5, 6, 100, 101, 102))])
"""Each once, but for the item that is refused twice."""
OUTCOME: tuple[str, dict[str, Any]] = (
    "completed",
    {
        "each": [0, 1, 2, 3, 4, None, 6],
        "failed": [{"index": 5, "item": 5, "error": "ValueError: refused"}],
        "child": {"sum": 303, "succeeded": True},
        "last": {"seen": [3, 1]},
    },
)


@pytest.fixture(autouse=True)
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions leave their marks in a file of this test."""
    monkeypatch.setattr(spool, "logs_folder", lambda: tmp_path)
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))


def run(engine: Engine, run_id: str = "crash") -> tuple[str, dict[str, Any]]:
    """Run the workflow to its end, or to that of its journal."""
    with engine:
        return outcome(asyncio.run(answering(engine, engine.arun(WORK, run_id=run_id))))


def recover(engine: Engine, run_id: str = "crash") -> tuple[str, dict[str, Any]]:
    """Go on with it."""
    with engine:
        return outcome(asyncio.run(answering(engine, engine.recover(run_id))))


class Memory:
    """Coordinators over one memory."""

    def __init__(self) -> None:
        self._journal = MemoryJournal()

    def next(self) -> JournalAndInbox:
        """A new one, when those before have died."""
        self._journal = self._journal.successor()
        return self._journal


class Sql:
    """Coordinators over one database; one that is silent for a moment counts as dead."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder

    def next(self) -> JournalAndInbox:
        """A new one."""
        return SqlJournal(self._url, silence_s=0.05, folder=self._folder)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def coordinators(request: pytest.FixtureRequest, tmp_path: Path) -> Memory | Sql:
    """What makes coordinators over one store."""
    if request.param == "memory":
        return Memory()
    url = str(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Sql(url, tmp_path)


def n_writes() -> int:
    """How often the undisturbed run writes."""
    journal = DyingJournal(MemoryJournal(), after=NEVER, keeps=True)
    assert run(durable_engine(journal, MemoryResults())) == OUTCOME
    return journal.n_writes


def test_an_undisturbed_run_is_kept_whole() -> None:
    """And does everything once."""
    assert n_writes() > 10
    assert effects() == DONE


@pytest.mark.parametrize("keeps", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("inline_bytes", [16_384, 0], ids=["inline", "files"])
def test_a_death_at_any_write_changes_nothing(
    coordinators: Memory | Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keeps: bool, inline_bytes: int
) -> None:
    """The same result, and no finished item is done again: for each write, before or after it was kept."""
    for after in range(1, n_writes() + 1):
        monkeypatch.setenv(EFFECTS, str(tmp_path / f"effects-{after}"))
        results, run_id = MemoryResults(), f"crash-{after}"
        dying = DyingJournal(coordinators.next(), after=after, keeps=keeps)
        try:
            found = run(durable_engine(dying, results, inline_bytes=inline_bytes), run_id)
        except StateError:
            successor = durable_engine(coordinators.next(), results, inline_bytes=inline_bytes)
            if after == 1 and not keeps:
                with pytest.raises(UsageError, match="there is no run"):
                    recover(successor, run_id)
                continue
            found = recover(successor, run_id)
        assert (found, effects()) == (OUTCOME, DONE), f"write {after}"


def test_what_a_relaxed_journal_loses_is_found_or_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on before its facts are kept; after a death at any write it comes to the same."""
    for after in range(1, 12):
        monkeypatch.setenv(EFFECTS, str(tmp_path / f"effects-{after}"))
        memory, results, run_id = MemoryJournal(), MemoryResults(), f"relaxed-{after}"
        dying = DyingJournal(memory, after=after, keeps=False)
        try:
            found = run(durable_engine(dying, results, level="relaxed"), run_id)
        except StateError:
            try:
                found = recover(durable_engine(memory.successor(), results, level="relaxed"), run_id)
            except UsageError:
                assert after == 1  # not even its beginning was kept
                continue
        assert found == OUTCOME, f"write {after}"


@pytest.mark.parametrize("second", [1, 2, 4])
def test_whoever_goes_on_may_die_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: int) -> None:
    """After any first death, at the first writes of the second coordinator."""
    for after in range(2, n_writes() + 1):
        monkeypatch.setenv(EFFECTS, str(tmp_path / f"effects-{after}"))
        memory, results, run_id = MemoryJournal(), MemoryResults(), f"twice-{after}"
        with pytest.raises(StateError):
            run(durable_engine(DyingJournal(memory, after=after, keeps=False), results), run_id)
        heir = memory.successor()
        try:
            found = recover(durable_engine(DyingJournal(heir, after=second, keeps=True), results), run_id)
        except StateError:
            found = recover(durable_engine(heir.successor(), results), run_id)
        assert (found, effects()) == (OUTCOME, DONE), f"write {after}"


def test_after_a_reboot_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes had left in temporary files is gone: items that had ended and were not kept are done again."""
    for after in range(2, n_writes() + 1):
        monkeypatch.setenv(EFFECTS, str(tmp_path / f"effects-{after}"))
        memory, results, run_id = MemoryJournal(), MemoryResults(), f"boot-{after}"
        with pytest.raises(StateError):
            run(durable_engine(DyingJournal(memory, after=after, keeps=False), results), run_id)
        for left in tmp_path.glob("spool-*"):
            left.unlink()
        found = recover(durable_engine(memory.successor(), results), run_id)
        assert (found, DONE - effects()) == (OUTCOME, Counter()), f"write {after}"
