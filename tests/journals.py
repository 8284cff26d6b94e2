"""Stores of runs for the contract of the journal: each makes coordinators over one and the same store."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select, update

from attune_ray.engine import Request
from attune_ray.ports import Inbox, Journal
from attune_ray.records import Mail, QuestionKey
from attune_ray.settings import StateSettings
from attune_ray.store import MemoryJournal, WriteBehind
from attune_ray.store.archive import Archive
from attune_ray.store.memory import JournalAndInbox
from attune_ray.store.schema import coordinators, runs
from attune_ray.store.sql_journal import SqlJournal

__all__ = ["BehindStore", "Coordinator", "MemoryStore", "SqlStore", "Store"]


class Coordinator(Journal, Inbox, Protocol):
    """One that writes and hears."""


class Store(Protocol):
    """Where several coordinators keep runs, and others ask things of them."""

    async def coordinator(self) -> Coordinator:
        """A new one, which lives."""

    async def kill(self, coordinator: Coordinator) -> None:
        """Let one die without a word; its object can still be called, as a process that wakes up again calls it."""

    def status(self, run_id: str) -> str:
        """How a run stands, for those who list runs."""

    def questions(self) -> list[QuestionKey]:
        """The open questions, oldest first."""

    def request(self, run_id: str, request: Request) -> None:
        """Ask something of a run."""

    def answer(self, key: QuestionKey, response: Any) -> None:
        """Answer a question."""

    async def close(self) -> None:
        """Let go of everything."""


class MemoryStore:
    """Runs in memory."""

    def __init__(self) -> None:
        self._first = MemoryJournal()

    async def coordinator(self) -> JournalAndInbox:
        """Another over the same store."""
        return self._first.beside()

    async def kill(self, coordinator: Coordinator) -> None:
        """Count it as dead."""
        assert isinstance(coordinator, MemoryJournal)
        coordinator.successor()

    def status(self, run_id: str) -> str:
        """As kept."""
        return self._first.status(run_id)

    def questions(self) -> list[QuestionKey]:
        """As kept."""
        return [asked.key for asked in self._first.questions]

    def request(self, run_id: str, request: Request) -> None:
        """As another process."""
        self._first.request(run_id, request)

    def answer(self, key: QuestionKey, response: Any) -> None:
        """As another process."""
        self._first.answer(key, response)

    async def close(self) -> None:
        """Nothing is open."""


class SqlStore:
    """Runs in a database. Those of its coordinators that live have a heart that beats, whatever the test does."""

    SILENCE_S = 0.6
    HEART_BEAT_S = 0.05

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.archive = Archive(url, folder=folder)
        self.journals: list[SqlJournal] = []
        self._hearts: dict[SqlJournal, asyncio.Task[None]] = {}

    async def coordinator(self) -> SqlJournal:
        """Another over the same database."""
        journal = SqlJournal(self.url, silence_s=self.SILENCE_S, folder=self.folder)
        self.journals.append(journal)
        self._hearts[journal] = asyncio.create_task(self._live(journal))
        return journal

    async def kill(self, coordinator: Coordinator) -> None:
        """Have its row tell of a process that is not there."""
        assert isinstance(coordinator, SqlJournal)
        await self._stop(coordinator)
        self.execute(update(coordinators).where(coordinators.c.id == coordinator.id).values(start_ticks=1))

    def status(self, run_id: str) -> str:
        """As kept."""
        with self.archive.database.open().connect() as connection:
            return connection.execute(select(runs.c.status).where(runs.c.id == run_id)).scalar_one()

    def questions(self) -> list[QuestionKey]:
        """As kept."""
        return [asked.key for asked in self.archive.questions()]

    def request(self, run_id: str, request: Request) -> None:
        """As another process."""
        self.archive.request(run_id, request)

    def answer(self, key: QuestionKey, response: Any) -> None:
        """As another process."""
        self.archive.answer(key, response)

    async def close(self) -> None:
        """Close all coordinators."""
        for journal in self.journals:
            await self._stop(journal)
            await journal.close()

    def execute(self, statement: Any) -> None:
        """Change what is kept behind everybody's back."""
        engine = self.archive.database.open()
        with engine.begin() as connection:
            connection.execute(statement)
        engine.dispose()

    async def _live(self, journal: SqlJournal) -> None:
        grow = update(coordinators).where(coordinators.c.id == journal.id).values(beat=coordinators.c.beat + 1)
        while True:
            await asyncio.sleep(self.HEART_BEAT_S)
            await asyncio.to_thread(self.execute, grow)

    async def _stop(self, journal: SqlJournal) -> None:
        heart = self._hearts.pop(journal, None)
        if heart is not None:
            heart.cancel()
            await asyncio.wait([heart])


class _Behind(WriteBehind):
    """Group commit over a journal, with the inbox of that one."""

    def __init__(self, inner: Coordinator, settings: StateSettings) -> None:
        super().__init__(inner, settings)
        self.inner = inner

    async def write(self, entries: Sequence[Any]) -> None:
        """Write and flush: the contract's errors are those of both together."""
        await super().write(entries)
        await self.flush()

    async def beat(self) -> Sequence[Mail]:
        return await self.inner.beat()


class BehindStore:
    """Any other store, with group commit before it."""

    def __init__(self, store: Store, settings: StateSettings) -> None:
        self._store = store
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def coordinator(self) -> _Behind:
        """Another over the same store."""
        return _Behind(await self._store.coordinator(), self._settings)

    async def kill(self, coordinator: _Behind) -> None:
        """Count it as dead."""
        await self._store.kill(coordinator.inner)
