"""Rows as they are kept: as JSON for the journal, as Arrow IPC in the store of results."""

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.dispatch.worker.attempt import Summary
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.kept_rows import found, is_inline, kept, kept_inline, source_of
from attune_ray.dispatch.worker.rows import FAILED, SUCCEEDED, AnyRows, Rows
from attune_ray.errors import ResultLostError
from attune_ray.store import MemoryResults
from attune_ray.values.keeping import Keeping

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SUMMARY = Summary(
    n_succeeded=2, n_failed=1, retryable=(4,), retry_after_s=1.5, elapsed_s=0.25, worker="w:1", secrets=("s3cret",)
)


def rows_of(values: list[Any], failed: set[int], *, as_range: bool = True) -> Rows:
    """Rows of items from 3 on; the value of a failed one is its item."""
    index = range(3, 3 + len(values))
    return Rows(
        index=index if as_range else tuple(index),
        attempt=2,
        status=[FAILED if row in failed else SUCCEEDED for row in range(len(values))],
        data=[None if row in failed else encode(value) for row, value in enumerate(values)],
        error=["no" if row in failed else None for row in range(len(values))],
        duration_us=list(range(len(values))),
        item={row: encode(values[row]) for row in failed},
    )


def plain_row(native: Any) -> Rows:
    """The row of a plain task that gave a table or an array."""
    data = encode({"data": None, "succeeded": True})
    return Rows(index=range(1), status=[SUCCEEDED], data=[data], error=[None], duration_us=[7], native=native)


def content_of(rows: AnyRows, n_rows: int) -> tuple[Any, ...]:
    """All that can be read of rows."""
    return [rows.value(row) for row in range(n_rows)], rows.texts(0, n_rows), rows.failures()


@given(st.lists(JSON, min_size=1, max_size=5), st.data())
def test_kept_rows_are_what_they_were(values: list[Any], data: st.DataObject) -> None:
    """In the journal and in a file; ranges and single items, failed ones too."""
    failed = data.draw(st.sets(st.integers(0, len(values) - 1)))
    rows = rows_of(values, failed, as_range=data.draw(st.booleans()))
    results = MemoryResults()
    in_file = kept(rows, SUMMARY, "run/task/one", Keeping(results=results, inline_bytes=0))

    for summary in (kept_inline(rows, SUMMARY), in_file):
        saved = orjson.loads(summary.saved or b"")
        opened = source_of(saved, results).open()
        assert content_of(opened, len(values)) == content_of(rows, len(values))
    assert list(results.kept) == ["run/task/one"]


@pytest.mark.parametrize(
    "native",
    [
        pa.table({"a": [1, None], "b": ["x", "ä"]}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.table({"a": [1]}).replace_schema_metadata({"own": "kept"}),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([True, False, True]),
        np.zeros((0, 4), dtype=np.int16),
    ],
    ids=["table", "no rows", "metadata", "matrix", "booleans", "empty"],
)
def test_tables_and_arrays_are_kept_as_they_are(native: Any) -> None:
    """Type, shape and metadata included."""
    results = MemoryResults()
    keeping = Keeping(results=results, inline_bytes=10**9)
    rows = plain_row(native)
    assert not is_inline(rows, keeping)
    summary = kept(rows, SUMMARY, "run/task/one", keeping)

    again = source_of(orjson.loads(summary.saved or b""), results).open()

    assert isinstance(again, Rows)
    assert again.data == rows.data
    if isinstance(native, pa.Table):
        assert again.native.equals(native, check_metadata=True)
    else:
        assert (again.native.dtype, again.native.shape) == (native.dtype, native.shape)
        assert np.array_equal(again.native, native)
        assert not again.native.flags.writeable


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"?", lambda _: b""])
def test_damaged_rows_are_refused(damage: Any) -> None:
    """By their size or their checksum."""
    results = MemoryResults()
    summary = kept(rows_of([1, 2, 3], {1}), SUMMARY, "run/task/one", Keeping(results=results, inline_bytes=0))
    results.kept["run/task/one"] = damage(results.kept["run/task/one"])

    with pytest.raises(ResultLostError, match="run/task/one are damaged"):
        source_of(orjson.loads(summary.saved or b""), results).open()


def test_what_a_chunk_kept_before_anybody_heard_of_it_is_found() -> None:
    """With its summary."""
    results = MemoryResults()
    summary = kept(rows_of([1, 2, 3], {1}), SUMMARY, "run/task/one", Keeping(results=results, inline_bytes=0))

    assert found("run/task/one", results) == summary
    assert found("run/task/two", results) is None


@pytest.mark.parametrize("content", [b"", b"no Arrow at all", b"\xff\xff\xff\xff\x10\0\0\0"])
def test_what_is_no_whole_content_is_not_found(content: bytes) -> None:
    """The chunk is run again then."""
    results = MemoryResults()
    results.kept["run/task/one"] = content

    assert found("run/task/one", results) is None


@pytest.mark.parametrize(("size", "inline"), [(100, True), (101, False)])
def test_small_rows_go_into_the_journal(size: int, inline: bool) -> None:  # noqa: FBT001  parametrized
    """Items of failed rows count as well."""
    rows = Rows(
        index=range(2),
        status=[SUCCEEDED, FAILED],
        data=[b"x" * 60, None],
        error=[None, "no"],
        item={1: b"y" * (size - 60)},
    )

    assert is_inline(rows, Keeping(results=MemoryResults(), inline_bytes=101)) == inline
