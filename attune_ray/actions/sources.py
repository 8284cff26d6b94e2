"""Where actions come from, in a form that travels to workers: a file's text, a module's name, functions, packs."""

import hashlib
import importlib
import linecache
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from attune_ray.actions.pack import PackSource, actions_of_pack
from attune_ray.actions.python import Action, from_function
from attune_ray.errors import UsageError

__all__ = ["FileSource", "FunctionSource", "ModuleSource", "Source", "actions_of", "sources_of"]


@dataclass(frozen=True, slots=True)
class FileSource:
    """A ``.py`` file by its text: workers on other machines have no such file."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module that is importable by name wherever tasks run."""

    name: str


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A decorated function; pickled by value where its module cannot be imported."""

    function: Callable[..., Any]


Source = FileSource | ModuleSource | FunctionSource | PackSource


def sources_of(given: object) -> list[Source]:
    """What the caller named: a decorated function, a module, a module's name, the path of a .py file or a pack.

    Functions travel to workers by value, modules by their names. The main script cannot be imported there, so it
    travels as its functions.

    Raises:
        UsageError: it is none of these, or the file cannot be read.
    """
    if isinstance(given, PackSource):
        return [given]
    if isinstance(given, ModuleType):
        if given.__name__ == "__main__":
            return [FunctionSource(found.function) for found in _decorated(vars(given).values())]
        return [ModuleSource(given.__name__)]
    if isinstance(given, Path) or (isinstance(given, str) and given.endswith(".py")):
        return [_file_source(Path(given))]
    if isinstance(given, str):
        return [ModuleSource(given)]
    if callable(given):
        if from_function(given) is None:
            name = getattr(given, "__qualname__", repr(given))
            raise UsageError(f"{name} is no action: decorate it with @action('pack.name')")
        return [FunctionSource(given)]
    raise UsageError(f"actions are functions, modules, module names or .py files, not {type(given).__name__}")


def actions_of(source: Source) -> list[Action]:
    """The actions that a source holds, in the order of its definitions.

    Raises:
        UsageError: it cannot be imported, or holds no action.
    """
    if isinstance(source, FunctionSource):
        return _decorated([source.function])
    if isinstance(source, PackSource):
        return actions_of_pack(source)
    module = _execute(source) if isinstance(source, FileSource) else _import(source)
    found = _decorated(vars(module).values())
    if not found:
        name = source.path if isinstance(source, FileSource) else source.name
        raise UsageError(f"{name} holds no action: decorate its functions with @attune_ray.action('pack.name')")
    return found


def _file_source(path: Path) -> FileSource:
    try:
        return FileSource(str(path.resolve()), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the actions of {path}: {error}") from error


def _import(source: ModuleSource) -> ModuleType:
    try:
        return importlib.import_module(source.name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import the actions module {source.name!r}: {_told(error)}") from error


def _execute(source: FileSource) -> ModuleType:
    """Run the file's text as a module of its own; once per process and text, so that its state is kept.

    Its folder joins ``sys.path`` where it exists, so that the file may import its neighbours.
    """
    digest = hashlib.sha256(source.text.encode()).hexdigest()[:16]
    name = f"attune_actions_{Path(source.path).stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = source.path
    folder = str(Path(source.path).parent)
    if folder not in sys.path and Path(folder).is_dir():
        sys.path.append(folder)
    linecache.cache[source.path] = (len(source.text), None, source.text.splitlines(keepends=True), source.path)
    sys.modules[name] = module  # before it runs: dataclasses and pickles look themselves up by module name
    try:
        exec(compile(source.text, source.path, "exec"), vars(module))  # noqa: S102  the user's own code
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"cannot load the actions of {source.path}: {_told(error)}") from error
    return module


def _decorated(values: Iterable[object]) -> list[Action]:
    found = [from_function(value) for value in values if callable(value)]
    return [action for action in found if action is not None]


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
