"""Files whose items are lines, or records of lines: counted and cut in one pass, then read by ranges of bytes."""

import csv
import functools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson

from attune_ray.dispatch.worker.source_files import SourceFile, changed, open_bytes, reading, require_unchanged
from attune_ray.errors import ActionError, PermanentError, UsageError
from attune_ray.values.item_source import Compression, FileFormat
from attune_ray.values.words import did_you_mean

__all__ = [
    "LINE_FORMATS",
    "Segment",
    "Unreadable",
    "index_lines",
    "read_header",
    "require_columns",
    "require_distinct",
    "rows_of_lines",
]

LINE_FORMATS = frozenset({FileFormat.NDJSON, FileFormat.TEXT, FileFormat.CSV})
_SEGMENT_BYTES = 4 * 1024 * 1024
"""Of one range: a chunk of 20,000 lines of 100 bytes reads one or two, and 1 TB has 250,000, 10 MB of index."""
_MAX_RECORD_BYTES = 256 * 1024 * 1024
"""A line, or a csv record: longer ones mean that the file is something else, and would not fit into an action."""
_STREAMS = 2
"""Compressed files that a process keeps open where it stopped reading."""
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How a file begins that is not UTF-8, as Excel's "Unicode text" is."""
_LONE_CR = "new-line character seen in unquoted field"
_QUOTED = rb'"(?:[^"]++|"")*+"[^,\n]*+'
_FIELD = rb"(?:" + _QUOTED + rb'|[^",\n][^,\n]*+|)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+\n")
"""A csv record (RFC 4180): a field that begins with a quote ends with one, and may hold commas and ends of lines."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for an item that could not be read."""

    error: ActionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a file that is read at once.

    Attributes:
        start, stop: bytes of the decompressed file; of formats with columns, start is the number of the part.
        n_items: rows or lines in it.
        first_line: 1-based number of its first line, or of its first row.
    """

    start: int
    stop: int
    n_items: int
    first_line: int


def index_lines(file: SourceFile, start: int = 0, first_line: int = 1) -> Iterator[Segment]:
    """Cut a file into segments of whole records, and count them: one pass, in memory of a segment.

    Args:
        start, first_line: where the items begin; after the header of a csv file.

    Raises:
        ActionError: it cannot be read.
    """
    with reading(file), open_bytes(file) as stream:
        carry, position, is_first = _skipped(stream, start), start, start == 0
        while True:
            block = stream.read(max(_SEGMENT_BYTES, len(carry), len(_BOM)))
            data = carry + block
            if is_first and data.startswith(_BOM):
                data, position = data[len(_BOM) :], len(_BOM)
            is_first = False
            records, used = _records(file.format, data, at_end=not block)
            if records:
                yield Segment(start=position, stop=position + used, n_items=len(records), first_line=first_line)
            first_line += data.count(b"\n", 0, used)
            position, carry = position + used, data[used:]
            if not block:
                require_unchanged(file)
                return
            if len(carry) > _MAX_RECORD_BYTES:
                raise ActionError(
                    f"{file.shown}:{first_line}: a line or quoted value is longer than {_MAX_RECORD_BYTES >> 20} MiB"
                )


def read_header(file: SourceFile, columns: tuple[str, ...]) -> tuple[SourceFile, int, int]:
    """A csv file with the names of its columns, where its rows begin, and the number of their first line.

    Raises:
        ActionError: it cannot be read, or its header is no row of names, or names a column twice.
        UsageError: it has not all of the columns that are asked for.
    """
    with reading(file), open_bytes(file) as stream:
        data = b""
        records: list[bytes] = []
        while not records:
            block = stream.read(max(1024, len(data)))
            data += block
            n_mark = len(_BOM) if data.startswith(_BOM) else 0
            records, _ = _records(file.format, data[n_mark:], at_end=not block)
            if not block or len(data) > _MAX_RECORD_BYTES:
                break
    if not records:
        return file, 0, 1
    begin = data.index(records[0])
    end = data.find(b"\n", begin + len(records[0]))
    start = len(data) if end < 0 else end + 1
    header = _header(file, records[0], 1 + data.count(b"\n", 0, begin))
    require_distinct(file, header)
    require_columns(file, header, columns)
    return replace(file, header=tuple(header)), start, 1 + data.count(b"\n", 0, start)


def _header(file: SourceFile, record: bytes, line: int) -> list[str]:
    try:
        if b'"' not in record and b"\r" in record.removesuffix(b"\r"):
            raise csv.Error(_LONE_CR)  # noqa: TRY301  as the csv module does where there are quotes
        return _fields(record)
    except (ValueError, csv.Error) as error:
        raise ActionError(f"{file.shown}:{line}: {_header_reason(record, error)}") from None


def _header_reason(record: bytes, error: Exception) -> str:
    """What is wrong with the first row of a csv file, which decides about all of them, and what to do."""
    if record.startswith(_UTF_16):
        return "the file is UTF-16; save it as UTF-8"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of the header is not valid UTF-8; save the file as UTF-8"
    if str(error).startswith(_LONE_CR):
        return r"lines end with \r alone, so all is one row; save the file with \n or \r\n at the ends of lines"
    if "end of data" in str(error):
        return "a quote in the header is never closed; a name that holds a quote is quoted, the quote in it doubled"
    return f"the header is not valid csv: {error}; a name that holds a quote is quoted, the quote in it doubled"


def require_distinct(file: SourceFile, header: list[str]) -> None:
    """Raise ActionError where two columns of a file have one name: a row would have but one of them."""
    if len(set(header)) < len(header):
        double = next(name for name in header if header.count(name) > 1)
        raise ActionError(f"{file.shown}: the header names the column {double!r} twice")


def require_columns(file: SourceFile, header: list[str], columns: tuple[str, ...]) -> None:
    """Raise UsageError unless a file has all of the columns that are asked for."""
    for name in columns:
        if name not in header:
            hint = did_you_mean(name, header) or f"it has {', '.join(header[:20])}"
            raise UsageError(f"with_items: {file.shown} has no column {name!r} ({hint})")


def rows_of_lines(file: SourceFile, columns: tuple[str, ...], segment: Segment, start: int, stop: int) -> Iterator[Any]:
    """The decoded items ``start`` to ``stop`` of a segment; one that cannot be decoded is Unreadable.

    Raises:
        ActionError: the file cannot be read, or has changed.
    """
    part = _read(file, segment)
    decode = _decoder(file, columns)
    for number in range(start, stop):
        try:
            yield decode(part.records[number])
        except (ValueError, csv.Error) as error:
            line = segment.first_line + part.lines_before[number]
            yield Unreadable(PermanentError(f"{file.shown}:{line}: {_reason(error, file.format)}"))


@dataclass(frozen=True)
class _Part:
    """A segment in memory."""

    data: bytes
    records: list[bytes]

    @cached_property
    def lines_before(self) -> list[int]:
        """How many lines stand before each record."""
        found, position, line = [], 0, 0
        for record in self.records:
            start = self.data.index(record, position)
            line += self.data.count(b"\n", position, start)
            found.append(line)
            position = start + len(record)
            line += record.count(b"\n")
        return found


@functools.lru_cache(maxsize=2)  # the one last read, and that of another fan-out
def _read(file: SourceFile, segment: Segment) -> _Part:
    with reading(file):
        data = _bytes_of(file, segment.start, segment.stop)
        require_unchanged(file)
    records, _ = _records(file.format, data, at_end=True)
    if len(records) != segment.n_items:
        raise changed(file)
    return _Part(data, records)


def _bytes_of(file: SourceFile, start: int, stop: int) -> bytes:
    if file.compression is Compression.NONE:
        with open_bytes(file) as opened:
            found: bytes = opened.read_at(stop - start, start)
            return found
    return _decompressed(file, start, stop)


def _decompressed(file: SourceFile, start: int, stop: int) -> bytes:
    """A range of a compressed file: from where the last one ended, else from the beginning."""
    streams = _streams()
    stream, position = streams.pop(file, (None, 0))
    if stream is None or position > start:
        stream, position = open_bytes(file), 0
    _skip(stream, start - position)
    found: bytes = _exactly(stream, stop - start)
    streams[file] = (stream, stop)
    if len(streams) > _STREAMS:
        streams.popitem(last=False)
    return found


@functools.cache
def _streams() -> "OrderedDict[SourceFile, tuple[Any, int]]":
    return OrderedDict()


def _skipped(stream: Any, n_bytes: int) -> bytes:
    _skip(stream, n_bytes)
    return b""


def _skip(stream: Any, n_bytes: int) -> None:
    while n_bytes > 0:
        n_bytes -= len(_exactly(stream, min(n_bytes, _SEGMENT_BYTES)))


def _exactly(stream: Any, n_bytes: int) -> bytes:
    """So many bytes.

    Raises:
        EOFError: there are fewer.
    """
    blocks, missing = [], n_bytes
    while missing:
        block = stream.read(missing)
        if not block:
            raise EOFError("it ends too early")
        blocks.append(block)
        missing -= len(block)
    return b"".join(blocks)


def _records(kind: FileFormat, data: bytes, *, at_end: bool) -> tuple[list[bytes], int]:
    """The whole records at the beginning of some bytes, without their ends, and how many bytes they take.

    Args:
        at_end: nothing follows: what is left after the last end of a line is a record too.
    """
    if kind is FileFormat.CSV and b'"' in data:
        return _quoted_records(data, at_end=at_end)
    used = len(data) if at_end else data.rfind(b"\n") + 1
    lines = data[:used].split(b"\n")
    if not lines[-1]:
        lines.pop()
    if kind is FileFormat.NDJSON:
        lines = [line for line in lines if line and not line.isspace()]
    elif kind is FileFormat.CSV:
        lines = [line for line in lines if line not in {b"", b"\r"}]
    return lines, used


def _quoted_records(data: bytes, *, at_end: bool) -> tuple[list[bytes], int]:
    records, used = [], 0
    while (found := _RECORD.match(data, used)) is not None:
        records.append(data[used : found.end() - 1])
        used = found.end()
    if at_end and used < len(data):
        records.append(data[used:])
        used = len(data)
    return [record for record in records if record not in {b"", b"\r"}], used


def _decoder(file: SourceFile, columns: tuple[str, ...]) -> Callable[[bytes], Any]:
    """What makes an item of a record; raises ValueError or csv.Error."""
    if file.format is FileFormat.NDJSON:
        return orjson.loads
    if file.format is FileFormat.TEXT:
        return _text
    header, wanted = file.header, frozenset(columns or file.header)

    def row(record: bytes) -> dict[str, str]:
        fields = _fields(record)
        if len(fields) != len(header):
            raise ValueError(f"the row has {len(fields)} field(s), the header {len(header)}")
        return {name: field for name, field in zip(header, fields, strict=True) if name in wanted}

    return row


def _text(record: bytes) -> str:
    return record.removesuffix(b"\r").decode()


def _fields(record: bytes) -> list[str]:
    """The fields of a csv record."""
    text = _text(record)
    if '"' not in text:
        return text.split(",")
    before = csv.field_size_limit(_MAX_RECORD_BYTES)  # 128 KiB by default, for the whole process
    try:
        return next(csv.reader([text], strict=True))
    finally:
        csv.field_size_limit(before)


def _reason(error: Exception, kind: FileFormat) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of the line is not valid UTF-8"
    if isinstance(error, orjson.JSONDecodeError):
        return f"the line is not valid JSON: {error.msg} at character {error.pos + 1}"
    return f"the row is not valid {kind.value}: {error}" if isinstance(error, csv.Error) else str(error)
