"""What the engine needs of a workflow: for every task its edges and its rules, computed once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from attune_ray.expression import References, Template, compile_condition, compile_text, compile_value
from attune_ray.model import (
    OnItemError,
    Retry,
    Task,
    Tolerate,
    Transition,
    Workflow,
    components,
    data_edges,
    entry_tasks,
    inbound,
)

__all__ = ["Plan", "PlanTask", "PlanTransition", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTransition:
    """A transition with its templates compiled.

    Attributes:
        when: None: always.
        publish: variable and template in file order; a template of None takes ``result()``.
        default, decision: as of ``model.Transition``.
    """

    when: Template | None
    publish: tuple[tuple[str, Template | None], ...]
    do: tuple[str, ...]
    default: bool
    decision: bool

    @property
    def reads_result(self) -> bool:
        """Whether it needs the value of ``result()``."""
        by_condition = self.when is not None and self.when.references.result_value
        return by_condition or any(template is None or template.references.result_value for _, template in self.publish)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTask:
    """One task as the engine sees it.

    Attributes:
        task: the task as written.
        needs: distinct inbound tasks that must have arrived before it starts.
        is_join: it was written with ``join``: left unmet, it fails the run.
        waits_for: tasks whose end it waits for because its templates name them.
        cycle: the tasks of its cycle, itself included; empty when it lies on none.
        loops: the cycles that it lies on or behind, each by its first name: whatever brings it to run again.
        when, concurrency: compiled; None where the task has none (or a plain number of lanes).
        placement: ``{worker_selector, worker_affinity}``, compiled; None where it names no labels.
        reads_result: a transition reads ``result()``, not only whether the task succeeded.
        references: what the templates that a worker renders read: its input, ``with_items``, ``retry.on_error``,
            ``cache.key``.
        items_names: where ``with_items`` is nothing but a path, the names in it; else None.
        is_fan_out: it has ``with_items``.
    """

    task: Task
    needs: int = 1
    is_join: bool = False
    waits_for: frozenset[str] = frozenset()
    cycle: frozenset[str] = frozenset()
    loops: frozenset[str] = frozenset()
    when: Template | None = None
    concurrency: Template | None = None
    placement: Template | None = None
    transitions: tuple[PlanTransition, ...] = ()
    reads_result: bool = False
    references: References = field(default_factory=References)
    items_names: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def is_fan_out(self) -> bool:
        """Whether it runs once per item."""
        return self.task.with_items is not None

    @property
    def retry(self) -> Retry | None:
        """Its rule for further attempts."""
        return self.task.retry

    @property
    def tolerate(self) -> Tolerate:
        """How many failed items leave it succeeded."""
        return self.task.tolerate

    @property
    def stops_on_error(self) -> bool:
        """Whether its first failed item ends it."""
        return self.task.on_item_error is OnItemError.STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A workflow made ready to run.

    Attributes:
        entries: tasks that start by themselves, in file order.
        waiting: task → the entry tasks that wait for its data.
        output: output name → its compiled template, in file order.
    """

    workflow: Workflow
    tasks: Mapping[str, PlanTask]
    entries: tuple[str, ...]
    waiting: Mapping[str, tuple[str, ...]]
    output: Mapping[str, Template]


def build(workflow: Workflow) -> Plan:
    """The plan of a valid workflow."""
    sources = inbound(workflow.tasks)
    edges = data_edges(workflow.tasks)
    cycles = components(workflow.tasks)
    loops = _loops(workflow.tasks, cycles)
    tasks = {}
    for task in workflow.tasks:
        transitions = tuple(_transition(transition, f"next[{place}]") for place, transition in enumerate(task.next))
        tasks[task.name] = PlanTask(
            task=task,
            needs=_needs(task, len(sources[task.name])),
            is_join=task.join is not None,
            waits_for=edges.get(task.name, frozenset()),
            cycle=cycles.get(task.name, frozenset()),
            loops=loops[task.name],
            when=None if task.when is None else compile_condition(task.when, path="when"),
            concurrency=_concurrency(task),
            placement=_placement(task),
            transitions=transitions,
            reads_result=any(transition.reads_result for transition in transitions),
            references=_references(task),
            items_names=compile_text(task.with_items).names if isinstance(task.with_items, str) else None,
        )
    waiting: dict[str, list[str]] = {}
    for name, names in edges.items():
        for other in sorted(names):
            waiting.setdefault(other, []).append(name)
    return Plan(
        workflow=workflow,
        tasks=tasks,
        entries=entry_tasks(workflow.tasks),
        waiting={name: tuple(names) for name, names in waiting.items()},
        output={name: compile_text(text, path=f"output_map.{name}") for name, text in workflow.output_map.items()},
    )


def _loops(tasks: Iterable[Task], cycles: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Task → the cycles that transitions lead to it from, its own included."""
    targets = {task.name: [name for transition in task.next for name in transition.do] for task in tasks}
    found: dict[str, set[str]] = {name: set() for name in targets}
    for cycle in set(cycles.values()):
        first, todo = min(cycle), list(cycle)
        while todo:
            name = todo.pop()
            if first not in found[name]:
                found[name].add(first)
                todo += targets[name]
    return {name: frozenset(names) for name, names in found.items()}


def _needs(task: Task, n_inbound: int) -> int:
    if task.join == "all":
        return max(1, n_inbound)
    return task.join or 1


def _concurrency(task: Task) -> Template | None:
    return compile_text(task.concurrency, path="concurrency") if isinstance(task.concurrency, str) else None


def _placement(task: Task) -> Template | None:
    if task.worker_selector is None and task.worker_affinity is None:
        return None
    return compile_value({"worker_selector": task.worker_selector, "worker_affinity": task.worker_affinity})


def _transition(transition: Transition, path: str) -> PlanTransition:
    published: list[tuple[str, Template | None]] = []
    for entry in transition.publish:
        if isinstance(entry, str):
            published.append((entry, None))
        else:
            published += [(name, compile_value(value, path=f"{path}.publish.{name}")) for name, value in entry.items()]
    return PlanTransition(
        when=None if transition.when is None else compile_condition(transition.when, path=f"{path}.when"),
        publish=tuple(published),
        do=transition.do,
        default=transition.default,
        decision=transition.decision,
    )


def _references(task: Task) -> References:
    found = compile_value(dict(task.input)).references
    if task.with_items is not None:
        found |= compile_value(task.items_template).references
    if task.cache is not None and task.cache.key is not None:
        found |= compile_text(task.cache.key).references
    if task.retry is not None and task.retry.on_error is not None:
        found |= compile_condition(task.retry.on_error).references
    return found
