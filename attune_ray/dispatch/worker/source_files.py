"""The files that a source names: found, looked at, and opened, on any file system that Arrow knows."""

import contextlib
import functools
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from attune_ray.dispatch.worker.source_patterns import expand, is_local, is_pattern, place_of
from attune_ray.errors import ActionError, UsageError
from attune_ray.values.item_source import Compression, FileFormat, ItemSource, kind_of_file

__all__ = ["SourceFile", "changed", "find_files", "open_bytes", "reading", "require_unchanged"]

_SECRETS = re.compile(r"(?<=://)[^/\s]*@|\?\S*=\S*")
_NO_URI = "it is no valid URI (in a user or password, write / as %2F and @ as %40)"
_BUCKETS = {"s3://", "gs://", "gcs://"}
"""File systems that have a bucket where others have a host; it has no port."""
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<host>[^/?]*)(?P<path>[^?]*)(?P<options>\?.*)?", re.DOTALL)
"""In a URI ``?`` begins the options of the file system, as ``?region=…``; it is no part of a pattern."""
_INSIDE = {FileFormat.PARQUET, FileFormat.ARROW}
"""Formats that compress their own parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file, as it was when its items were counted.

    Attributes:
        root: URI of its file system, "" is this machine's own. May hold credentials, so it is never shown.
        path: within that file system.
        shown: for people.
        n_bytes, mtime_ns: it has changed when these have; mtime_ns is None where the file system tells no time.
        header: the names of the columns of a csv file.
    """

    root: str = field(repr=False)
    path: str
    shown: str
    n_bytes: int
    mtime_ns: int | None
    format: FileFormat
    compression: Compression
    header: tuple[str, ...] = ()

    def to_json(self) -> list[Any]:
        """Its attributes, to be kept encoded."""
        kind, compression = self.format.value, self.compression.value
        return [self.root, self.path, self.shown, self.n_bytes, self.mtime_ns, kind, compression, self.header]

    @classmethod
    def from_json(cls, encoded: list[Any]) -> "SourceFile":
        """The opposite of ``to_json``."""
        root, path, shown, n_bytes, mtime_ns, kind, compression, header = encoded
        return cls(
            root=root,
            path=path,
            shown=shown,
            n_bytes=n_bytes,
            mtime_ns=mtime_ns,
            format=FileFormat(kind),
            compression=Compression(compression),
            header=tuple(header),
        )


def find_files(source: ItemSource, rendered: Any) -> list[SourceFile]:
    """The files that a rendered source names: those of a pattern sorted by path, each file once.

    Args:
        rendered: a path, a URI, a pattern of them, or a list of such.

    Raises:
        UsageError: it names no file, or something that is no regular file, or a format that nobody knows.
    """
    names = rendered if isinstance(rendered, list) else [rendered]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError("with_items.source must give a path or a list of paths")
    found: dict[tuple[str, str], SourceFile] = {}
    for name in names:
        root, path = _rooted(name, source.base)
        with _looking(_without_secrets(name)):
            file_system = _file_system(root)
            entries = expand(file_system, path)
            without = _without_bucket(root, path) if not entries else ""
        files = [info for info in entries if info.type.name != "Directory"]
        if not files:
            raise UsageError(_nothing(name, entries, source) + without)
        for info in files:
            place = ("" if is_local(file_system) else root, place_of(file_system, info.path))
            found.setdefault(place, _described(info, root, source))
    return list(found.values())


def open_bytes(file: SourceFile) -> Any:
    """An Arrow input stream of its bytes, decompressed; of an uncompressed one, a file to read at any place.

    Raises:
        ActionError: something else is in its place by now, as a pipe, which would be waited for without end.
    """
    file_system = _file_system(file.root)
    if is_local(file_system):
        [info] = file_system.get_file_info([file.path])
        if info.type.name not in {"File", "NotFound"}:
            told = "is no regular file any more (but a folder, a device, a pipe or a socket); put it back and run again"
            raise ActionError(f"{file.shown}: it {told}")
    if file.compression is Compression.NONE:
        return file_system.open_input_file(file.path)
    return file_system.open_input_stream(file.path, compression=file.compression.value)


