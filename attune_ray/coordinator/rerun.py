"""Repeating a part of a run that has ended: a new run, which begins with the facts of all that is not repeated."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from attune_ray.coordinator.replay import replay
from attune_ray.coordinator.shell import Shell, items_to_json
from attune_ray.engine import Request, RunStarted, TaskPrepared, TaskRunId, TaskStatus
from attune_ray.errors import UsageError
from attune_ray.plan import Plan
from attune_ray.ports import Kept, Recall
from attune_ray.records import Fact, History

__all__ = ["rerun_of"]

_FAILED = {TaskStatus.FAILED, TaskStatus.TIMEOUT, TaskStatus.CANCELLED}


def rerun_of(history: History, shell: Shell, recall: Recall, *, run_id: str, at: str, from_task: str | None) -> History:
    """The beginning of a run that repeats one, with the results of what it does not repeat.

    Args:
        shell: of the run that is repeated, at its begin: it is told its facts.
        recall: names all failed items of a fan-out, however many.
        from_task: the task to begin with, and all that follows it; None: the tasks that failed (of fan-outs only the
            items that have not succeeded), and what follows them.

    Raises:
        UsageError: there is nothing to repeat, or no such task, or the run has not ended.
    """
    old = history.begun
    if history.ended is None:
        raise UsageError(f"run {old.run_id} has not ended: cancel it, or go on with it, first")
    own = [fact for fact in history.facts if fact.run_id == old.run_id]
    replay(shell, own)
    first = _failed(shell) if from_task is None else _named(shell, from_task)
    repeated = _with_all_after(shell.plan, first)
    alone = first - _with_all_after(shell.plan, first, strict=True)
    again = _partly_done(shell, alone) if from_task is None else {}
    kept = [fact for fact in own if _is_kept(fact, repeated)]
    kept += [_limited(fact, again, recall) for fact in own if _prepares(fact, again)]
    begun = replace(old, run_id=run_id, at=at, rerun_of=old.run_id)
    return History(begun, tuple(replace(fact, run_id=run_id, at=at) for fact in kept))


def _failed(shell: Shell) -> set[str]:
    """Tasks that failed; where none did, those with items that failed and were tolerated."""
    run_id, tasks = shell.result.id, shell.result.tasks
    found = {name for name, task in shell.state.tasks.items() if task.status in _FAILED}
    found = found or {name for name, task in tasks.items() if task.stats.n_failed}
    if not found:
        raise UsageError(f"run {run_id} has no failed task")
    return found


def _named(shell: Shell, name: str) -> set[str]:
    if name not in shell.plan.tasks:
        raise UsageError(f"the workflow has no task {name!r}; its tasks: {', '.join(shell.plan.tasks)}")
    if not shell.state.tasks[name].n_runs:
        ran = [other for other, task in shell.state.tasks.items() if task.n_runs]
        raise UsageError(f"task {name!r} did not start in run {shell.result.id}; these did: {', '.join(ran)}")
    return {name}


def _with_all_after(plan: Plan, first: Iterable[str], *, strict: bool = False) -> set[str]:
    """Some tasks, and all that transitions and data edges lead to from them; ``strict``: these alone."""
    todo, found = list(first), set() if strict else set(first)
    while todo:
        name = todo.pop()
        after = [target for transition in plan.tasks[name].task.next for target in transition.do]
        new = {*after, *plan.waiting.get(name, ())} - found
        found |= new
        todo += new
    return found


def _is_kept(fact: Fact, repeated: set[str]) -> bool:
    """Whether a fact is of what is not repeated; what was asked of the old run is not asked of the new one."""
    event = fact.event
    return isinstance(event, RunStarted) or (not isinstance(event, Request) and event.run.task not in repeated)


def _partly_done(shell: Shell, tasks: Iterable[str]) -> Mapping[TaskRunId, Kept]:
    """Fan-outs that are to run only what has not succeeded of them: those that ran once."""
    runs = [TaskRunId(name, 1) for name in tasks if shell.state.tasks[name].n_runs == 1]
    return {run: shell.told[run] for run in runs if run in shell.told and shell.told[run].is_fan_out}


def _prepares(fact: Fact, again: Mapping[TaskRunId, Kept]) -> bool:
    return isinstance(fact.event, TaskPrepared) and fact.event.run in again


def _limited(fact: Fact, again: Mapping[TaskRunId, Kept], recall: Recall) -> Fact:
    """The preparation of a fan-out that is to run only the items that have not succeeded."""
    event = fact.event
    assert isinstance(event, TaskPrepared)  # noqa: S101  no other fact is asked for
    kept = again[event.run]
    failed = {item["index"] for item in recall.result(kept, succeeded=False).view()["failed_items"]}
    ended = {item for part in kept.parts for item in part.items}
    only = tuple(item for item in range(event.n_items) if item in failed or item not in ended)
    earlier = [[items_to_json(part.items), part.saved] for part in kept.parts]
    told = {"now": fact.shell["now"], "earlier": earlier}
    return replace(fact, event=replace(event, only=only), shell=told)
