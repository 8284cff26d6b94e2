"""The direction of imports is law: a module may import only from the layers below its own.

A start for tests/architecture/test_layers.py; add the check that a stage has no cycle inside.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "attune_ray"  # from tests/architecture/
LAYERS: list[set[str]] = [  # high → low; names in one set are strangers to each other
    {"cli", "server", "testing"},
    {"bootstrap"},
    {"coordinator", "dispatch", "store", "observe"},
    {"ports"},
    {"engine"},
    {"plan"},
    {"model", "actions"},
    {"expression"},
    {"errors", "settings"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FACADE = {"__init__", "__main__"}
PURE = {"expression", "model", "plan", "engine", "ports"}
IMPURE = {"asyncio", "threading", "ray", "time", "random", "logging", "sqlite3", "os"}


def imports(path: Path) -> Iterator[str]:
    """Absolute names imported anywhere in the file, also under TYPE_CHECKING and in functions."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def violations() -> Iterator[str]:
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).with_suffix("").parts
        if here[0] in FACADE and len(here) == 1:
            continue
        if here[0] not in RANK:
            yield f"{path}: {here[0]} is in no layer"
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if top == "attune_ray" and target not in RANK:
                yield f"{path}: imports the façade ({name})"
            elif top == "attune_ray" and target != here[0] and RANK[target] <= RANK[here[0]]:
                yield f"{path}: {here[0]} → {target} points up or sideways"
            elif top == "ray" and here[0] != "dispatch":
                yield f"{path}: only dispatch may import ray"
            elif top in IMPURE and here[0] in PURE:
                yield f"{path}: pure layer imports {top}"
            elif (
                here == ("dispatch", "worker")
                and top == "attune_ray"
                and target not in {"actions", "expression", "errors"}
            ):
                yield f"{path}: remote code imports {target}"


def test_imports_point_down() -> None:
    """Every import goes to a lower layer; pure layers touch no clock, loop, disk or cluster."""
    assert list(violations()) == []