@contextlib.contextmanager
def reading(file: SourceFile) -> Iterator[None]:
    """Tell whatever goes wrong with a file as its own fault, with its name and this machine's.

    Raises:
        ActionError: it cannot be read, or is not what its format says.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy

    try:
        yield
    except FileNotFoundError as error:
        host = socket.gethostname()
        told = f"on {host} ({file.path}); every worker must see the same files" if file.path[0] == "/" else "any more"
        raise ActionError(f"{file.shown}: there is no such file {told}") from error
    except (OSError, pa.ArrowException, EOFError) as error:
        what = "cannot be read" if isinstance(error, OSError) else f"is not valid {file.format.value}"
        raise ActionError(f"{file.shown}: {what} on {socket.gethostname()}: {_first_line(error)}") from error


def require_unchanged(file: SourceFile) -> None:
    """To be called after a read of it, within ``reading``.

    Raises:
        ActionError: it is not the file whose items were counted.
    """
    [info] = _file_system(file.root).get_file_info([file.path])
    if info.type.name == "NotFound":
        raise FileNotFoundError(file.path)
    if (info.size, info.mtime_ns) != (file.n_bytes, file.mtime_ns):
        raise changed(file)


def changed(file: SourceFile) -> ActionError:
    """That a file is not the one whose items were counted."""
    return ActionError(f"{file.shown}: the file has changed since its items were counted; run the workflow again")


def _rooted(name: str, base: str) -> tuple[str, str]:
    """URI of the file system ("": this machine's), and the path or pattern in it."""
    uri = _URI.fullmatch(name)
    if uri is None:
        return "", name if name.startswith("/") else f"{base}/{name}"
    if uri["scheme"] in _BUCKETS and _is_cut(uri["host"]):
        raise UsageError(f"with_items: {_without_secrets(name)!r} cannot be looked at: {_NO_URI}")
    from pyarrow import fs  # noqa: PLC0415  heavy

    root = f"{uri['scheme']}{uri['host']}/{uri['options'] or ''}"
    with _looking(_without_secrets(name)):
        _, start = fs.FileSystem.from_uri(root)
    return root, f"{start.rstrip('/')}/{unquote(uri['path']).lstrip('/')}"


def _without_secrets(name: str) -> str:
    """A path or URI for people: a URI without its user, password and options."""
    uri = _URI.fullmatch(name)
    if uri is None:
        return name
    rest = name.removeprefix(uri["scheme"])
    if _is_cut(uri["host"]):
        rest = rest.rpartition("@")[2]
    rest = rest.partition("?")[0]
    host, slash, path = rest.partition("/")
    return f"{uri['scheme']}{host.rpartition('@')[2]}{slash}{path}"


def _is_cut(host: str) -> bool:
    """Whether a host may be the beginning of a user and password whose ``/`` or ``?`` is not encoded."""
    return ":" in host and "@" not in host


@functools.lru_cache(maxsize=16)
def _file_system(root: str) -> Any:
    from pyarrow import fs  # noqa: PLC0415  heavy

    return fs.FileSystem.from_uri(root)[0] if root else fs.LocalFileSystem()


@contextlib.contextmanager
def _looking(name: str) -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415  heavy

    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:  # a path that is no UTF-8, or holds a zero
        raise UsageError(f"with_items: {name!r} cannot be looked at: {_first_line(error)}") from error


def _described(info: Any, root: str, source: ItemSource) -> SourceFile:
    """A file by what the file system tells of it."""
    shown = info.path.removeprefix(f"{source.base}/") if not root else info.path
    if not info.path.startswith("/"):  # it begins with a bucket
        shown = f"{root.partition('://')[0]}://{info.path}"
    if info.type.name != "File":
        raise UsageError(f"with_items: {shown!r} is no regular file (a device, a pipe or a socket)")
    by_name, compression = kind_of_file(info.path)
    kind = FileFormat.NDJSON if source.format is FileFormat.JSONL else source.format or by_name
    if kind is None:
        known = ", ".join(kind.value for kind in FileFormat)
        raise UsageError(f"with_items: the name of {shown!r} tells no format; add `format:`, one of {known}")
    compression = source.compression or (Compression.NONE if kind in _INSIDE else compression)
    if kind in _INSIDE and compression is not Compression.NONE:
        raise UsageError(f"with_items: {shown!r}: {kind.value} files compress themselves; leave `compression` out")
    return SourceFile(
        root=root,
        path=info.path,
        shown=shown,
        n_bytes=info.size,
        mtime_ns=info.mtime_ns,
        format=kind,
        compression=compression,
    )


def _without_bucket(root: str, path: str) -> str:
    """That the bucket is missing in which a path begins, if it is and there are buckets."""
    bucket = path.partition("/")[0]
    if not bucket or is_pattern(bucket):
        return ""
    [info] = _file_system(root).get_file_info([bucket])
    return f": there is no bucket {bucket!r}" if info.type.name == "NotFound" else ""


def _nothing(name: str, entries: list[Any], source: ItemSource) -> str:
    shown = _without_secrets(name)
    if entries:
        return f"with_items: {shown!r} is a folder; name its files, as {shown.rstrip('/') + '/*.ndjson'!r}"
    where = "" if _URI.fullmatch(name) or name.startswith("/") else f" in {source.base}"
    return f"with_items: no file matches {shown!r}{where} on {socket.gethostname()}"


def _first_line(error: BaseException) -> str:
    """Of an error's text, without what a URI in it may hold: a user, a password, options."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if line.startswith("Cannot parse URI"):  # Arrow quotes a part of it, which may be a part of a password
        return _NO_URI
    return _SECRETS.sub("", line)
