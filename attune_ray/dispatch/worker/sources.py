"""Items that stay in files: an index of ranges, and the rows of a range read where they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.native import NativeList
from attune_ray.dispatch.worker.source_files import SourceFile, find_files
from attune_ray.dispatch.worker.source_lines import (
    LINE_FORMATS,
    Segment,
    Unreadable,
    index_lines,
    read_header,
    rows_of_lines,
)
from attune_ray.dispatch.worker.source_tables import (
    elements_of_json,
    index_json,
    index_table,
    joined,
    rows_of_table,
    table_of,
)
from attune_ray.errors import ActionError, UsageError
from attune_ray.values.item_source import FileFormat, ItemSource

__all__ = ["FileItems", "open_source"]

_FILE, _START, _STOP, _FIRST_LINE = range(4)
"""Columns of ``FileItems.segments``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileItems:
    """The rows of files, or batches of them, by index; as small as the files have ranges, whatever they hold.

    Attributes:
        files: encoded, so that a process that gets this value decodes but those that it reads.
        segments: (n, 4) int64: number of the file, start, stop, first line; as of ``Segment``.
        firsts: n + 1 ascending int64: index of the first row of each segment, and the number of rows.
        batch_size: rows of an item; None: an item is a row.
    """

    files: EncodedItems
    segments: Any
    firsts: Any
    columns: tuple[str, ...] = ()
    batch_size: int | None = None

    def __len__(self) -> int:
        n_rows = int(self.firsts[-1])
        return n_rows if self.batch_size is None else -(-n_rows // self.batch_size)

    def to_shared(self) -> "FileItems":
        """The same with buffers that other processes map instead of copying."""
        return replace(self, files=self.files.to_shared())

    def take(self, indexes: Sequence[int]) -> Iterator[Any]:
        """The items of a range, or of single indexes, each read when it is asked for.

        An item that cannot be read is an ``Unreadable``, and so is a batch that holds one.
        """
        if self.batch_size is not None:
            for index in indexes:
                rows = list(self._rows(index * self.batch_size, (index + 1) * self.batch_size))
                yield next((row for row in rows if isinstance(row, Unreadable)), rows)
        elif isinstance(indexes, range) and indexes.step == 1:
            yield from self._rows(indexes.start, indexes.stop)
        else:
            for index in indexes:
                yield from self._rows(index, index + 1)

    def take_tables(self, indexes: Sequence[int]) -> Iterator[Any]:
        """The batches of a range, or of single indexes: rows of tables as slices of them, others as lists."""
        size = self.batch_size or 1
        for index in indexes:
            try:
                pieces = self._pieces(index * size, (index + 1) * size)
                parts = [self._table(number, start, stop) for number, start, stop in pieces]
                if all(table is not None for _, table in parts):
                    yield NativeList(joined(parts))
                else:
                    yield next(self.take((index,)))
            except ActionError as error:
                yield Unreadable(error)

    def place_of(self, index: int) -> str:
        """Where the rows of an item are, for people: ``a.ndjson, rows 3 to 4``, of each file that has some."""
        size = self.batch_size or 1
        found: dict[int, tuple[int, int]] = {}
        for number, start, stop in self._pieces(index * size, (index + 1) * size):
            file = int(self.segments[number][_FILE])
            before = int(self.firsts[number] - self.firsts[self.segments[:, _FILE].searchsorted(file)])
            found[file] = (found.get(file, (before + start + 1, 0))[0], before + stop)
        [*encoded] = self.files.take(tuple(found))
        rows = (f"row {first}" if first == last else f"rows {first} to {last}" for first, last in found.values())
        return "; ".join(
            f"{SourceFile.from_json(file).shown}, {told}" for file, told in zip(encoded, rows, strict=True)
        )

    def _table(self, number: int, start: int, stop: int) -> tuple[SourceFile, Any]:
        """Rows of one segment as a table of its file; None where they are none."""
        file, segment = self._segment(number)
        if file.format in LINE_FORMATS or file.format is FileFormat.JSON:
            return file, None
        return file, table_of(file, self.columns, segment).slice(start, stop - start)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Number of a segment, and the first and last row within it, for each that a range of rows is in."""
        import numpy as np  # noqa: PLC0415  only where items are in files

        stop = min(stop, int(self.firsts[-1]))
        while start < stop:
            number = int(np.searchsorted(self.firsts, start, side="right")) - 1
            first, end = int(self.firsts[number]), min(stop, int(self.firsts[number + 1]))
            yield number, start - first, end - first
            start = end

    def _rows(self, start: int, stop: int) -> Iterator[Any]:
        for number, first, end in self._pieces(start, stop):
            n_read = 0
            try:
                for row in self._rows_of(number, first, end):
                    yield row
                    n_read += 1
            except ActionError as error:
                for _ in range(end - first - n_read):
                    yield Unreadable(error)

    def _rows_of(self, number: int, start: int, stop: int) -> Iterator[Any]:
        """Rows of one segment."""
        file, segment = self._segment(number)
        if file.format in LINE_FORMATS:
            return rows_of_lines(file, self.columns, segment, start, stop)
        if file.format is FileFormat.JSON:
            return elements_of_json(file, start, stop)
        return rows_of_table(file, self.columns, segment, start, stop)

    def _segment(self, number: int) -> tuple[SourceFile, Segment]:
        told = self.segments[number]
        [encoded] = self.files.take((int(told[_FILE]),))
        n_items = int(self.firsts[number + 1] - self.firsts[number])
        segment = Segment(
            start=int(told[_START]), stop=int(told[_STOP]), n_items=n_items, first_line=int(told[_FIRST_LINE])
        )
        return SourceFile.from_json(encoded), segment


def open_source(source: ItemSource, rendered: Any, batch_size: int | None) -> FileItems:
    """Find the files of a source, and count their items: one pass over those that do not tell it themselves.

    Args:
        rendered: what the template gave: a path, a URI, a pattern of them, or a list of such.

    Raises:
        UsageError: it names no file, or one that cannot be a source.
        ActionError: a file cannot be read, or is not what its format says.
    """
    import numpy as np  # noqa: PLC0415  only where items are in files

    files: list[SourceFile] = []
    segments: list[tuple[int, int, int, int]] = []
    firsts = [0]
    for found in find_files(source, rendered):
        file, cut = _index(found, source.columns)
        for segment in cut:
            segments.append((len(files), segment.start, segment.stop, segment.first_line))
            firsts.append(firsts[-1] + segment.n_items)
        files.append(file)
    return FileItems(
        files=EncodedItems.of(file.to_json() for file in files),
        segments=np.asarray(segments, dtype=np.int64).reshape(len(segments), 4),
        firsts=np.asarray(firsts, dtype=np.int64),
        columns=source.columns,
        batch_size=batch_size,
    )


def _index(file: SourceFile, columns: tuple[str, ...]) -> tuple[SourceFile, Iterator[Segment]]:
    """A file as it is to be read, and its segments."""
    if file.n_bytes == 0:  # nothing is read either: where the kernel makes up a file, reading it may wait forever
        return file, iter(())
    if file.format is FileFormat.CSV:
        file, start, first_line = read_header(file, columns)
        return file, index_lines(file, start, first_line)
    if columns and file.format in LINE_FORMATS | {FileFormat.JSON}:
        raise UsageError(f"with_items: {file.shown}: {file.format.value} has no columns to choose; leave `columns` out")
    if file.format in LINE_FORMATS:
        return file, index_lines(file)
    return file, index_json(file) if file.format is FileFormat.JSON else index_table(file, columns)
