"""What a path or a pattern of paths names, on any file system that Arrow knows."""

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

from attune_ray.errors import UsageError

__all__ = ["expand", "is_local", "is_pattern", "place_of"]

_MAX_LISTED = 1_000_000
"""Entries of folders that a pattern may look at: one that matches half a disk is a mistake."""
_MAGIC = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether a path, or a part of one, has signs of a pattern."""
    return _MAGIC.search(text) is not None


def place_of(file_system: Any, path: str) -> str:
    """What all paths of one file or folder have in common: on this machine the real path; elsewhere are no links."""
    return os.path.realpath(path) if is_local(file_system) else path


def expand(file_system: Any, path: str) -> list[Any]:
    """What stands at a path, as Arrow tells it; if nothing does and it is a pattern, what matches it, sorted by path.

    Raises:
        UsageError: the pattern goes through too many folders, or matches a name that is not UTF-8.
    """
    [info] = file_system.get_file_info([path])
    if info.type.name != "NotFound" or not is_pattern(path):
        return _there([info])
    parts = path.split("/")
    fixed = next(number for number, part in enumerate(parts) if is_pattern(part))
    walk = _Walk(file_system, _LocalFolders() if is_local(file_system) else _ArrowFolders(file_system))
    found = {entry.path: entry for entry in walk.matches("/".join(parts[:fixed]) or "/", tuple(parts[fixed:]))}
    paths = sorted(found)
    if not is_local(file_system):
        return [found[path].info for path in paths]
    for match in paths:
        if not _is_utf_8(match):
            raise _not_utf_8(match)
    return _there(file_system.get_file_info(paths))


def is_local(file_system: Any) -> bool:
    """Whether it is this machine's own."""
    return bool(file_system.type_name == "local")


def _there(infos: list[Any]) -> list[Any]:
    """Without links that lead nowhere, which a folder lists."""
    return [info for info in infos if info.type.name != "NotFound"]


def _not_utf_8(path: str) -> UsageError:
    """That a path cannot be opened by Arrow, nor told in JSON; with the part of it that is at fault."""
    parts = path.split("/")
    fault = next(number for number, part in enumerate(parts) if not _is_utf_8(part))
    name = parts[fault].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    folder = "/".join(parts[:fault])
    return UsageError(
        f"with_items: the name of '{name}' in the folder '{folder}' is not UTF-8; rename it, or narrow the pattern"
    )


def _is_utf_8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Entry(NamedTuple):
    """What stands in a folder.

    Attributes:
        path: where it is not UTF-8, with Python's escapes.
        info: Arrow's; None: it has not been asked, since a path that is not UTF-8 breaks it.
    """

    path: str
    is_folder: bool
    info: Any = None


@dataclass(slots=True)
class _Walk:
    """Goes down a tree of folders, as far as a pattern leads."""

    file_system: Any
    folders: "_LocalFolders | _ArrowFolders"
    n_listed: int = 0
    _seen: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)

    def matches(self, folder: str, parts: tuple[str, ...]) -> Iterator[_Entry]:
        """What is below a folder that the parts of a pattern match; ``**`` is any number of folders.

        Where links lead to a folder again, nothing is below it that was not found before: so loops of them end.
        """
        known = (place_of(self.file_system, folder), parts)
        if known in self._seen:
            return
        self._seen.add(known)
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self.matches(folder, rest or ("*",))
        for entry in self._entries(folder, part) if is_pattern(part) else self.folders.entry(folder, part):
            if part == "**":
                if entry.is_folder:
                    yield from self.matches(entry.path, parts)
            elif not rest:
                yield entry
            elif entry.is_folder:
                yield from self.matches(entry.path, rest)

    def _entries(self, folder: str, part: str) -> list[_Entry]:
        """Those whose names match, sorted; a name that begins with a dot only where the pattern says so."""
        found = self.folders.entries(folder)
        self.n_listed += len(found)
        if self.n_listed > _MAX_LISTED:
            raise UsageError(f"with_items: the pattern goes through more than {_MAX_LISTED:,} files and folders")
        named = ((entry, entry.path.rpartition("/")[2]) for entry in found)
        matching = [
            entry
            for entry, name in named
            if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
        ]
        return sorted(matching, key=attrgetter("path"))


class _LocalFolders:
    """Folders of this machine: Python's, which read a name that is not UTF-8, and Arrow's do not."""

    def entry(self, folder: str, name: str) -> list[_Entry]:
        """What a name in a folder is; nothing where it is not there."""
        path = f"{folder.rstrip('/')}/{name}"
        return [_Entry(path, os.path.isdir(path))] if os.path.exists(path) else []  # noqa: PTH110, PTH112  paths are texts here

    def entries(self, folder: str) -> list[_Entry]:
        """All that stands in a folder."""
        try:
            with os.scandir(folder) as found:
                return [_Entry(f"{folder.rstrip('/')}/{entry.name}", _is_folder(entry)) for entry in found]
        except FileNotFoundError:
            return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112  links may form a loop


@dataclass(frozen=True, slots=True)
class _ArrowFolders:
    """Folders of another file system."""

    file_system: Any

    def entry(self, folder: str, name: str) -> list[_Entry]:
        """What a name in a folder is; nothing where it is not there."""
        return _told(self.file_system.get_file_info([f"{folder.rstrip('/')}/{name}"]))

    def entries(self, folder: str) -> list[_Entry]:
        """All that stands in a folder."""
        from pyarrow import fs  # noqa: PLC0415  heavy

        return _told(self.file_system.get_file_info(fs.FileSelector(folder, allow_not_found=True)))


def _told(infos: list[Any]) -> list[_Entry]:
    return [_Entry(info.path, info.type.name == "Directory", info) for info in _there(infos)]
