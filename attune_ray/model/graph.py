"""The graph of tasks: who names whom in a transition, and whose result an entry task reads. Pure functions.

All of them take the tasks of one list (a workflow's, or a parallel task's) and look at that list alone: a name that is
not in it is ignored.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attune_ray.errors import ExpressionSyntaxError
from attune_ray.expression import References
from attune_ray.model.references import Kind, references_in
from attune_ray.model.workflow import Task

__all__ = ["circles", "components", "data_edges", "entry_tasks", "inbound", "unreachable"]

Edges = Mapping[str, frozenset[str]]


def inbound(tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
    """Task → the distinct tasks that have a transition to it (itself too, if it names itself)."""
    sources: dict[str, set[str]] = {task.name: set() for task in tasks}
    for task in tasks:
        for target in _targets(task):
            if target in sources:
                sources[target].add(task.name)
    return {name: frozenset(names) for name, names in sources.items()}


def entry_tasks(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The tasks that no transition names, in file order."""
    return tuple(name for name, sources in inbound(tasks).items() if not sources)


def data_edges(tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
    """Entry task → the other tasks whose results the templates that start it name; only entries that name any.

    A parallel task starts its sub-tasks: their templates are its own, and whoever reads a sub-task waits for the
    parallel task around it. A dynamic ``task[name]`` names nothing. A template that does not compile names nothing.
    """
    owner = {name: task.name for task in tasks for name in (*_subtask_names(task), task.name)}
    owner.update({task.name: task.name for task in tasks})
    edges: dict[str, frozenset[str]] = {}
    entries = set(entry_tasks(tasks))
    for task in tasks:
        if task.name in entries:
            own = {task.name, *_subtask_names(task)}
            reads = frozenset(owner[name] for name in _reads(task) - own if name in owner)
            if reads:
                edges[task.name] = reads
    return edges


def unreachable(tasks: Sequence[Task]) -> frozenset[str]:
    """The tasks that no entry task leads to; of a graph without any entry task, all."""
    targets = {task.name: frozenset(_targets(task)) for task in tasks}
    waiting = list(entry_tasks(tasks))
    reached = set(waiting)
    while waiting:
        fresh = (targets[waiting.pop()] & targets.keys()) - reached
        reached |= fresh
        waiting.extend(fresh)
    return frozenset(targets.keys() - reached)


def components(tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
    """Task → the cycle of transitions that it is part of (a strongly connected component); only tasks on a cycle."""
    names = {task.name for task in tasks}
    return circles({task.name: [target for target in _targets(task) if target in names] for task in tasks})


def circles(edges: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Name → its strongly connected component: those of more than one name, or of a name that leads to itself.

    Kosaraju's algorithm, without recursion; O(names + edges). Every target must be a name.
    """
    backward: dict[str, list[str]] = {name: [] for name in edges}
    for source, targets in edges.items():
        for target in targets:
            backward[target].append(source)
    found: dict[str, frozenset[str]] = {}
    seen: set[str] = set()
    for root in reversed(list(_finished(edges, edges, set()))):
        members = frozenset(_finished([root], backward, seen))
        if len(members) > 1 or root in backward[root]:
            found.update(dict.fromkeys(members, members))
    return found


def _finished(roots: Iterable[str], edges: Mapping[str, Iterable[str]], seen: set[str]) -> Iterator[str]:
    """Names reached from the roots and not yet seen, each after all that it leads to."""
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(edges[root]))]
        while stack:
            fresh = next((target for target in stack[-1][1] if target not in seen), None)
            if fresh is None:
                yield stack.pop()[0]
            else:
                seen.add(fresh)
                stack.append((fresh, iter(edges[fresh])))


def _targets(task: Task) -> Iterator[str]:
    for transition in task.next:
        yield from transition.do


def _subtask_names(task: Task) -> Iterator[str]:
    for subtask in task.tasks:
        yield subtask.name
        yield from _subtask_names(subtask)


def _reads(task: Task) -> frozenset[str]:
    """The tasks that the templates name which are rendered to start this task."""
    names: set[str] = set()
    for references in _start_templates(task):
        names |= references.tasks
    for subtask in task.tasks:
        names |= _reads(subtask)
    return frozenset(names)


def _start_templates(task: Task) -> Iterator[References]:
    texts = (task.concurrency, task.cache and task.cache.key)
    values = (
        *task.input.values(),
        task.worker_selector,
        task.worker_tolerations,
        task.worker_affinity,
        task.items_template,
    )
    sites = [
        *((Kind.TEXT, text) for text in texts if isinstance(text, str)),
        *((Kind.VALUE, text) for value in values for text in _texts(value)),
        *((Kind.CONDITION, text) for text in (task.when,) if text is not None),
    ]
    for kind, text in sites:
        with contextlib.suppress(ExpressionSyntaxError):
            yield references_in(kind, text)


def _texts(value: Any) -> Iterator[str]:
    """The texts inside of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
