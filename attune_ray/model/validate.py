"""The checks that look at more than one task: names, targets, joins, and whether every task can ever start."""

import itertools
from collections.abc import Iterable, Mapping

from attune_ray.model.findings import few
from attune_ray.model.graph import circles, data_edges, entry_tasks, inbound, unreachable
from attune_ray.model.outline import Outline, Seat
from attune_ray.model.templates import check_templates
from attune_ray.model.workflow import Task, Workflow

__all__ = ["validate"]

_Groups = Mapping[str, Mapping[str, Seat]]  # path of a list of tasks → name → seat


def validate(workflow: Workflow, outline: Outline) -> None:
    """Record everything that is wrong with a workflow as a whole."""
    groups = _grouped(outline.seats)
    _check_targets(outline, groups)
    for group in groups.values():
        _check_joins(group)
    top = groups.get(outline.top, {})
    _check_reachable(top, outline)
    _check_waits(top)
    check_templates(workflow, outline)


def _tasks(group: Mapping[str, Seat]) -> list[Task]:
    return [seat.task for seat in group.values()]


def _grouped(seats: Iterable[Seat]) -> dict[str, dict[str, Seat]]:
    """The named tasks of each list; a name that is there already is an error."""
    groups: dict[str, dict[str, Seat]] = {}
    for seat in seats:
        group = groups.setdefault(seat.group, {})
        first = group.get(seat.task.name)
        if first is not None:
            line = first.name.location.line
            seat.name.error(
                f"a task called `{seat.task.name}` stands in line {line} already", hint="rename one of them"
            )
        elif seat.task.name:
            group[seat.task.name] = seat
    return groups


def _check_targets(outline: Outline, groups: _Groups) -> None:
    everywhere = {name for group in groups.values() for name in group}
    for target in outline.targets:
        siblings = groups.get(target.group, {})
        if target.name in siblings:
            continue
        if target.name in everywhere:
            hint = "a transition starts tasks of its own list only"
            target.field.error(f"`{target.name}` is not in the same list of tasks", hint=hint)
        else:
            hint = outline.findings.did_you_mean(target.name, siblings) or f"the tasks are {few(siblings)}"
            target.field.error(f"there is no task `{target.name}`", hint=hint)


def _check_joins(group: Mapping[str, Seat]) -> None:
    sources = inbound(_tasks(group))
    for name, seat in group.items():
        n_sources, join = len(sources[name]), seat.task.join
        if seat.join is None or join is None:
            continue
        if not n_sources:
            seat.join.error("nothing leads to this task: there is nothing to wait for", hint="remove `join`")
        elif join != "all" and join > n_sources:
            hint = f"write `join: {n_sources}` or `join: all`"
            tasks = few(sorted(sources[name]))
            seat.join.error(f"waits for {join} tasks, but {n_sources} can lead here ({tasks})", hint=hint)


def _check_reachable(group: Mapping[str, Seat], outline: Outline) -> None:
    tasks = _tasks(group)
    if not tasks:
        return
    if not entry_tasks(tasks):
        seat = next(iter(group.values()))
        outline.findings.warning(
            seat.task.location,
            seat.group,
            "every task waits for another one: the run completes at once and nothing runs",
            hint="let one task be named by no transition",
        )
        return
    for name in unreachable(tasks):
        hint = "name it in a transition of a task that runs, or in none so that it starts at once"
        group[name].name.error(f"nothing that runs leads to `{name}`", hint=hint)


def _check_waits(group: Mapping[str, Seat]) -> None:
    """Entry tasks that wait, by the data they read, for what cannot run before them."""
    tasks = _tasks(group)
    reads, sources = data_edges(tasks), inbound(tasks)
    stuck = _stuck(tasks, reads)
    needs = {name: reads.get(name, sources[name]) & stuck for name in stuck}
    told: set[frozenset[str]] = set()
    together = circles(needs)
    for name in group:
        members = together.get(name)
        if members is None or members in told or name not in reads:
            continue
        told.add(members)
        links = [_link(left, right, reads) for left, right in itertools.pairwise(_circle(name, needs, members))]
        group[name].name.error(f"`{name}` can never start: {few(links)}", hint="break the circle")


def _stuck(tasks: list[Task], reads: Mapping[str, frozenset[str]]) -> set[str]:
    """The tasks that can never start: what they need is stuck too, or nothing leads to them."""
    follows: dict[str, list[str]] = {task.name: [] for task in tasks}
    missing = {name: len(names) for name, names in reads.items()}
    for name, names in reads.items():
        for needed in names:
            follows[needed].append(name)
    targets = {task.name: [target for transition in task.next for target in transition.do] for task in tasks}
    waiting = [name for name in entry_tasks(tasks) if name not in reads]
    startable = set(waiting)
    while waiting:
        name = waiting.pop()
        fresh = [target for target in targets[name] if target in targets]
        for reader in follows[name]:
            missing[reader] -= 1
            fresh += [reader] if not missing[reader] else []
        waiting += [task for task in dict.fromkeys(fresh) if task not in startable]
        startable.update(fresh)
    return targets.keys() - startable


def _circle(name: str, needs: Mapping[str, frozenset[str]], members: frozenset[str]) -> list[str]:
    """The shortest way from ``name`` over what it needs, within its circle, back to ``name``."""
    came_from: dict[str, str] = {}
    waiting = [name]
    for task in waiting:  # grows while it is read: breadth first
        for need in sorted(needs[task] & members):
            if need not in came_from:
                came_from[need] = task
                waiting.append(need)
    way = [name]
    while len(way) == 1 or way[-1] != name:
        way.append(came_from[way[-1]])
    return way[::-1]


def _link(left: str, right: str, reads: Mapping[str, frozenset[str]]) -> str:
    return f"`{left}` reads the result of `{right}`" if left in reads else f"`{left}` follows `{right}`"
