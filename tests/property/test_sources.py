"""Files as items: any content, cut anywhere, gives the items that reading the file whole gives."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather

from attune_ray.dispatch.worker import source_lines
from attune_ray.dispatch.worker.source_lines import Unreadable
from attune_ray.dispatch.worker.sources import FileItems, open_source
from attune_ray.values.item_source import ItemSource

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")
LINES = st.text(CHARACTERS | st.sampled_from(' \t,"é€🎈\u2028\x0b\x85\x00'), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | LINES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LINES, inner, max_size=3),
)
CELLS = st.text(st.sampled_from('ab,"é€ \n') | CHARACTERS, max_size=5)
COMPRESSIONS = st.sampled_from(["", ".gz", ".zst", ".bz2", ".lz4"])
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Writes a new file, compressed as its name says, and gives its path."""

    def write(content: bytes, ending: str) -> str:
        folder = tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())  # no cache may know the path from before
        path = f"{folder}/items{ending}"
        with pa.output_stream(path, compression=CODECS.get(Path(path).suffix)) as stream:
            stream.write(content)
        return path

    return write


@contextmanager
def segments_of(n_bytes: int) -> Iterator[None]:
    """Cut files into ranges of that size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_lines, "_SEGMENT_BYTES", n_bytes)
        yield


def opened(path: str, batch_size: int | None = None, **options: Any) -> FileItems:
    """The items of one file."""
    return open_source(ItemSource(source=path, base="/nowhere", **options), path, batch_size)


def assert_any_cut_gives(path: str, expected: list[Any], data: st.DataObject) -> None:
    """Ranges behind each other, single items in any order, batches: all of them say the same."""
    with segments_of(data.draw(st.integers(1, 40))):
        items = opened(path)
        batches = opened(path, size := data.draw(st.integers(1, 4)))
    assert len(items) == len(expected)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(expected)), max_size=4)) | {0, len(expected)})
    for same in (items, items.to_shared()):
        taken = [list(same.take(range(start, stop))) for start, stop in pairwise(cuts)]
        assert [item for part in taken for item in part] == expected
    if expected:
        picked = tuple(data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=5)))
        assert list(items.take(picked)) == [expected[index] for index in picked]
    assert list(batches.take(range(len(batches)))) == [expected[at : at + size] for at in range(0, len(expected), size)]


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(st.lists(st.tuples(LINES, ENDS), max_size=8), LINES, COMPRESSIONS, st.data())
def test_lines_of_text(
    write: Callable[..., str],
    lines: list[tuple[str, str]],
    last: str,
    compression: str,
    data: st.DataObject,
) -> None:
    """Whatever characters they hold, with either end, the last with or without one."""
    content = "".join(f"{line}{end}" for line, end in lines) + last
    path = write(content.encode(), f".log{compression}")

    assert_any_cut_gives(path, [line for line, _ in lines] + ([last] if last else []), data)


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(
    st.lists(st.tuples(JSON | st.just(...), ENDS), max_size=8),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    COMPRESSIONS,
    st.data(),
)
def test_values_of_ndjson(
    write: Callable[..., str],
    lines: list[tuple[Any, str]],
    mark: bytes,
    compression: str,
    data: st.DataObject,
) -> None:
    """Blank lines count for nothing, and a mark of the byte order neither."""
    texts = [(" \t" if value is ... else json.dumps(value, ensure_ascii=False), end) for value, end in lines]
    content = "".join(f"{text}{end}" for text, end in texts).encode()
    path = write(mark + content, f".ndjson{compression}")

    assert_any_cut_gives(path, [value for value, _ in lines if value is not ...], data)


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ENDS,
    COMPRESSIONS,
    st.data(),
)
def test_rows_of_csv(
    write: Callable[..., str],
    rows: list[list[str]],
    quoting: Any,
    end: str,
    compression: str,
    data: st.DataObject,
) -> None:
    """Quoted values may hold commas, quotes and ends of lines, also where a range ends."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([["x", "y, z"], *rows])
    path = write(text.getvalue().encode(), f".csv{compression}")

    assert_any_cut_gives(path, [{"x": x, "y, z": y} for x, y in rows], data)


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(st.binary(max_size=60), st.sampled_from([".ndjson", ".csv", ".log"]), st.integers(1, 20))
def test_bytes_of_any_kind_give_the_same_items_however_they_are_cut(
    write: Callable[..., str],
    content: bytes,
    ending: str,
    n_bytes: int,
) -> None:
    """What cannot be decoded is unreadable by itself, with its line; where the segments end does not matter."""
    content = b"a,b\n" + content if ending == ".csv" else content
    at_once = opened(write(content, ending))
    with segments_of(n_bytes):
        one_by_one = opened(write(content, ending))

    def told(item: Any) -> Any:
        return str(item.error).rpartition("items.")[2] if isinstance(item, Unreadable) else item

    everything = [told(item) for item in at_once.take(range(len(at_once)))]
    assert len(one_by_one) == len(at_once)
    assert [told(item) for item in one_by_one.take(range(len(one_by_one)))] == everything
    assert [told(item) for index in range(len(one_by_one)) for item in one_by_one.take((index,))] == everything


ROWS = st.lists(
    st.fixed_dictionaries({"n": st.none() | st.integers(-5, 5), "s": LINES, "l": st.lists(LINES)}), max_size=9
)


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(ROWS, st.integers(1, 4), st.sampled_from([".parquet", ".arrow", ".arrows", ".feather"]), st.data())
def test_rows_of_tables(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], n_group: int, ending: str, data: st.DataObject
) -> None:
    """Row groups, record batches of the file format and of the stream format."""
    schema = pa.schema({"n": pa.int64(), "s": pa.string(), "l": pa.list_(pa.string())})
    table = pa.Table.from_pylist(rows, schema)
    path = str(Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())) / f"items{ending}")
    if ending == ".parquet":
        pq.write_table(table, path, row_group_size=n_group)
    elif ending == ".feather":
        feather.write_feather(table, path, chunksize=n_group)
    else:
        new = pa.ipc.new_file if ending == ".arrow" else pa.ipc.new_stream
        with new(path, schema) as writer:
            writer.write_table(table, max_chunksize=n_group)

    assert_any_cut_gives(path, rows, data)


@settings(deadline=None)  # files are written, on a machine that may be busy
@given(st.lists(JSON, max_size=9), COMPRESSIONS, st.data())
def test_elements_of_a_json_list(
    write: Callable[..., str], values: list[Any], compression: str, data: st.DataObject
) -> None:
    """The file is one value."""
    path = write(json.dumps(values, indent=1).encode(), f".json{compression}")

    assert_any_cut_gives(path, values, data)
