"""Who starts when: arrivals at targets, joins, cycles and data edges (theory in ``state.py``)."""

from attune_ray.engine.events import TaskRunId
from attune_ray.engine.state import RunState, TaskRun, TaskState
from attune_ray.engine.status import Phase, TaskStatus
from attune_ray.plan import PlanTask

__all__ = ["arrive", "release_waiting", "start", "start_entries", "unmet_joins"]


def start_entries(state: RunState) -> list[TaskRun]:
    """The entry tasks that wait for nobody's data."""
    names = [name for name in state.plan.entries if not state.tasks[name].missing]
    return [run for name in names if (run := start(state, name, 0, frozenset())) is not None]


def arrive(state: RunState, source: TaskRun, target_name: str) -> tuple[bool, TaskRun | None]:
    """One arrival of ``source`` at a target.

    Returns:
        Whether the arrival counted (a late one does not), and the task run that it started, if any.
    """
    task, target = state.plan.tasks[target_name], state.tasks[target_name]
    if state.plan_of(source.id).repeats:
        generation = source.generation + (target_name in source.lineage)
    else:
        target.lasting.add(source.id.task)
        generation = min((open_round for open_round in target.arrivals if open_round > target.generation), default=0)
    if generation <= target.generation:
        return False, None
    arrived = target.arrivals.setdefault(generation, {})
    arrived[source.id.task] = source.lineage if generation == source.generation else frozenset()
    if len(arrived.keys() | target.lasting) < task.needs:
        return True, None
    del target.arrivals[generation]
    return True, start(state, target_name, generation, frozenset[str]().union(*arrived.values()))


def start(state: RunState, name: str, generation: int, lineage: frozenset[str]) -> TaskRun | None:
    """A new run of a task; None when the run may start nothing more."""
    if state.cancelling or state.limit_hit:
        return None
    if state.n_task_runs >= state.max_task_runs:
        state.limit_hit = True
        return None
    task, known = state.plan.tasks[name], state.tasks[name]
    state.n_task_runs += 1
    known.n_runs += 1
    known.generation = generation
    known.status = TaskStatus.RUNNING
    run = TaskRun(TaskRunId(name, known.n_runs), Phase.PREPARING, generation, _lineage(task, lineage))
    state.live[run.id] = run
    return run


def release_waiting(state: RunState, ended: str) -> list[TaskRun]:
    """The entry tasks that waited for the data of ``ended`` and of nobody else."""
    started: list[TaskRun] = []
    for name in state.plan.waiting.get(ended, ()):
        known = state.tasks[name]
        known.missing.discard(ended)
        if not known.missing and known.n_runs == 0:
            run = start(state, name, 0, frozenset())
            started += [run] if run is not None else []
    return started


def unmet_joins(state: RunState) -> list[str]:
    """Joins that some tasks have reached and that can start no more, each with its count."""
    return [
        f"{name} ({n_arrived} of {task.needs})"
        for name, task in state.plan.tasks.items()
        if task.is_join and (n_arrived := _n_arrived_in_vain(state.tasks[name]))
    ]


def _n_arrived_in_vain(target: TaskState) -> int:
    open_rounds = [names for generation, names in target.arrivals.items() if generation > target.generation]
    return max((len(names.keys() | target.lasting) for names in open_rounds), default=0)


def _lineage(task: PlanTask, inherited: frozenset[str]) -> frozenset[str]:
    return inherited & task.cycle | {task.name} if task.cycle else frozenset()
