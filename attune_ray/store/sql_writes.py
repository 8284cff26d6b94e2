"""One write: entries of many runs in one transaction, of those runs alone that are the coordinator's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from attune_ray.engine import ChunkDone, TransitionsEvaluated
from attune_ray.records import Asked, Entry, Fact, RunBegun, RunEnded, root_of
from attune_ray.store.refusals import Refusals, has_begun, is_fenced
from attune_ray.store.schema import facts, questions, requests, runs
from attune_ray.store.sql_rows import is_question
from attune_ray.store.standing import status_after

__all__ = ["Writer", "in_parts"]

_MAX_VALUES: Final = 500  # in a list of a statement; SQLite takes 32,766, its older versions 999
_GROW: Final = update(runs).where(runs.c.id == bindparam("run")).values(n_facts=bindparam("n"))
_END: Final = update(runs).where(runs.c.id == bindparam("ended_run"))
_Pair = tuple[Entry, Mapping[str, Any]]


class Writer:
    """Writes for one coordinator.

    Attributes:
        asking: runs and tasks that may have open questions; spares a look for each chunk of all the others.
        heard: questions, by their numbers, whose answers this coordinator was told.
    """

    def __init__(self, coordinator: str) -> None:
        self._me = coordinator
        self.asking: set[tuple[str, str]] = set()
        self.heard: set[int] = set()

    def write(self, connection: Connection, pairs: Sequence[_Pair], refused: Refusals) -> None:
        """Keep entries and their rows; runs that are not this coordinator's are refused."""
        self._begin_runs(connection, pairs, refused)
        n_facts = self._own(connection, {root_of(entry.run_id) for entry, _ in pairs}, refused)
        kept = [pair for pair in pairs if root_of(pair[0].run_id) in n_facts]
        self._add_facts(connection, kept, n_facts)
        for entry, row in kept:
            self._follow(connection, entry, row)
        self._end_runs(connection, {entry.run_id: row for entry, row in kept if isinstance(entry, RunEnded)})

    def _begin_runs(self, connection: Connection, pairs: Sequence[_Pair], refused: Refusals) -> None:
        begun = {entry.run_id: row for entry, row in pairs if isinstance(entry, RunBegun)}
        for part in in_parts(begun):
            for run_id in connection.scalars(select(runs.c.id).where(runs.c.id.in_(part))):
                refused.add(run_id, has_begun(run_id))
        if new := [row for run_id, row in begun.items() if run_id not in refused]:
            connection.execute(insert(runs), new)

    def _own(self, connection: Connection, roots: set[str], refused: Refusals) -> dict[str, int]:
        """How many facts each run has that may be written to; nobody else may take it until this write is done."""
        owned = {}
        for part in in_parts(sorted(roots)):
            columns = select(runs.c.id, runs.c.n_facts).where(runs.c.id.in_(part), runs.c.coordinator == self._me)
            for row in connection.execute(columns.order_by(runs.c.id).with_for_update(key_share=True)):
                owned[row.id] = row.n_facts
        for run_id in roots - owned.keys():
            refused.add(run_id, is_fenced(run_id))
        return {run_id: n_facts for run_id, n_facts in owned.items() if run_id not in refused}

    def _add_facts(self, connection: Connection, pairs: Iterable[_Pair], n_facts: dict[str, int]) -> None:
        """Insert all facts at once, each run's numbered on from its last one."""
        before = dict(n_facts)
        rows = []
        for entry, row in pairs:
            if isinstance(entry, Fact):
                run_id = row["run_id"]
                rows.append({**row, "seq": n_facts[run_id]})
                n_facts[run_id] += 1
        if not rows:
            return
        connection.execute(insert(facts), rows)
        grown = [{"run": run_id, "n": n} for run_id, n in n_facts.items() if n != before[run_id]]
        connection.execute(_GROW, grown)

    def _follow(self, connection: Connection, entry: Entry, row: Mapping[str, Any]) -> None:
        """What an entry changes besides being there."""
        match entry:
            case Fact():
                if (status := status_after(entry)) is not None:
                    connection.execute(update(runs).where(runs.c.id == entry.run_id).values(status=str(status)))
                if isinstance(entry.event, ChunkDone | TransitionsEvaluated):
                    self._close_questions(connection, entry.run_id, entry.event)
            case Asked():
                self.asking.add((entry.run_id, entry.task))
                if connection.execute(select(questions.c.id).where(is_question(entry.key))).first() is None:
                    connection.execute(insert(questions), row)
            case _:
                pass

    def _end_runs(self, connection: Connection, ended: Mapping[str, Mapping[str, Any]]) -> None:
        """What runs came to; nothing is asked of them any more. A statement for all of them: many end at once."""
        if not ended:
            return
        connection.execute(_END, [{**row, "ended_run": run_id} for run_id, row in ended.items()])
        for part in in_parts(ended):
            for table in (questions, requests):
                connection.execute(delete(table).where(table.c.run_id.in_(part)))
        self.asking = {asking for asking in self.asking if root_of(asking[0]) not in ended}

    def _close_questions(self, connection: Connection, run_id: str, event: ChunkDone | TransitionsEvaluated) -> None:
        """A task that has ended asks nothing; of one whose chunk has, those whose answer it was told are over."""
        if (run_id, str(event.run)) not in self.asking:
            return
        of_task = (
            questions.c.run_id == root_of(run_id),
            questions.c.of_run == run_id,
            questions.c.task == str(event.run),
        )
        if isinstance(event, TransitionsEvaluated):
            connection.execute(delete(questions).where(*of_task))
            return
        connection.execute(delete(questions).where(*of_task, questions.c.item < 0))
        answered = select(questions.c.id).where(*of_task, questions.c.answered_at.is_not(None))
        over = [number for number in connection.scalars(answered) if number in self.heard]
        for part in in_parts(over):
            connection.execute(delete(questions).where(questions.c.id.in_(part)))


def in_parts(values: Iterable[Any]) -> Iterable[list[Any]]:
    """Lists of values that a statement can take at once."""
    held = list(values)
    return (held[start : start + _MAX_VALUES] for start in range(0, len(held), _MAX_VALUES))
