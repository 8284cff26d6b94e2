"""What a template reads: the tasks, variables and other roots that its context must hold."""

from dataclasses import dataclass
from typing import Final

from jinja2 import nodes

__all__ = ["EMPTY", "PARAMETERS", "ROOTS", "TASKS", "VARIABLES", "References", "path_of", "references_of"]

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
        result_sites: (name, key, path, offset) of each ``task.name.key``.
        parameter_sites: (name, path, offset) of each ``parameters.name``.
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
    result_sites: tuple[tuple[str, str, str, int], ...] = ()
    parameter_sites: tuple[tuple[str, str, int], ...] = ()

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
            result_sites=self.result_sites + other.result_sites,
            parameter_sites=self.parameter_sites + other.parameter_sites,
        )


EMPTY: Final = References()


def references_of(root: nodes.Node, *, path: str, offset: int, own: frozenset[str] = frozenset()) -> References:
    """What an expression or a whole block reads, but for the names that the block sets itself (``own``)."""
    found = EMPTY
    for name, keys, place in _reads(root, own):
        found |= _reference(name, keys, (path, offset + place - 1))
    return found


def _reads(root: nodes.Node, own: frozenset[str]) -> list[tuple[str, tuple[str, ...], int]]:
    """(root name, keys under it, place) of everything that is read from the context, in order."""
    reads: list[tuple[str, tuple[str, ...], int]] = []
    stack = [(root, own)]
    while stack:
        node, own = stack.pop()
        children = list(node.iter_child_nodes())
        match node:
            case nodes.Getattr() | nodes.Getitem() if (path := _path(node)) is not None:
                base, keys = path
                reads += [] if base.name in own else [(base.name, keys, base.lineno)]
                children = []
            case nodes.Name(name=name, ctx="load"):
                reads += [] if name in own else [(name, (), node.lineno)]
            case nodes.Call(node=nodes.Name(name=name) as callee):
                reads.append((f"{name}()", (), node.lineno))
                children.remove(callee)
            case nodes.For(iter=source, else_=otherwise):
                stack += [(child, own) for child in (*reversed(otherwise), source)]
                children, own = _without(children, [source, *otherwise]), own | _bound(node.target)
            case nodes.Macro(args=bound) | nodes.CallBlock(args=bound):
                own |= {name.name for name in bound}
        stack += [(child, own) for child in reversed(children)]
    return reads


def path_of(node: nodes.Node) -> tuple[str, ...] | None:
    """Root and keys of ``name.key["key"]``; None for what is no such path."""
    found = _path(node)
    return None if found is None or found[0].name in _CONSTANTS else (found[0].name, *found[1])


def _path(node: nodes.Node) -> tuple[nodes.Name, tuple[str, ...]] | None:
    """The name that ``name.key["key"]`` begins with, and the keys; None for what is no such path."""
    keys: list[str] = []
    while True:
        match node:
            case nodes.Getattr(node=of, attr=key) | nodes.Getitem(node=of, arg=nodes.Const(value=str(key))):
                keys.append(key)
                node = of
            case nodes.Name():
                return node, tuple(reversed(keys))
            case _:
                return None


def _bound(target: nodes.Node) -> set[str]:
    return {target.name} if isinstance(target, nodes.Name) else {name.name for name in target.find_all(nodes.Name)}


def _without(children: list[nodes.Node], others: list[nodes.Node]) -> list[nodes.Node]:
    return [child for child in children if all(child is not other for other in others)]


def _reference(name: str, keys: tuple[str, ...], site: tuple[str, int]) -> References:  # noqa: PLR0911 - a table of names
    if name.endswith("()"):
        return References(result=name in _RESULT_CALLS, result_value=name == "result()")
    named = keys[0] if keys else None
    if name in TASKS:
        if named is None:
            return References(all_tasks=True)
        results = ((named, keys[1], *site),) if len(keys) > 1 else ()
        return References(tasks=frozenset({named}), task_sites=((named, *site),), result_sites=results)
    if name in VARIABLES:
        return References(all_variables=True) if named is None else References(variables=frozenset({named}))
    if name in {"item", "index"}:
        return References(item=True)
    if name == PARAMETERS and named is not None:
        return References(parameters=True, parameter_sites=((named, *site),))
    if name in {PARAMETERS, "config", "keystore"}:
        return References(**{name: True})  # type: ignore[arg-type]
    if name in _CONSTANTS or name == "system":
        return EMPTY
    return References(variables=frozenset({name}))
