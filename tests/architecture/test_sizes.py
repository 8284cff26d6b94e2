"""The tail is where beauty dies: modules, classes and functions stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "attune_ray"
MAX_MODULE_LINES = 400
MAX_BODY_LINES = 40
MAX_PUBLIC_METHODS = 12
MANY_METHODS = {
    "bootstrap/engine.py: Engine": "one verb for each thing that callers do with runs",
    "model/fields.py: Field": "one reader for each type of the language",
}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> Iterator[tuple[Path, str]]:
    """Path and text of each module."""
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def body_lines(function: _Function) -> int:
    """Lines of a function's body, its docstring aside."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_modules_are_short() -> None:
    """A longer one holds two ideas."""
    long = {str(path): len(text.splitlines()) for path, text in sources()}

    assert {path: n_lines for path, n_lines in long.items() if n_lines > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    """A reader sees one whole."""
    found = {
        f"{path}: {node.name}": body_lines(node)
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, _Function)
    }

    assert {name: n_lines for name, n_lines in found.items() if n_lines > MAX_BODY_LINES} == {}


def test_classes_have_few_public_methods() -> None:
    """A class with more does two jobs."""
    found = {
        f"{path}: {node.name}": sum(isinstance(part, _Function) and not part.name.startswith("_") for part in node.body)
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    }

    assert {name for name, n_methods in found.items() if n_methods > MAX_PUBLIC_METHODS} == MANY_METHODS.keys()
