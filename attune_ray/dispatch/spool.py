"""Rows of chunks that ran in this process, so that they outlive it: appended to one file, whatever chunk they are of.

A file for each chunk, as workers have, would cost 0.1 ms and more; tasks that run here are short and many. The file
is emptied when no run is live of which it holds rows.
"""

import os
import secrets
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from attune_ray.dispatch.worker.row_log import logs_folder
from attune_ray.dispatch.worker.row_records import (
    FailedRow,
    Record,
    SavedRows,
    packed,
    packed_failure,
    rows_of,
    unpacked,
)

__all__ = ["Spool", "SpoolLog"]

_NAME = struct.Struct("<H")
_MOST_BYTES = 64 * 1024 * 1024
"""Of a file; with more, another one is begun."""
_STALE_S = 30 * 24 * 3600
"""Seconds after which a file of a process that has gone is not wanted any more."""


@dataclass(slots=True)
class _File:
    """One file, and the folders of runs that it holds rows of."""

    path: Path
    number: int
    size: int = 0
    folders: set[str] = field(default_factory=set)

    @classmethod
    def new(cls) -> Self:
        path = logs_folder() / f"spool-{os.getpid()}-{secrets.token_hex(4)}"
        return cls(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600))

    def close(self) -> None:
        """It is not wanted any more."""
        os.close(self.number)
        self.path.unlink(missing_ok=True)


class Spool:
    """The files of one process; of one thread."""

    def __init__(self) -> None:
        self._files: list[_File] = []

    def log(self, name: str) -> "SpoolLog":
        """Where the rows of a chunk go; ``name``: as of its Order."""
        return SpoolLog(self, name)

    def append(self, name: str, record: bytes) -> None:
        """Keep a record. Where the machine has no room for it nothing is kept: after a crash it would be done again."""
        try:
            file = self._current()
            told = name.encode()
            file.size += os.write(file.number, b"%s%s%s" % (_NAME.pack(len(told)), told, record))
        except OSError:
            return
        file.folders.add(name.partition("/")[0])

    def forget(self, folder: str) -> None:
        """A run has ended: what its chunks have left is not wanted any more."""
        for file in list(self._files):
            file.folders.discard(folder)
            if not file.folders and (file.size > _MOST_BYTES or len(self._files) > 1):
                self._files.remove(file)
                file.close()
            elif not file.folders and file.size:
                os.ftruncate(file.number, 0)
                file.size = 0

    def find(self, name: str, indexes: range | tuple[int, ...], attempt: int) -> SavedRows | None:
        """What a process that has died has left of a chunk; None: nothing."""
        own = {file.path for file in self._files}
        try:
            paths = [path for path in logs_folder().glob("spool-*") if path not in own]
        except OSError:
            return None
        records = [record for path in paths for told, record in _read(path) if told == name]
        return rows_of(records, indexes, attempt) if records else None

    def close(self) -> None:
        """Remove the files, but for those of runs that may be gone on with."""
        for file in self._files:
            if file.folders:
                os.close(file.number)
            else:
                file.close()
        self._files.clear()

    def _current(self) -> _File:
        if not self._files or self._files[-1].size > _MOST_BYTES:
            _remove_stale()
            self._files.append(_File.new())
        return self._files[-1]


class SpoolLog:
    """The rows of one chunk."""

    __slots__ = ("_name", "_spool")

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name

    def begun(self, n_rows: int) -> None:
        """Nothing: what was under way is not to blame for the end of a coordinator."""

    def accounted(self) -> None:
        """Nothing, as above."""

    def succeeded(self, row: int, data: bytes, duration_us: int) -> None:
        """A row has ended well."""
        self._spool.append(self._name, packed(row, data, duration_us))

    def failed(self, row: int, failed: FailedRow, duration_us: int) -> None:
        """A row has failed."""
        self._spool.append(self._name, packed_failure(row, failed, duration_us))


def _read(path: Path) -> Iterator[tuple[str, Record]]:
    """Name of the chunk and record, as far as the file is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    position = 0
    while position + _NAME.size <= len(content):
        (length,) = _NAME.unpack_from(content, position)
        begin = position + _NAME.size
        name = content[begin : begin + length].decode(errors="replace")
        found = next(unpacked(content, begin + length), None)
        if found is None:
            return
        record, position = found
        yield name, record


def _remove_stale() -> None:
    oldest_s = time.time() - _STALE_S
    for path in logs_folder().glob("spool-*"):
        try:
            if path.stat().st_mtime < oldest_s:
                path.unlink()
        except FileNotFoundError:
            continue
