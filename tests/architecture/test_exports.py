"""What a module offers is what its ``__all__`` says: no more, no less."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "attune_ray"


def names() -> list[str]:
    """Dotted names of all modules but the one that is a program."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def defined(tree: ast.Module) -> set[str]:
    """Public classes and functions that a module defines at its top level, and types that it names there."""
    functions = {
        node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name for name in functions if not name.startswith("_")}


def tree_of(name: str) -> ast.Module:
    """The syntax tree of a module's file."""
    return ast.parse(Path(importlib.import_module(name).__file__ or "").read_text(encoding="utf-8"))


def used_elsewhere() -> set[tuple[str, str]]:
    """Module and name of everything that one module of ours imports from another."""
    return {
        (node.module, alias.name)
        for name in names()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }


@pytest.mark.parametrize("name", names())
def test_exports_are_sorted_public_and_there(name: str) -> None:
    """Each name exists, begins with no underscore, and stands once, in its place."""
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", []))

    assert exported == sorted(set(exported), key=lambda each: (not each.isupper(), not each[0].isupper(), each))
    assert [each for each in exported if each.startswith("_") or not hasattr(module, each)] == []


def test_what_other_modules_use_is_exported() -> None:
    """A name that one module takes from another is a part of what that one offers."""
    offered = {name: set(getattr(importlib.import_module(name), "__all__", [])) for name in names()}
    missing = [
        f"{module}.{name}"
        for module, name in sorted(used_elsewhere())
        if module in offered and f"{module}.{name}" not in offered and name not in offered[module]
    ]

    assert missing == []


def test_public_names_are_exported() -> None:
    """A class or function without an underscore is either exported or private, never in between."""
    forgotten = []
    for name in names():
        exported = getattr(importlib.import_module(name), "__all__", None)
        if exported is not None:
            forgotten += [f"{name}.{each}" for each in sorted(defined(tree_of(name)) - set(exported))]

    assert forgotten == []
