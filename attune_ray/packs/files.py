"""Reading a pack's folder: every file by its bytes, and nothing that lies outside of it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from attune_ray.actions import PackFile
from attune_ray.errors import UsageError

__all__ = ["MAX_BYTES", "MAX_FILES", "read_files", "read_text"]

MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 20_000
_MAX_TEXT_BYTES = 1024 * 1024
_LEFT_OUT = {".git", ".hg", ".svn", ".venv", "__pycache__"}
"""What no script needs: histories, and what Python makes anew."""


def read_files(folder: Path) -> tuple[PackFile, ...]:
    """All files of a pack, by their paths; links inside of it stay links.

    Raises:
        UsageError: it is too large, or holds what cannot travel: a link that leads out, a device, an unreadable file.
    """
    found: list[PackFile] = []
    n_bytes = 0
    for path in _paths(folder):
        file = _read(path, folder, MAX_BYTES - n_bytes)
        n_bytes += len(file.content)
        if n_bytes > MAX_BYTES or len(found) >= MAX_FILES:
            raise UsageError(_too_large(folder))
        found.append(file)
    return tuple(found)


def read_text(path: Path, what: str) -> str:
    """The text of a YAML file.

    Raises:
        UsageError: it cannot be read, is larger than 1 MiB, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"cannot read {what} {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _MAX_TEXT_BYTES:
        raise UsageError(f"cannot read {what} {path}: it is larger than 1 MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {what} {path}: byte {error.start} is not UTF-8") from error


def _paths(folder: Path) -> Iterator[Path]:
    """Files and links, in the order of their names; no link is followed."""
    for base, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and name not in _LEFT_OUT)
        yield from (Path(base) / name for name in sorted([*names, *links]) if name not in _LEFT_OUT)


def _read(path: Path, folder: Path, room: int) -> PackFile:
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return PackFile(path=name, content=os.fsencode(_target(path, folder)), is_link=True)
        if not stat.S_ISREG(mode):
            raise UsageError(f"the pack holds {path}, which is no file, folder or link: take it out")
        with path.open("rb") as file:
            content = file.read(room + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path} of the pack: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise UsageError(f"the pack holds {name!r}, whose name is not UTF-8: rename it") from error
    return PackFile(path=name, content=content, is_executable=bool(mode & stat.S_IXUSR))


def _target(path: Path, folder: Path) -> str:
    """What a link names, if that is in the pack."""
    target = path.readlink()
    if target.is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"the pack holds {path}, a link that leads out of it: copy the file into the pack")
    return str(target)


def _too_large(folder: Path) -> str:
    sizes = sorted(((path.lstat().st_size, path) for path in _paths(folder)), reverse=True)
    largest = ", ".join(f"{path.relative_to(folder)} ({size / 1024**2:.0f} MiB)" for size, path in sizes[:3])
    return (
        f"the pack {folder} is too large to travel to workers: {MAX_BYTES // 1024**2} MiB in {MAX_FILES:,} files are "
        f"the limit; its largest files are {largest}; keep data elsewhere"
    )
