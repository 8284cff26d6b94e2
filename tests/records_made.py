"""Records for tests, made of a few words."""

from collections.abc import Mapping
from typing import Any

from attune_ray.engine import ChunkDone, Event, RunStarted, RunStatus, TaskRunId
from attune_ray.records import Asked, Fact, RunBegun, RunEnded

AT = "2026-11-21T01:30:54.000000Z"


def begun(run_id: str = "r1", **fields: Any) -> RunBegun:
    """A beginning."""
    return RunBegun(
        **{"run_id": run_id, "at": AT, "title": "t", "source": "t.yaml", "text": "tasks: []", "given": {}} | fields
    )


def fact(
    event: Event | None = None, run_id: str = "r1", *, holding: Mapping[str, Any] | None = None, is_secret: bool = False
) -> Fact:
    """A fact; that the run has started, where it is not said which."""
    event = event or RunStarted()
    return Fact(run_id=run_id, at=AT, event=event, shell=holding or {}, is_secret=is_secret)


def done(task: str = "a", chunk: int = 0, run_id: str = "r1", **fields: Any) -> Fact:
    """A chunk of one item has ended."""
    return fact(ChunkDone(TaskRunId(task, 1), chunk, n_succeeded=1), run_id, **fields)


def asked(task: str = "a", index: int | None = None, run_id: str = "r1", **fields: Any) -> Asked:
    """A question."""
    return Asked(**{"run_id": run_id, "task": task, "index": index, "at": AT, "prompt": "sure?"} | fields)


def ended(run_id: str = "r1", **fields: Any) -> RunEnded:
    """A good end."""
    given = {"run_id": run_id, "at": AT, "status": RunStatus.COMPLETED, "result": {"x": 1}, "shown": {"x": 1}}
    return RunEnded(**given | fields)
