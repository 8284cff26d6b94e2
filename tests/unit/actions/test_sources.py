"""Where actions come from: functions, modules, and files that travel as their text."""

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attune_ray.actions import Action, action, sources_of
from attune_ray.actions.sources import FileSource, FunctionSource, ModuleSource, actions_of
from attune_ray.errors import UsageError

HEAD = "import attune_ray\n"
ONE = "@attune_ray.action('file.one')\ndef one(x=1):\n    return x\n"


@action("unit.shout")
def shout(text: str) -> str:
    """Louder."""
    return text.upper()


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    """What a test loads is gone after it."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def load(given: object) -> dict[str, Action]:
    """The actions of what a caller names."""
    return {found.ref: found for source in sources_of(given) for found in actions_of(source)}


def write(path: Path, text: str) -> Path:
    """A file with our import on top."""
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_a_decorated_function_is_a_source() -> None:
    """By itself."""
    assert sources_of(shout) == [FunctionSource(shout)]
    assert load(shout)["unit.shout"].function is shout


@pytest.mark.parametrize("given", [lambda: None, 3, None, dict, b"x.py"])
def test_anything_else_is_refused(given: object) -> None:
    """With what it should be."""
    with pytest.raises(UsageError, match=r"decorate it with|actions are functions, modules"):
        sources_of(given)


def test_a_module_goes_by_its_name() -> None:
    """Given as itself, or by name."""
    module = types.ModuleType("unit_module")
    vars(module)["shout"] = shout
    sys.modules["unit_module"] = module

    assert sources_of(module) == sources_of("unit_module") == [ModuleSource("unit_module")]
    assert list(load("unit_module")) == ["unit.shout"]


def test_the_main_script_goes_as_its_functions() -> None:
    """No worker could import it."""
    script = types.ModuleType("__main__")
    vars(script).update(shout=shout, other=dict, number=3)

    assert sources_of(script) == [FunctionSource(shout)]


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_goes_as_its_text(tmp_path: Path, *, as_text: bool) -> None:
    """A worker on another machine has no such file."""
    path = write(tmp_path / "acts.py", ONE)

    (source,) = sources_of(str(path) if as_text else path)

    assert source == FileSource(str(path.resolve()), HEAD + ONE)
    path.unlink()
    assert [found.ref for found in actions_of(pickle.loads(pickle.dumps(source)))] == ["file.one"]  # noqa: S301


def test_a_file_runs_once_in_a_process(tmp_path: Path) -> None:
    """So that what it keeps at its top level is kept; another text is another module."""
    path = write(tmp_path / "acts.py", ONE + "runs = []\nruns.append(1)\n")

    first, second = load(path)["file.one"], load(path)["file.one"]
    assert first.function is second.function
    assert first.function.__globals__["runs"] == [1]

    write(path, ONE + "runs = [2]\n")
    assert load(path)["file.one"].function.__globals__["runs"] == [2]


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    """Its folder joins the path where it exists."""
    (tmp_path / "unit_neighbour.py").write_text("def twice(x): return 2 * x\n")
    path = write(
        tmp_path / "acts.py", "from unit_neighbour import twice\n" + ONE.replace("return x", "return twice(x)")
    )

    assert load(path)["file.one"].function(4) == 8


def test_a_file_finds_itself_by_its_module(tmp_path: Path) -> None:
    """Dataclasses and pickles look themselves up there."""
    text = "import dataclasses\n@dataclasses.dataclass\nclass Pair:\n    x: 'int' = 1\n" + ONE
    function = load(write(tmp_path / "acts.py", text))["file.one"].function

    pair = function.__globals__["Pair"](3)
    assert pickle.loads(pickle.dumps(pair)) == pair  # noqa: S301
    assert function.__globals__["__file__"] == str(tmp_path / "acts.py")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1 +\n", "cannot load the actions of {path}: SyntaxError: invalid syntax"),
        ("1 / 0\n", "cannot load the actions of {path}: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "cannot load the actions of {path}: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n", "cannot load the actions of {path}: SystemExit: 3"),
        ("x = 1\n", "{path} holds no action: decorate its functions with @attune_ray.action('pack.name')"),
        ("@attune_ray.action('one')\ndef one(): ...\n", "cannot load the actions of {path}: UsageError: action 'one'"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_usage_error(tmp_path: Path, text: str, told: str) -> None:
    """Each time it is named."""
    path = write(tmp_path / "acts.py", text)

    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert str(caught.value).startswith(told.format(path=path))


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"# \xff", "can't decode byte")])
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, content: bytes | None, told: str) -> None:
    """With its path."""
    path = tmp_path / "acts.py"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=told) as caught:
        sources_of(path)

    assert str(path) in str(caught.value)


def test_a_module_that_cannot_be_imported_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "unit_exits.py").write_text("raise SystemExit('gone')\n")

    for name, told in {"no_such_module_here": "No module named", "unit_exits": "SystemExit: gone"}.items():
        with pytest.raises(UsageError, match=f"cannot import the actions module '{name}': .*{told}"):
            load(name)


def test_odd_values_at_the_top_level_are_no_actions(tmp_path: Path) -> None:
    """Objects that answer to every name among them."""
    text = (
        "class Any:\n    def __getattr__(self, name): return self\n    def __call__(self): return self\n"
        "anything = Any()\n" + ONE
    )

    found: Any = load(write(tmp_path / "acts.py", text))

    assert list(found) == ["file.one"]
