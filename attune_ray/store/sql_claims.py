"""Who has a run, and taking it over from one that is dead."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update

from attune_ray.errors import UsageError
from attune_ray.store.liveness import Process
from attune_ray.store.schema import coordinators, runs

__all__ = ["Rival", "process_of", "take", "watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """The coordinator that has a run, as it was seen at one moment."""

    id: str
    beat: int
    process: Process

    @property
    def told(self) -> str:
        """Where it is and how it is reached."""
        where = f"process {self.process.pid} on {self.process.host}"
        return f"{where}, which lives: ask it to pause or cancel the run, or end that process first"


def process_of(row: Any) -> Process:
    """The process of a coordinator's row."""
    return Process(host=row.host, boot=row.boot, namespace=row.namespace, pid=row.pid, start_ticks=row.start_ticks)


def watch(connection: Connection, coordinator: str) -> Rival | None:
    """A coordinator as it is now; None: it is gone."""
    row = connection.execute(select(coordinators).where(coordinators.c.id == coordinator)).one_or_none()
    return None if row is None else Rival(id=row.id, beat=row.beat, process=process_of(row))


def take(connection: Connection, run_id: str, me: str, dead: Rival | None) -> Rival | None:
    """Take a run, if nobody has it or ``dead`` still does; None: it is ours, or has ended; else who has it.

    Raises:
        UsageError: there is no such run.
    """
    has = select(runs.c.coordinator, runs.c.ended_at).where(runs.c.id == run_id).with_for_update(key_share=True)
    row = connection.execute(has).one_or_none()
    if row is None:
        raise UsageError(f"there is no run {run_id}")
    if row.ended_at is not None or row.coordinator == me:
        return None
    rival = watch(connection, row.coordinator) if row.coordinator is not None else None
    if rival is not None and rival != dead:
        return rival
    still = runs.c.coordinator.is_not_distinct_from(row.coordinator)
    connection.execute(update(runs).where(runs.c.id == run_id, still).values(coordinator=me))
    if rival is not None:  # the last of its runs is taken: nobody will ask for it again
        has_runs = exists().where(runs.c.coordinator == rival.id)
        connection.execute(delete(coordinators).where(coordinators.c.id == rival.id, ~has_runs))
    return None
