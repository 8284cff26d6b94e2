"""Where actions come from, in a form that travels to workers: a file's text, a module's name, functions, packs."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from attune_ray.actions.files import FileSource, decorated, execute
from attune_ray.actions.pack import PackSource, actions_of_pack
from attune_ray.actions.python import Action, from_function
from attune_ray.errors import UsageError

__all__ = ["FileSource", "FunctionSource", "ModuleSource", "Source", "actions_of", "installed_sources", "sources_of"]

_GROUP = "attune_ray.actions"


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
            return [FunctionSource(found.function) for found in decorated(vars(given).values())]
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


def installed_sources() -> list[ModuleSource]:
    """The modules that installed distributions name under the entry-point group ``attune_ray.actions``."""
    from importlib import metadata  # noqa: PLC0415  15 ms, for who names an action that is not known otherwise

    found = metadata.entry_points(group=_GROUP)
    return [ModuleSource(name) for name in dict.fromkeys(entry.module for entry in found)]


def actions_of(source: Source) -> list[Action]:
    """The actions that a source holds, in the order of its definitions.

    Raises:
        UsageError: it cannot be imported, or holds no action.
    """
    if isinstance(source, FunctionSource):
        return decorated([source.function])
    if isinstance(source, PackSource):
        return actions_of_pack(source)
    module = execute(source) if isinstance(source, FileSource) else _import(source)
    found = decorated(vars(module).values())
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


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
