"""The rows of a running chunk in a file of its worker's machine, so that those which ended outlive a dead worker.

The file is mapped: a row costs 0.3 µs, no system call, and what was written stays in the kernel's pages whatever kills
the process. It begins with the number of items that were begun; each row follows as a record.
"""

import contextlib
import mmap
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attune_ray.dispatch.worker.row_records import FailedRow, SavedRows, packed, packed_failure, rows_of, unpacked

__all__ = ["RowLog", "forget_logs", "logs_folder", "row_log", "saved_rows"]

_BEGUN = struct.Struct("<Q")
_FIRST_BYTES = 64 * 1024
_MOST_BYTES = 256 * 1024 * 1024
_UNKNOWN, _IN_TURN, _ACCOUNTED = 2**64 - 1, 2**64 - 2, 2**64 - 3


class RowLog:
    """Writes rows of one chunk as they end; one that the disk has no room for ends the log.

    Attributes:
        stays: the file is left when the chunk has ended: nobody else may know of its rows yet.

    Raises:
        OSError: there is no room for its beginning.
    """

    def __init__(self, path: Path, *, stays: bool = False) -> None:
        self.stays = stays
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(self._file, 0, _FIRST_BYTES)  # a write to a page that the disk lacks is a SIGBUS
            self._map = mmap.mmap(self._file, _FIRST_BYTES)
        except OSError:
            os.close(self._file)
            path.unlink()
            raise
        self._size = _FIRST_BYTES
        self._end = _BEGUN.size
        self._is_full = False

    def begun(self, n_rows: int) -> None:
        """So many items, the first ones, have been begun."""
        if not self._is_full:
            _BEGUN.pack_into(self._map, 0, n_rows)

    def in_turn(self) -> None:
        """Items are begun one after the other, each when the one before it has ended."""
        _BEGUN.pack_into(self._map, 0, _IN_TURN)

    def accounted(self) -> None:
        """The process ends itself because of items whose rows are written: no other has killed it."""
        if not self._is_full:
            _BEGUN.pack_into(self._map, 0, _ACCOUNTED)

    def succeeded(self, row: int, data: bytes, duration_us: int) -> None:
        """A row has ended well; one that is too large for the log is not copied."""
        if len(data) <= _MOST_BYTES or self._grow(len(data)):
            self._write(packed(row, data, duration_us))

    def failed(self, row: int, failed: FailedRow, duration_us: int) -> None:
        """A row has failed."""
        self._write(packed_failure(row, failed, duration_us))

    def _write(self, record: bytes) -> None:
        end = self._end + len(record)
        if end > self._size and not self._grow(end):
            return
        self._map[self._end : end] = record
        self._end = end

    def close(self) -> None:
        """The chunk has ended: its rows are told of otherwise, unless the log ``stays``."""
        self._map.close()
        if self.stays:
            os.ftruncate(self._file, self._end)
        else:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _grow(self, n_bytes: int) -> bool:
        """Make room; where there is none, nothing more is written, and nothing is known of the items that follow."""
        size = max(2 * self._size, n_bytes)
        if not self._is_full and size <= _MOST_BYTES:
            try:
                os.posix_fallocate(self._file, 0, size)
                self._map.resize(size)
            except OSError:
                pass
            else:
                self._size = size
                return True
        self._is_full = True
        _BEGUN.pack_into(self._map, 0, _UNKNOWN)
        return False


@contextlib.contextmanager
def row_log(name: str, *, stays: bool = False) -> Iterator[RowLog | None]:
    """A log for a chunk; None where the machine has no room for one.

    Args:
        name: of the file, in folders of its own; it is new.
        stays: as of RowLog.
    """
    try:
        folder = logs_folder()
        for below in reversed(Path(name).parents[:-1]):
            (folder / below).mkdir(mode=0o700, exist_ok=True)
        log = RowLog(folder / name, stays=stays)
    except OSError:
        yield None
        return
    try:
        yield log
    finally:
        log.close()


def forget_logs(folder: str) -> None:
    """Remove the logs below a folder of this machine; one that cannot be removed stays."""
    shutil.rmtree(logs_folder() / folder, ignore_errors=True)


def saved_rows(name: str, indexes: range | tuple[int, ...], attempt: int, *, stays: bool = False) -> SavedRows | None:
    """Read the log of a chunk that did not end by itself; None: there is none on this machine.

    Args:
        stays: it is not removed: it may be wanted again.
    """
    path = logs_folder() / name
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if not stays:
        path.unlink(missing_ok=True)
    if len(content) < _BEGUN.size:
        return None
    records = [record for record, _ in unpacked(content, _BEGUN.size)]
    (n_begun,) = _BEGUN.unpack_from(content)
    found = {_UNKNOWN: None, _ACCOUNTED: None, _IN_TURN: len({row for row, *_ in records}) + 1}.get(n_begun, n_begun)
    return rows_of(records, indexes, attempt, n_begun=found, blameless=n_begun == _ACCOUNTED)


def logs_folder() -> Path:
    """Where the logs of this user's workers are, readable by nobody else.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"attune-ray-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid() or folder.lstat().st_mode & 0o077:
        raise OSError(f"{folder} is open to others")
    return folder
