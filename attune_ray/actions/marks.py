"""Which actions a Python file defines, read without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mark", "marks_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A function under ``@attune_ray.action(…)``.

    Attributes:
        ref: None where it is no literal text.
        execution: the parameter that takes the ``Execution``; None: there is none.
    """

    ref: str | None
    is_async: bool
    is_blocking: bool
    execution: str | None = None


def marks_in(text: str) -> tuple[Mark, ...]:
    """The decorated functions at the top of a file; () where it has none, or cannot be parsed.

    The decorator is known by the imports of the file, under whatever name they give it.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ()  # a script that fails when it is run, as any other
    names = dict(_imports(tree))
    return tuple(
        _mark(node, call, names)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and _meaning(call.func, names) == "attune_ray.action"
    )


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of the file that stand for the package, or for what it exports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (alias.asname or alias.name, "attune_ray") for alias in node.names if alias.name == "attune_ray"
            )
        elif isinstance(node, ast.ImportFrom) and node.module in {"attune_ray", "attune_ray.actions"}:
            yield from ((alias.asname or alias.name, f"attune_ray.{alias.name}") for alias in node.names)


def _meaning(node: ast.expr | None, names: dict[str, str]) -> str | None:
    """What an expression stands for, where it is a name or an attribute of one."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in names:
            return f"{names[name]}.{attribute}"
        case ast.Constant(value=str() as text):  # an annotation in quotes
            name, _, attribute = text.partition(".")
            return f"{names[name]}.{attribute}" if attribute and name in names else names.get(name)
    return None


def _mark(node: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, names: dict[str, str]) -> Mark:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    ref = call.args[0] if call.args else given.get("ref")
    blocking = given.get("blocking")
    asking = (
        each.arg
        for each in [*node.args.args, *node.args.kwonlyargs]
        if _meaning(each.annotation, names) == "attune_ray.Execution"
    )
    return Mark(
        ref=ref.value if isinstance(ref, ast.Constant) and isinstance(ref.value, str) else None,
        is_async=isinstance(node, ast.AsyncFunctionDef),
        is_blocking=isinstance(blocking, ast.Constant) and blocking.value is True,
        execution=next(asking, None),
    )
