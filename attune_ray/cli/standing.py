"""How a run stands, for people and as JSON."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from attune_ray.bootstrap.kept import KeptRun
from attune_ray.cli import report
from attune_ray.cli.kept import KeptRuns, is_live, seconds_of
from attune_ray.cli.telling import told
from attune_ray.coordinator import TaskResult
from attune_ray.engine import RunStatus, TaskStatus
from attune_ray.errors import StateError
from attune_ray.observe.text import harmless, moment, question, run_line, seconds, table
from attune_ray.records import Asked
from attune_ray.store.standing import INTERRUPTED
from attune_ray.values.secrets import MASK

__all__ = ["Standing", "task_to_json", "to_json", "to_text"]

_ENDED_BADLY = {TaskStatus.FAILED, TaskStatus.TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is shown of a run.

    Attributes:
        status: as of a listing.
        seconds: from its begin to its end, or to now; None: it was interrupted at some moment.
        knows_secrets: all that must not be shown of it is known here; else its items are not shown.
        next_step: what can be done with it now, as a sentence; "" where there is nothing.
        most_failed: failed items of each task that are shown.
    """

    kept: KeptRun
    status: str
    seconds: float | None
    questions: tuple[Asked, ...]
    knows_secrets: bool
    next_step: str
    how_to_answer: str
    most_failed: int

    @classmethod
    def of(cls, runs: KeptRuns, run_id: str, *, keystore: str | None, most_failed: int) -> Self:
        """Look at a run. Errors: as of ``told``."""
        line = runs.line(run_id)
        kept, knows_secrets = told(runs, run_id, keystore=keystore, max_failed_items=most_failed)
        next_step = ""
        if line.status == INTERRUPTED:
            next_step = f"nobody runs it; `{runs.how('resume', run_id)}` goes on with it"
        elif line.status == RunStatus.PAUSED:
            next_step = f"`{runs.how('resume', run_id)}` lets it go on"
        return cls(
            kept=kept,
            status=line.status,
            seconds=seconds_of(line),
            questions=tuple(runs.archive.questions(run_id)) if is_live(line) or line.status == INTERRUPTED else (),
            knows_secrets=knows_secrets,
            next_step=next_step,
            how_to_answer=runs.how("answer", run_id),
            most_failed=most_failed,
        )


def to_text(standing: Standing) -> Iterator[str]:
    """Lines for a person; all that is shown is masked, and harmless to a terminal."""
    result, begun, ended = standing.kept.result, standing.kept.history.begun, standing.kept.history.ended
    yield run_line(begun.run_id, begun.title)
    yield harmless(f"workflow {begun.source}" + (f", rerun of {begun.rerun_of}" if begun.rerun_of else ""))
    taken = "" if standing.seconds is None else f", {seconds(standing.seconds)}"
    yield f"{standing.status}; begun {moment(begun.at)}{f', ended {moment(ended.at)}' if ended else ''}{taken}"
    yield ""
    rows = [_row(standing, task) for task in result.tasks.values()]
    yield table(("task", "status", "items", "failed", "seconds"), rows, left=2)
    yield ""
    for task in result.tasks.values():
        yield from _failures(standing, task)
    for asked in standing.questions:
        yield question(asked.run_id, _place(asked), asked.prompt)
    if standing.questions:
        yield f"`{standing.how_to_answer} [TASK] RESPONSE` answers"
    yield from report.warnings(map(result.secrets.mask, result.warnings))
    if ended is not None:
        yield report.to_json(ended.shown)
    if standing.next_step:
        yield standing.next_step


def _place(asked: Asked) -> str:
    return asked.task if asked.index is None else f"{asked.task} --index {asked.index}"


def to_json(standing: Standing) -> dict[str, Any]:
    """The same for programs."""
    result, begun, ended = standing.kept.result, standing.kept.history.begun, standing.kept.history.ended
    return {
        "id": begun.run_id,
        "title": begun.title,
        "source": begun.source,
        "status": standing.status,
        "begun_at": begun.at,
        "ended_at": None if ended is None else ended.at,
        "seconds": standing.seconds,
        "rerun_of": begun.rerun_of,
        "tasks": [_task_to_json(standing, task) for task in result.tasks.values()],
        "questions": [
            {"run": asked.run_id, "task": asked.task, "index": asked.index, "prompt": asked.prompt}
            | {"response_schema": asked.response_schema, "assigned_to": asked.assigned_to, "asked_at": asked.at}
            for asked in standing.questions
        ],
        "warnings": [result.secrets.mask(warning) for warning in result.warnings],
        "result": None if ended is None else ended.shown,
        "next_step": standing.next_step,
    }


def task_to_json(kept: KeptRun, task: TaskResult) -> dict[str, Any]:
    """Status, counts and times of a task."""
    is_fan_out = kept.shell.plan.tasks[task.name].is_fan_out
    return {
        "name": task.name,
        "status": task.status.value,
        "items": task.stats.n_items if is_fan_out else None,
        "ended": _n_ended(task) if is_fan_out else None,
        "failed": task.stats.n_failed if is_fan_out else None,
        "seconds": round(task.duration_s, 6),
        "runs": kept.shell.state.tasks[task.name].n_runs,
    }


def _n_ended(task: TaskResult) -> int:
    """Items of a fan-out that have ended."""
    found = task.result if task.stats.n_items else None
    return 0 if found is None else found["succeeded_count"] + found["failed_count"]


def _task_to_json(standing: Standing, task: TaskResult) -> dict[str, Any]:
    told = task_to_json(standing.kept, task)
    try:
        if task.status in _ENDED_BADLY:
            told["error"] = task.error
        items = itertools.islice(task.failed_items if task.stats.n_failed else (), standing.most_failed)
        told["failed_items"] = [_item(standing, task, one) for one in items]
    except StateError as error:
        told["lost"] = str(error)
    return told


def _item(standing: Standing, task: TaskResult, one: Any) -> dict[str, Any]:
    item = task.secrets.masked(one["item"]) if standing.knows_secrets else MASK
    return {"index": one["index"], "item": item, "error": one["error"]}


def _row(standing: Standing, task: TaskResult) -> tuple[str, ...]:
    told = task_to_json(standing.kept, task)
    taken = "" if task.status is TaskStatus.NOT_RUN else f"{task.duration_s:.3f}"
    if told["items"] is None or task.status is TaskStatus.NOT_RUN:
        return (task.name, task.status.value, "", "", taken)
    n_items, n_done = told["items"], told["ended"]
    items = f"{n_items:,}" if n_done == n_items else f"{n_done:,} of {n_items:,}"
    return (task.name, task.status.value, items, f"{told['failed']:,}", taken)


def _failures(standing: Standing, task: TaskResult) -> Iterator[str]:
    """Why a task has failed, or items of it."""
    try:
        n_failed = task.stats.n_failed if standing.kept.shell.plan.tasks[task.name].is_fan_out else 0
        if task.status in _ENDED_BADLY:
            yield report.failure(task)
        elif n_failed:
            yield f"task {harmless(task.name)}: {n_failed:,} item(s) failed"
        if n_failed:
            yield from report.failed_items(task, hides_items=not standing.knows_secrets, most=standing.most_failed)
    except StateError as error:
        yield harmless(f"task {task.name}: {error}")
