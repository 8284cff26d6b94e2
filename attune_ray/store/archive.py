"""What other processes see of the runs that are kept, and ask of them; none of them is a coordinator."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, or_, select, tuple_, update

from attune_ray.engine import Request
from attune_ray.errors import UsageError
from attune_ray.records import Asked, History, QuestionKey, RunBegun, root_of
from attune_ray.store.codec import decode_begun, encode_json, encode_request, kind_of
from attune_ray.store.database import database_of
from attune_ray.store.faults import translated
from attune_ray.store.schema import coordinators, questions, requests, runs
from attune_ray.store.sql_claims import process_of
from attune_ray.store.sql_rows import history_of, is_question, now, question_of, unsealed
from attune_ray.store.sql_writes import in_parts
from attune_ray.store.standing import INTERRUPTED, UNFINISHED
from attune_ray.values.secrets import secret_defaults

__all__ = ["Archive", "RunLine"]

_T = TypeVar("_T")
_LINE: Final = (
    runs.c.id,
    runs.c.title,
    runs.c.source,
    runs.c.status,
    runs.c.begun_at,
    runs.c.ended_at,
    runs.c.n_facts,
    runs.c.rerun_of,
    runs.c.coordinator,
)
_NAMES: Final = tuple(column.name for column in _LINE[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in a listing.

    Attributes:
        status: as of ``RunStatus``, or ``interrupted``.
        begun_at, ended_at: UTC, ISO 8601; None: it has not ended.
        n_facts: how much is kept of it.
        rerun_of: the run that it repeats a part of.
    """

    id: str
    title: str
    source: str
    status: str
    begun_at: str
    ended_at: str | None
    n_facts: int
    rerun_of: str | None


