"""The direction of imports is law: a module may import only from the layers below its own, and nothing in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "attune_ray"
LAYERS: list[set[str]] = [  # high → low; names in one set are strangers to each other
    {"cli", "server", "testing"},
    {"bootstrap"},
    {"coordinator", "dispatch", "store", "observe", "packs"},
    {"ports"},
    {"records"},
    {"engine"},
    {"plan"},
    {"model", "actions"},
    {"expression", "values"},
    {"errors", "settings"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FACADE = {"__init__", "__main__"}
PURE = {"expression", "values", "model", "plan", "engine", "records", "ports"}
IMPURE = {"asyncio", "threading", "ray", "time", "random", "logging", "sqlite3", "os"}
REMOTE = tuple(f"attune_ray.{name}" for name in ("actions", "expression", "values", "errors", "dispatch.worker"))
HEAVY = {"ray", "memray", "sqlalchemy", "alembic", "cryptography", "psycopg", "pyarrow", "numpy", "httpx"}
MIGRATIONS = "attune_ray.store.migrations"
SQL = {  # whole modules of SQL, which are imported when a database is opened
    *(f"attune_ray.store.{name}" for name in ("archive", "database", "faults", "migrations", "schema")),
    *(f"attune_ray.store.sql_{name}" for name in ("claims", "journal", "rows", "writes")),
}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package goes by its own."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def named_by(node: ast.stmt, path: Path) -> Iterator[str]:
    """Absolute names that a statement imports."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts[:-1]
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        stem = ".".join([*base, *([node.module] if node.module else [])])
        yield from (f"{stem}.{alias.name}" for alias in node.names)


def imports(path: Path) -> Iterator[str]:
    """Absolute names imported anywhere in a file, also under TYPE_CHECKING and in functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from named_by(node, path)


def imports_at_start(path: Path) -> Iterator[str]:
    """Names imported when the module is: not in functions, not for the type checker alone."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from named_by(node, path)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += ast.iter_child_nodes(node)


def module_of(name: str) -> str | None:
    """The module of ours that a name belongs to: itself, or the one that defines it."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def violations() -> Iterator[str]:
    """Every import that points up, sideways, or from a pure layer to the world."""
    for path in MODULES.values():
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


def graph() -> dict[str, set[str]]:
    """Module → the modules of ours that it imports, anywhere in it."""
    edges = {}
    for name, path in MODULES.items():
        targets = {module_of(imported) for imported in imports(path)}
        edges[name] = {target for target in targets if target is not None and target != name}
    return edges


def circles(edges: dict[str, set[str]]) -> list[str]:
    """What is left when modules that import nothing that is left are taken away, again and again."""
    left = {name: set(targets) for name, targets in edges.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


def test_imports_point_down() -> None:
    """Every import goes to a lower layer; pure layers touch no clock, loop, disk or cluster."""
    assert list(violations()) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    """Within a stage too, and counting imports in functions and for the type checker."""
    assert circles(graph()) == []


def test_a_circle_would_be_found() -> None:
    """Modules that lead into a circle are not taken for a part of the way out."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_remote_code_imports_little() -> None:
    """A worker loads actions, expressions and errors, and nothing of the coordinator's side."""
    found = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if module.startswith("attune_ray.dispatch.worker")
        for name in imports(path)
        if name.startswith("attune_ray") and not name.startswith(REMOTE)
    ]

    assert found == []


def test_heavy_libraries_are_imported_where_they_are_needed() -> None:
    """Importing our modules costs none of them; only the remote function's module is an exception, for ray."""
    found = {
        (module, name.partition(".")[0])
        for module, path in MODULES.items()
        for name in imports_at_start(path)
        if name.partition(".")[0] in HEAVY
    }
    sql = {(module, name) for module, name in found if module in SQL or module.startswith(MIGRATIONS)}

    assert found - sql <= {("attune_ray.dispatch.remote", "ray")}
    assert {name for _, name in sql} == {"sqlalchemy", "alembic"}
    assert {module for module, name in sql if name == "alembic" and not module.startswith(MIGRATIONS)} == set()


def test_modules_of_sql_are_imported_by_each_other_alone() -> None:
    """Everybody else imports them in a function, when a database is opened; and none of them imports Alembic so."""
    found = {
        (module, target)
        for module, path in MODULES.items()
        for name in imports_at_start(path)
        if (target := module_of(name)) is not None
        if target in SQL and (module not in SQL or target.startswith(MIGRATIONS))
    }

    assert found == set()
