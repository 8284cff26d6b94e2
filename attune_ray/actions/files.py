"""Python files as modules of their own, by their texts: on workers of other machines there is no such file."""

import hashlib
import linecache
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from attune_ray.actions.python import Action, from_function
from attune_ray.errors import UsageError

__all__ = ["FileSource", "decorated", "execute"]

_LOADING = threading.RLock()


@dataclass(frozen=True, slots=True)
class FileSource:
    """A ``.py`` file by its text: workers on other machines have no such file."""

    path: str
    text: str


def execute(source: FileSource) -> ModuleType:
    """Run the file's text as a module of its own; once per process and text, so that its state is kept.

    Its folder joins ``sys.path`` where it exists, so that the file may import its neighbours.

    Raises:
        UsageError: it cannot be run.
    """
    digest = hashlib.sha256(source.text.encode()).hexdigest()[:16]
    name = f"attune_actions_{Path(source.path).stem}_{digest}"
    with _LOADING:  # blocking actions call it from many threads, and a module is known before it is whole
        return sys.modules[name] if name in sys.modules else _load(source, name)


def _load(source: FileSource, name: str) -> ModuleType:
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
        raise UsageError(f"cannot load the actions of {source.path}: {type(error).__name__}: {error}") from error
    return module


def decorated(values: Iterable[object]) -> list[Action]:
    """The actions among some values, in their order."""
    found = [from_function(value) for value in values if callable(value)]
    return [action for action in found if action is not None]
