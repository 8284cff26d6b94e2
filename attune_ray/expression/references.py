"""What a template reads: the tasks, variables and other roots that its context must hold."""

from dataclasses import dataclass
from typing import Final

from jinja2 import nodes

__all__ = ["EMPTY", "PARAMETERS", "ROOTS", "TASKS", "VARIABLES", "References", "references_of"]

TASKS: Final = frozenset({"task", "tasks"})
VARIABLES: Final = frozenset({"workflow", "vars", "variables"})
PARAMETERS: Final = "parameters"
ROOTS: Final = TASKS | VARIABLES | {PARAMETERS, "config", "keystore", "system", "item", "index"}
_RESULT_CALLS: Final = frozenset({"result()", "succeeded()", "failed()", "timed_out()"})
_CONSTANTS: Final = frozenset({"null"})  # the others are constants to Jinja2 already


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What a template reads.

    Attributes:
        tasks: names in ``task.x``, ``tasks.x`` and ``task["x"]``.
        all_tasks: a task is chosen at run time (``task[name]``), or ``task`` stands alone.
        variables: names of workflow variables, bare or under ``workflow``, ``vars``, ``variables``.
        all_variables: a variable is chosen at run time, or ``workflow`` stands alone.
        parameters: the run's parameters are read.
        item: ``item`` or ``index`` is read.
        result: ``result()``, ``succeeded()``, ``failed()`` or ``timed_out()`` is called.
        result_value: ``result()`` is: what ended must be decoded, not only how it did.
        config: the pack's configuration is read.
        keystore: a secret is read.
        task_sites: (name, path in the value, offset in its text) of each place where a task is named.
    """

    tasks: frozenset[str] = frozenset()
    all_tasks: bool = False
    variables: frozenset[str] = frozenset()
    all_variables: bool = False
    parameters: bool = False
    item: bool = False
    result: bool = False
    result_value: bool = False
    config: bool = False
    keystore: bool = False
    task_sites: tuple[tuple[str, str, int], ...] = ()

    def __or__(self, other: "References") -> "References":
        """What either of two templates reads."""
        return References(
            tasks=self.tasks | other.tasks,
            all_tasks=self.all_tasks or other.all_tasks,
            variables=self.variables | other.variables,
            all_variables=self.all_variables or other.all_variables,
            parameters=self.parameters or other.parameters,
            item=self.item or other.item,
            result=self.result or other.result,
            result_value=self.result_value or other.result_value,
            config=self.config or other.config,
            keystore=self.keystore or other.keystore,
            task_sites=self.task_sites + other.task_sites,
        )


EMPTY: Final = References()


def references_of(root: nodes.Node, *, path: str, offset: int, own: frozenset[str] = frozenset()) -> References:
    """What an expression or a whole block reads, but for the names that the block sets itself (``own``)."""
    found = EMPTY
    for name, key, place in _reads(root, own):
        found |= _reference(name, key, (path, offset + place - 1))
    return found


def _reads(root: nodes.Node, own: frozenset[str]) -> list[tuple[str, object, int]]:
    """(root name, key under it or None, place) of everything that is read from the context, in order."""
    reads: list[tuple[str, object, int]] = []
    stack = [(root, own)]
    while stack:
        node, own = stack.pop()
        children = list(node.iter_child_nodes())
        match node:
            case nodes.Getattr(node=nodes.Name(name=name), attr=key):
                reads += [] if name in own else [(name, key, node.node.lineno)]
                children = []
            case nodes.Getitem(node=nodes.Name(name=name), arg=nodes.Const(value=key)):
                reads += [] if name in own else [(name, key, node.node.lineno)]
                children = []
            case nodes.Name(name=name, ctx="load"):
                reads += [] if name in own else [(name, None, node.lineno)]
            case nodes.Call(node=nodes.Name(name=name) as callee):
                reads.append((f"{name}()", None, node.lineno))
                children.remove(callee)
            case nodes.For(iter=source, else_=otherwise):
                stack += [(child, own) for child in (*reversed(otherwise), source)]
                children, own = _without(children, [source, *otherwise]), own | _bound(node.target)
            case nodes.Macro(args=bound) | nodes.CallBlock(args=bound):
                own |= {name.name for name in bound}
        stack += [(child, own) for child in reversed(children)]
    return reads


def _bound(target: nodes.Node) -> set[str]:
    return {target.name} if isinstance(target, nodes.Name) else {name.name for name in target.find_all(nodes.Name)}


def _without(children: list[nodes.Node], others: list[nodes.Node]) -> list[nodes.Node]:
    return [child for child in children if all(child is not other for other in others)]


def _reference(name: str, key: object, site: tuple[str, int]) -> References:  # noqa: PLR0911 - a table of names
    if name.endswith("()"):
        return References(result=name in _RESULT_CALLS, result_value=name == "result()")
    named = key if isinstance(key, str) else None
    if name in TASKS:
        if named is None:
            return References(all_tasks=True)
        return References(tasks=frozenset({named}), task_sites=((named, *site),))
    if name in VARIABLES:
        return References(all_variables=True) if named is None else References(variables=frozenset({named}))
    if name in {"item", "index"}:
        return References(item=True)
    if name in {PARAMETERS, "config", "keystore"}:
        return References(**{name: True})  # type: ignore[arg-type]
    if name in _CONSTANTS or name == "system":
        return EMPTY
    return References(variables=frozenset({name}))
