"""Results of chunks as files, in a local folder or wherever ``pyarrow.fs`` reaches: whole or not at all."""

import functools
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from attune_ray.errors import ResultLostError, StateError, UsageError

__all__ = ["FileResults"]

_MAX_SEGMENT: Final = 200  # bytes; most filesystems take 255
_PUTS_WHOLE: Final = {"s3", "gcs", "abfs"}  # an object is there when its upload is complete


@dataclass(frozen=True, slots=True)
class FileResults:
    """A ResultStore; it travels as its address alone, and each process opens the filesystem once.

    Attributes:
        url: a folder, or the URL of one; it may hold credentials, which no error shows.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        """A worker has another current folder: a relative one is made absolute here."""
        if "://" not in self.url:
            object.__setattr__(self, "url", str(Path(self.url).absolute()))
        elif self.url.startswith("file://"):
            object.__setattr__(self, "url", unquote(urlsplit(self.url).path))

    def write(self, name: str, content: Any) -> None:
        """Keep a buffer; in a local folder it is on the disk when this returns."""
        path = _path_of(name)
        with self._translated(name, "kept"):
            if self._is_local:
                _write_file(Path(self.url) / path, content)
            else:
                self._write_remote(path, content)

    def read(self, name: str) -> Any:
        """The buffer; local files are mapped."""
        path = _path_of(name)
        with self._translated(name, "read"):
            if self._is_local:
                return _mapped(Path(self.url) / path)
            filesystem, root = _open(self.url)
            with filesystem.open_input_file(f"{root}/{path}") as stream:
                return stream.read_buffer()

    def remove(self, folder: str) -> None:
        """Remove a folder with all that is in it."""
        path = _path_of(folder)
        with self._translated(folder, "removed", missing_is_fine=True):
            if self._is_local:
                shutil.rmtree(Path(self.url) / path)
            else:
                filesystem, root = _open(self.url)
                filesystem.delete_dir(f"{root}/{path}")

    def size(self, folder: str) -> int | None:
        """Bytes of the files in a local folder; None: it is not local."""
        if not self._is_local:
            return None
        files = (Path(self.url) / _path_of(folder)).rglob("*")
        with self._translated(folder, "measured", missing_is_fine=True):
            return sum(file.stat().st_size for file in files if file.is_file())
        return 0

    @property
    def _is_local(self) -> bool:
        return "://" not in self.url

    def _write_remote(self, path: str, content: Any) -> None:
        filesystem, root = _open(self.url)
        target = f"{root}/{path}"
        folder = target.rpartition("/")[0]
        draft = target if filesystem.type_name in _PUTS_WHOLE else f"{folder}/.{secrets.token_hex(8)}"
        if draft != target:
            filesystem.create_dir(folder, recursive=True)
        with filesystem.open_output_stream(draft) as stream:
            stream.write(content)
        if draft != target:
            filesystem.move(draft, target)

    @contextmanager
    def _translated(self, name: str, done: str, *, missing_is_fine: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if not missing_is_fine:
                raise ResultLostError(f"the results {name} are not in {self} any more") from error
        except (OSError, ValueError) as error:
            reason = re.sub(r"//[^/@\s]*@", "//", str(error))
            raise StateError(f"the results {name} cannot be {done} in {self}: {reason}") from error

    def __str__(self) -> str:
        """The address without credentials."""
        return re.sub(r"//[^/@]*@", "//", self.url).partition("?")[0]


@functools.cache
def _open(url: str) -> tuple[Any, str]:
    """The filesystem of a URL, and the folder in it; once per process."""
    from pyarrow import ArrowException  # noqa: PLC0415 - only where results are not local
    from pyarrow.fs import FileSystem  # noqa: PLC0415

    try:
        filesystem, root = FileSystem.from_uri(url)
    except (ArrowException, ValueError) as error:
        scheme = url.partition("://")[0]
        raise UsageError(f"results cannot be kept at a URL like this ({scheme}://…): {type(error).__name__}") from None
    return filesystem, root.rstrip("/")


def _path_of(name: str) -> str:
    """The path of a name below the root: each part of it is one file's or folder's, whatever it is called.

    Raises:
        StateError: it is no name: empty, absolute, or with parts that lead elsewhere.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise StateError(f"results cannot be kept as {name!r}: a name is made of parts like run/task/0-4999")
    return "/".join(map(_segment, parts))


def _segment(part: str) -> str:
    """Letters, digits and few others are kept; hidden names are for drafts alone."""
    quoted = quote(part, safe="-_.~[]#=@+,", errors="surrogatepass")
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if len(quoted) <= _MAX_SEGMENT:
        return quoted
    digest = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{quoted[: _MAX_SEGMENT - 66]}%-{digest}"  # no quoted name holds a % with a dash


def _write_file(path: Path, content: Any) -> None:
    """A new file takes the place of what was there, when it is whole and on the disk."""
    _make_folder(path.parent)
    draft = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            left = memoryview(content).cast("B")
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """With all above it, for their owner alone; each is on the disk, too."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mapped(path: Path) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only where results are files

    if path.stat().st_size == 0:  # nothing cannot be mapped
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()
