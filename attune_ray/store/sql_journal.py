"""Runs kept in SQLite or PostgreSQL: a Journal and an Inbox over one connection, which lives in a thread of its own.

A coordinator is known by a random id. ``runs.coordinator`` names the one that may write, and each write looks for it in
the same transaction: whoever was taken for dead and wakes up again keeps nothing more of that run. How it is told who
lives says ``claim``.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from attune_ray.errors import FencedError, StateError
from attune_ray.records import AnswerMail, Entry, History, Mail, RequestMail
from attune_ray.store.codec import decode_json, decode_request
from attune_ray.store.database import database_of
from attune_ray.store.faults import translated
from attune_ray.store.liveness import Process
from attune_ray.store.refusals import Refusals
from attune_ray.store.schema import coordinators, questions, requests, runs
from attune_ray.store.sql_claims import Rival, take, watch
from attune_ray.store.sql_rows import history_of, key_of, now, row_of, unsealed
from attune_ray.store.sql_writes import Writer, in_parts

__all__ = ["SqlJournal"]

_T = TypeVar("_T")
_BEATS_IN_SILENCE: Final = 5  # a coordinator that lives is seen to in a fifth of the time it is watched for
_LOOKS_IN_SILENCE: Final = 30


class SqlJournal:
    """One coordinator; nothing is opened before it is needed.

    Args:
        url: a folder for SQLite, or the URL of a PostgreSQL database.
        silence_s: seconds without a beat after which a coordinator counts as dead where nobody sees its process.
        folder: for the key of sealed bodies, where ``url`` is no folder.

    Attributes:
        id: of this coordinator.

    Raises:
        UsageError: ``url`` is neither.
    """

    def __init__(self, url: str, *, silence_s: float = 15.0, folder: Path = Path(".attune")) -> None:
        self._database = database_of(url, folder)
        self._silence_s = silence_s
        self.id = secrets.token_hex(16)
        self._writer = Writer(self.id)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="attune-journal")
        self._connection: Connection | None = None
        self._is_registered = False
        self._is_closed = False
        self._last_beat_s = 0.0

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep entries in one transaction."""
        if entries:
            await self._run(lambda: self._write(entries))

    async def flush(self) -> None:
        """A write is committed when it returns: nothing is ever waiting."""

    async def claim(self, run_id: str) -> History:
        """Take over a run.

        Where its coordinator's process is gone, at once. Else its beats are watched by our own clock for up to
        ``silence_s``: one more, and it lives.
        """
        rival = await self._run(lambda: self._take(run_id, None))
        while rival is not None:
            if not rival.process.is_gone() and not await self._is_silent(rival):
                raise FencedError(f"run {run_id} is with {rival.told}", frozenset({run_id}))
            found = await self._run(lambda dead=rival: self._take(run_id, dead))  # type: ignore[misc]
            if found is not None and found.id != rival.id:
                raise FencedError(f"run {run_id} is with {found.told}", frozenset({run_id}))
            rival = found
        return await self._run(lambda: self._read_claimed(run_id))

    async def read(self, run_id: str) -> History:
        """All that is kept of a run."""
        return await self._run(lambda: self._read(run_id))

    async def beat(self) -> Sequence[Mail]:
        """Read the mail; write only where there is a request to take, or the last sign of life grows old."""
        return await self._run(self._beat) if self._is_registered else []

    async def close(self) -> None:
        """Let go of the runs that have not ended, and of the connection."""
        if not self._is_closed:
            self._is_closed = True
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            finally:
                self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise StateError(f"the state in {self._database.shown} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._translated, call)

    async def _is_silent(self, rival: Rival) -> bool:
        """Whether a coordinator gives no sign of life for as long as it is waited for one."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._silence_s
        while loop.time() < end_s:
            await asyncio.sleep(self._silence_s / _LOOKS_IN_SILENCE)
            seen = await self._run(lambda: self._transaction(lambda c: watch(c, rival.id), reads=True))
            if seen is None or seen.process.is_gone():
                return True
            if seen.beat != rival.beat:
                return False
        return True

    # What follows runs in the thread.

    def _translated(self, call: Callable[[], _T]) -> _T:
        with translated(self._database.shown):
            try:
                return call()
            except DBAPIError as error:
                if error.connection_invalidated:
                    self._disconnect()
                raise

    def _transaction(self, work: Callable[[Connection], _T], *, reads: bool = False) -> _T:
        """Do something in one transaction; on SQLite one that writes has its lock from the beginning."""
        if self._connection is None:
            self._connection = self._database.open().connect()
        connection = self._connection.execution_options(reads=reads)
        with connection.begin():
            return work(connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _write(self, entries: Sequence[Entry]) -> None:
        refused = Refusals()
        pairs = refused.each(entries, lambda entry: row_of(entry, self.id, self._database.sealer))

        def work(connection: Connection) -> None:
            self._register(connection)
            self._writer.write(connection, pairs, refused)

        try:
            self._transaction(work)
        except IntegrityError:  # two began runs of one id at the same moment: now one of them is seen
            self._transaction(work)
        self._is_registered = True
        refused.raise_any()

    def _register(self, connection: Connection) -> None:
        if not self._is_registered:
            self._introduce(connection)

    def _introduce(self, connection: Connection) -> None:
        process = Process.here()
        values = {name: getattr(process, name) for name in ("host", "boot", "namespace", "pid", "start_ticks")}
        connection.execute(insert(coordinators), {"id": self.id, "beat": 0, "at": now(), **values})
        self._last_beat_s = time.monotonic()

    def _take(self, run_id: str, dead: Rival | None) -> Rival | None:
        def work(connection: Connection) -> Rival | None:
            rival = take(connection, run_id, self.id, dead)
            if rival is None:
                self._register(connection)
            return rival

        rival = self._transaction(work)
        self._is_registered = self._is_registered or rival is None
        return rival

    def _read(self, run_id: str) -> History:
        return self._transaction(lambda connection: history_of(connection, run_id, self._database.sealer), reads=True)

    def _read_claimed(self, run_id: str) -> History:
        """The history of a run that is ours; one that cannot be read is let go of again."""
        try:
            asking = select(questions.c.of_run, questions.c.task).where(questions.c.run_id == run_id)
            found = self._transaction(lambda connection: connection.execute(asking).all(), reads=True)
            self._writer.asking.update((row.of_run, row.task) for row in found)
            return self._read(run_id)
        except Exception:
            ours = (runs.c.id == run_id, runs.c.coordinator == self.id)
            self._transaction(lambda connection: connection.execute(update(runs).where(*ours).values(coordinator=None)))
            raise

    def _beat(self) -> Sequence[Mail]:
        asked, answered = self._transaction(self._mail, reads=True)
        if asked or time.monotonic() - self._last_beat_s >= self._silence_s / _BEATS_IN_SILENCE:
            asked, answered = self._transaction(self._sign_and_take)
            self._last_beat_s = time.monotonic()
        mail: list[Mail] = [RequestMail(row.run_id, decode_request(row.run_id, row.kind, row.body)) for row in asked]
        try:
            mail += [self._answer(row) for row in answered]
        except StateError:
            if not mail:
                raise
            return mail  # requests are delivered once: the next beat tells of the answer
        self._writer.heard.update(row.id for row in answered)
        return mail

    def _answer(self, row: Any) -> AnswerMail:
        response = unsealed(row.run_id, row.response, self._database.sealer, is_sealed=row.is_sealed)
        return AnswerMail(key_of(row), decode_json(response, row.run_id))

    def _mail(self, connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
        """Requests that nobody has taken, and answers that this coordinator was not told; oldest first."""
        asked = select(requests).join(runs).where(requests.c.taken_at.is_(None), runs.c.coordinator == self.id)
        told = select(questions).join(runs).where(questions.c.answered_at.is_not(None), runs.c.coordinator == self.id)
        answered = connection.execute(told.order_by(questions.c.answered_at, questions.c.id)).all()
        new = [row for row in answered if row.id not in self._writer.heard]
        return connection.execute(asked.order_by(requests.c.id)).all(), new

    def _sign_and_take(self, connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
        sign = update(coordinators).where(coordinators.c.id == self.id)
        if not connection.execute(sign.values(beat=coordinators.c.beat + 1, at=now())).rowcount:
            self._introduce(connection)
        asked, answered = self._mail(connection)
        for part in in_parts(row.id for row in asked):
            connection.execute(update(requests).where(requests.c.id.in_(part)).values(taken_at=now()))
        return asked, answered

    def _close(self) -> None:
        with translated(self._database.shown):
            try:
                if self._is_registered:
                    self._transaction(self._let_go)
            finally:
                self._disconnect()

    def _let_go(self, connection: Connection) -> None:
        connection.execute(update(runs).where(runs.c.coordinator == self.id).values(coordinator=None))
        connection.execute(delete(coordinators).where(coordinators.c.id == self.id))