class Archive:
    """Runs that are kept; where nothing was ever kept, there are none. Thread-safe.

    Args:
        url, folder: as of ``SqlJournal``.
        silence_s: seconds without a beat, by the wall clock, after which a coordinator is shown as dead.

    Every method raises StateError where the database cannot be used.
    """

    def __init__(self, url: str, *, silence_s: float = 15.0, folder: Path = Path(".attune")) -> None:
        self.database = database_of(url, folder)
        self._silence_s = silence_s
        self._engine: Engine | None = None  # holds no connection between two calls

    def runs(self, *, status: Iterable[str] = (), limit: int = 50, before: str | None = None) -> Sequence[RunLine]:
        """The newest runs first; O(limit), however many there are.

        Args:
            status: those that stand like this; (): all.
            before: only those that are listed behind this run: for the next page.

        Raises:
            UsageError: there is no run ``before``.
        """
        wanted = frozenset(status)

        def work(connection: Connection) -> Sequence[RunLine]:
            living = self._living(connection)
            lines = select(*_LINE).order_by(runs.c.begun_at.desc(), runs.c.id.desc()).limit(limit)
            if wanted:
                lines = lines.where(_stands(wanted, living))
            if before is not None:
                lines = lines.where(_is_behind(connection, before))
            return [_line(row, living) for row in connection.execute(lines)]

        return self._read(work, ())

    def run(self, run_id: str) -> RunLine:
        """One run. Raises UsageError: there is none of that id."""

        def work(connection: Connection) -> RunLine:
            row = connection.execute(select(*_LINE).where(runs.c.id == run_id)).one_or_none()
            if row is None:
                raise UsageError(f"there is no run {run_id}")
            return _line(row, self._living(connection))

        return self._known(work, run_id)

    def begun(self, run_id: str) -> RunBegun:
        """How a run has begun, without its facts. Raises UsageError: there is none of that id."""

        def work(connection: Connection) -> RunBegun:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
            if row is None:
                raise UsageError(f"there is no run {run_id}")
            body = unsealed(run_id, row.begun, self.database.sealer, is_sealed=row.begun_sealed)
            told = {"rerun_of": row.rerun_of, "is_secret": row.begun_sealed}
            return decode_begun(run_id, row.begun_at, row.title, row.source, body, **told)

        return self._known(work, run_id)

    def history(self, run_id: str) -> History:
        """All that is kept of a run. Raises UsageError: there is none of that id."""
        return self._known(lambda connection: history_of(connection, run_id, self.database.sealer), run_id)

    def questions(self, run_id: str | None = None) -> Sequence[Asked]:
        """The questions that wait for an answer, oldest first: all, or those of a run and its children."""
        asked = select(questions).where(questions.c.answered_at.is_(None)).order_by(questions.c.id)
        if run_id is not None:
            asked = asked.where(questions.c.run_id == run_id)
        return self._read(lambda connection: [question_of(row) for row in connection.execute(asked)], ())

    def request(self, run_id: str, request: Request) -> None:
        """Leave a request for whoever has a run, or will take it over.

        Raises:
            UsageError: there is no such run, or it has ended.
        """

        def work(connection: Connection) -> None:
            standing = select(runs.c.status).where(runs.c.id == run_id).with_for_update(read=True)
            status = connection.execute(standing).scalar()
            if status is None:
                raise UsageError(f"there is no run {run_id}")
            if status not in UNFINISHED:
                raise UsageError(f"run {run_id} has ended ({status})")
            values = {"run_id": run_id, "at": now(), "kind": kind_of(request), "body": encode_request(request, run_id)}
            connection.execute(insert(requests), values)

        self._known(work, run_id, writes=True)

    def answer(self, key: QuestionKey, response: Any) -> None:
        """Answer a question that is open; the response fits its schema (``questions`` tells it) already.

        It is sealed where the schema marks a part of it as secret.

        Raises:
            UsageError: nobody asks that, or it has been answered.
        """
        run_id, task, _ = key

        def work(connection: Connection) -> None:
            waits = (is_question(key), questions.c.answered_at.is_(None))
            row = connection.execute(select(questions).where(*waits).with_for_update()).one_or_none()
            if row is None:
                raise UsageError(f"run {run_id} asks nothing in task {task!r} that is not answered")
            body = encode_json(response, run_id)
            is_secret = any(True for _ in secret_defaults(question_of(row).response_schema))
            values = {
                "answered_at": now(),
                "is_sealed": is_secret,
                "response": self.database.sealer.seal(body) if is_secret else body,
            }
            connection.execute(update(questions).where(questions.c.id == row.id).values(values))

        self._known(work, root_of(run_id), writes=True)

    def ended_before(self, at: str) -> Sequence[str]:
        """The runs that have ended before a moment (UTC, ISO 8601), oldest first: to be removed.

        Not among them are those that a run which stays has repeated, since it refers to their results.
        """
        old = select(runs.c.id).where(runs.c.ended_at < at).order_by(runs.c.ended_at)
        repeating = select(runs.c.id, runs.c.rerun_of).where(runs.c.rerun_of.is_not(None))

        def work(connection: Connection) -> Sequence[str]:
            found = list(connection.scalars(old))
            repeated = {row.id: row.rerun_of for row in connection.execute(repeating)}
            needed = _needed(repeated, frozenset(found))
            return [run_id for run_id in found if run_id not in needed]

        return self._read(work, ())

    def remove(self, run_ids: Iterable[str]) -> Sequence[str]:
        """Forget runs with all that belongs to them, but for those that a living coordinator has; which it were."""

        def work(connection: Connection) -> Sequence[str]:
            removed: list[str] = []
            free = or_(runs.c.coordinator.is_(None), runs.c.coordinator.not_in(self._living(connection)))
            for part in in_parts(run_ids):
                found = connection.scalars(select(runs.c.id).where(runs.c.id.in_(part), free).with_for_update())
                removed += found
            for part in in_parts(removed):
                connection.execute(delete(runs).where(runs.c.id.in_(part)))
            return removed

        return self._do(work, writes=True) if self.database.exists() else ()

    def _living(self, connection: Connection) -> Sequence[str]:
        """Coordinators that live, as far as can be said without waiting for a sign of it."""
        oldest = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._silence_s)
        heard = select(coordinators).where(coordinators.c.at >= oldest.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        return [row.id for row in connection.execute(heard) if not process_of(row).is_gone()]

    def _read(self, work: Callable[[Connection], _T], nothing: _T) -> _T:
        return self._do(work, writes=False) if self.database.exists() else nothing

    def _known(self, work: Callable[[Connection], _T], run_id: str, *, writes: bool = False) -> _T:
        if not self.database.exists():
            raise UsageError(f"there is no run {run_id}")
        return self._do(work, writes=writes)

    def _do(self, work: Callable[[Connection], _T], *, writes: bool) -> _T:
        with translated(self.database.shown):
            if self._engine is None:
                self._engine = self.database.open()
            options: dict[str, Any] = {"reads": not writes}
            if not writes and self.database.file is None:  # all statements of a look see one moment, as in SQLite
                options["isolation_level"] = "REPEATABLE READ"
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                return work(connection)


def _needed(repeated: Mapping[str, str], going: frozenset[str]) -> set[str]:
    """The runs that those which stay have repeated, and those that these have."""
    needed: set[str] = set()
    todo = [old for new, old in repeated.items() if new not in going]
    while todo:
        run_id = todo.pop()
        if run_id not in needed:
            needed.add(run_id)
            todo += [repeated[run_id]] if run_id in repeated else []
    return needed


def _stands(wanted: frozenset[str], living: Sequence[str]) -> ColumnElement[bool]:
    """The condition for runs that are shown with one of these statuses."""
    unfinished = [str(status) for status in UNFINISHED]
    has_coordinator = runs.c.coordinator.in_(living)
    kept = and_(runs.c.status.in_(wanted), or_(runs.c.status.not_in(unfinished), has_coordinator))
    if INTERRUPTED not in wanted:
        return kept
    nobody = or_(runs.c.coordinator.is_(None), runs.c.coordinator.not_in(living))
    return or_(kept, and_(runs.c.status.in_(unfinished), nobody))


def _is_behind(connection: Connection, run_id: str) -> ColumnElement[bool]:
    begun_at = connection.execute(select(runs.c.begun_at).where(runs.c.id == run_id)).scalar()
    if begun_at is None:
        raise UsageError(f"there is no run {run_id}")
    return tuple_(runs.c.begun_at, runs.c.id) < (begun_at, run_id)


def _line(row: Any, living: Sequence[str]) -> RunLine:
    *values, coordinator = row
    line = RunLine(**dict(zip(_NAMES, values, strict=True)))
    is_interrupted = line.ended_at is None and coordinator not in living
    return replace(line, status=INTERRUPTED) if is_interrupted else line
