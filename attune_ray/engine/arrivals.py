"""Who starts when: arrivals at targets, joins, cycles and data edges (theory in ``state.py``)."""

from collections.abc import Collection, Mapping

from attune_ray.engine.events import TaskRunId
from attune_ray.engine.state import Round, RunState, TaskRun, TaskState
from attune_ray.engine.status import Phase, TaskStatus
from attune_ray.plan import PlanTask

__all__ = ["arrive", "release_waiting", "start_entries", "unmet_joins"]

_FIRST = Round(0, 0)


def start_entries(state: RunState) -> list[TaskRun]:
    """The entry tasks that wait for nobody's data."""
    return [
        run
        for name in state.plan.entries
        if not state.tasks[name].missing and (run := _start(state, name, _FIRST, ())) is not None
    ]


def arrive(state: RunState, source: TaskRun, target_name: str) -> tuple[bool, list[TaskRun]]:
    """One arrival of ``source`` at a target.

    Returns:
        Whether the arrival counted (a late one does not), and the task runs that it started: none, one, or one for
        each round that waited for it.
    """
    task, target = state.plan.tasks[target_name], state.tasks[target_name]
    name, arrived_in = source.id.task, _round_of(state, source, task, target)
    is_first = name not in target.arrived
    target.arrived.add(name)
    is_late = arrived_in.turn <= target.latest.get(arrived_in.entry, -1)
    if not is_late:
        target.arrivals.setdefault(arrived_in, {})[name] = source
    waiting = sorted(target.arrivals) if is_first else [] if is_late else [arrived_in]
    met = [here for here in waiting if _n_present(state, task, target, here) >= task.needs]
    runs = [_start_round(state, target_name, here) for here in met]
    return bool(waiting), [run for run in runs if run is not None]


def release_waiting(state: RunState, ended: str) -> list[TaskRun]:
    """The entry tasks that waited for the data of ``ended`` and of nobody else."""
    started: list[TaskRun] = []
    for name in state.plan.waiting.get(ended, ()):
        known = state.tasks[name]
        known.missing.discard(ended)
        if not known.missing and known.n_runs == 0:
            run = _start(state, name, _FIRST, ())
            started += [run] if run is not None else []
    return started


def unmet_joins(state: RunState) -> list[str]:
    """Joins that some tasks have reached and that have not started since, each with its count."""
    return [
        f"{name} ({n_present} of {task.needs})"
        for name, task in state.plan.tasks.items()
        if task.is_join and (n_present := _n_present_in_vain(state, task, state.tasks[name]))
    ]


def _n_present_in_vain(state: RunState, task: PlanTask, target: TaskState) -> int:
    newest = max(target.latest, default=0)
    rounds = [here for here in target.arrivals if here.entry >= newest]
    return max((_n_present(state, task, target, here) for here in rounds), default=0)


def _round_of(state: RunState, source: TaskRun, task: PlanTask, target: TaskState) -> Round:
    """In which round of the target an arrival counts."""
    name = source.id.task
    if name not in task.cycle:
        entries = target.entries.setdefault(state.plan_of(source.id).loops, {})
        return Round(entries.setdefault(source.generation, len(entries)), 0)
    entry, own_turn = source.round
    turn = 1 + (own_turn if name == task.name else source.descent.get(task.name, -1))
    earlier = target.turns.get((entry, name))
    if earlier is not None and source.descent.get(name, -1) >= earlier[0]:
        turn = max(turn, 1 + earlier[1])
    target.turns[entry, name] = own_turn, turn
    return Round(entry, turn)


def _n_present(state: RunState, task: PlanTask, target: TaskState, here: Round) -> int:
    """How many tasks count in a round: those that have arrived in it, and those whose arrival lasts."""
    present = target.arrivals[here].keys()
    if len(present) >= task.needs or not task.loops:
        return len(present)
    tasks = state.plan.tasks
    brought_by = {tasks[name].loops for name in present}
    lasting = [name for name in target.arrived - present if not any(loops <= tasks[name].loops for loops in brought_by)]
    return len(present) + len(lasting)


def _start_round(state: RunState, name: str, here: Round) -> TaskRun | None:
    target = state.tasks[name]
    arrived = target.arrivals.pop(here)
    target.latest[here.entry] = here.turn
    return _start(state, name, here, arrived.values())


def _start(state: RunState, name: str, here: Round, sources: Collection[TaskRun]) -> TaskRun | None:
    """A new run of a task; None when the run may start nothing more."""
    if state.cancelling or state.limit_hit:
        return None
    if state.n_task_runs >= state.max_task_runs:
        state.limit_hit = True
        return None
    task, known = state.plan.tasks[name], state.tasks[name]
    state.n_task_runs += 1
    known.n_runs += 1
    known.status = TaskStatus.RUNNING
    descent = _descent(task, sources)
    if task.cycle:
        generation = Round(here.entry, max([here.turn, *descent.values()]))
    else:
        generation = max((source.generation for source in sources), default=_FIRST)
    run = TaskRun(TaskRunId(name, known.n_runs), Phase.PREPARING, here, generation, descent)
    state.live[run.id] = run
    return run


def _descent(task: PlanTask, sources: Collection[TaskRun]) -> Mapping[str, int]:
    """The latest turn of every task of the cycle that ``sources`` are, or descend from."""
    found: dict[str, int] = {}
    for source in sources:
        if source.id.task in task.cycle:
            for name, turn in [*source.descent.items(), (source.id.task, source.round.turn)]:
                found[name] = max(turn, found.get(name, -1))
    return found
