"""Tables and arrays as lists, and as what parameters ask for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.dispatch.worker.native import Columns, NativeList, as_batch, as_native, copied
from attune_ray.dispatch.worker.source_lines import Unreadable
from attune_ray.dispatch.worker.table_items import TableItems
from attune_ray.errors import ActionError, PermanentError, UnstorableResultError

TABLE = pa.table({"n": [1, None, 3], "s": ["a", "b", "c"]})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (np.arange(3), [0, 1, 2]),
        (np.array([[1.5, float("nan")], [3, float("inf")]]), [[1.5, None], [3, None]]),
        (np.array([True, False]), [True, False]),
        (np.array([1.5], np.float16), [1.5]),
        (TABLE["n"], [1, None, 3]),
        (pa.chunked_array([[1.0], [float("nan")]]), [1.0, None]),
        (TABLE, [{"n": 1, "s": "a"}, {"n": None, "s": "b"}, {"n": 3, "s": "c"}]),
    ],
)
def test_it_is_the_list_of_its_elements(source: Any, expected: list[Any]) -> None:
    """By one, by slices, together, from the end; equal to the list, and as JSON."""
    native = NativeList(source)

    assert [native[index] for index in range(-len(expected), len(expected))] == expected + expected
    assert native == expected
    assert list(native) == expected
    assert native[1:] == expected[1:]
    assert decode(encode({"x": native})) == {"x": expected}
    with pytest.raises(IndexError, match="out of range"):
        native[len(expected)]


def test_a_table_is_an_object_of_columns() -> None:
    """Also where it is a part of something."""
    assert decode(encode(Columns(TABLE))) == {"n": [1, None, 3], "s": ["a", "b", "c"]}
    assert decode(encode([TABLE, TABLE["s"], pa.record_batch({"x": [1]})])) == [
        {"n": [1, None, 3], "s": ["a", "b", "c"]},
        ["a", "b", "c"],
        {"x": [1]},
    ]
    assert decode(encode(pd.DataFrame({"x": [1, 2]}))) == {"x": [1, 2]}
    assert decode(encode(pd.Series([1, 2]))) == [1, 2]


@pytest.mark.parametrize(
    "value",
    [
        1,
        [1],
        {"a": 1},
        np.int64(1),
        np.array(["a"]),
        np.array(1.5),
        np.array([1 + 2j]),
        np.array([1], np.longdouble),
        np.array([1], ">i4"),
        np.ma.array([1, 2], mask=[0, 1]),
    ],
)
def test_other_values_are_stored_as_json(value: Any) -> None:
    """Or refused there."""
    assert as_native(value) is None


def test_what_is_stored_as_it_is_cannot_be_changed() -> None:
    """An array is read-only for whoever takes it; a copy is not the same memory."""
    array = np.arange(4)[::2]
    stored = as_native(array)

    assert stored.tolist() == [0, 2]
    assert not stored.flags.writeable
    assert array.flags.writeable
    assert not np.shares_memory(copied(stored), stored)
    assert copied(TABLE) == TABLE
    assert as_native(pd.DataFrame({"x": [1]})) == pa.table({"x": [1]})


def test_a_slice_does_not_take_along_what_it_was_cut_from() -> None:
    """Arrow would store the buffers of the whole."""
    whole = pa.table({"n": np.arange(100_000)})

    assert as_native(whole) is whole
    assert as_native(whole.slice(5, 10)) == whole.slice(5, 10)
    assert as_native(whole.slice(5, 10)).get_total_buffer_size() < 1_000


def test_a_table_needs_names() -> None:
    """Of its own for each column; also where it is stored as JSON."""
    twice = pa.table([[1], [2]], names=["a", "a"])
    told = "two columns of the table have the same name"

    with pytest.raises(UnstorableResultError, match=f"^result: {told}$"):
        as_native(twice)
    for value in (twice, twice.to_batches()[0], twice.to_pandas()):
        with pytest.raises(UnstorableResultError, match=f"^result: {told}$"):
            encode(value)
        with pytest.raises(UnstorableResultError, match=rf"^result\.x\[0\]: {told}$"):
            encode({"x": [value]})


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([b"\xff"]), "binary, which has no JSON form"),
        (pa.array([{"a": [b"x"]}]), "struct<a: list<item: binary>>, which has no JSON form"),
        (
            pa.array([2**60], pa.timestamp("s")),
            "timestamp[s], and a value of it has no JSON form: Python int too large",
        ),
        (
            pa.array([1], pa.timestamp("s", "No/Where")),
            "timestamp[s, tz=No/Where], and a value of it has no JSON form: ",
        ),
        (
            pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")),
            "string, and a value of it has no JSON form: 'utf-8' codec can't decode byte 0xff",
        ),
    ],
)
def test_a_column_without_a_json_form_is_told_wherever_it_is_read(column: pa.Array, told: str) -> None:
    """By expressions as a column, as rows, and as a part of something that is stored."""
    table = pa.table({"b": column})

    with pytest.raises(ActionError) as refused:
        list(Columns(table)["b"])
    with pytest.raises(ActionError) as refused_rows:
        NativeList(table)[0]
    with pytest.raises(UnstorableResultError) as unstorable:
        encode({"x": [NativeList(table)]})

    assert str(refused.value).startswith(f"the column 'b' is of type {told}")
    assert str(refused_rows.value) == str(refused.value)
    assert str(unstorable.value) == f"result.x[0]: {refused.value}"


@pytest.mark.parametrize("indexes", [range(2_100), (0, 1_500, 2_099), range(1_499, 1_502)])
def test_items_of_a_table_are_unreadable_one_by_one(indexes: Sequence[int]) -> None:
    """Whichever others are read with them."""
    rows = [b"x" if number == 1_500 else None for number in range(2_100)]
    items = TableItems(pa.table({"n": range(2_100), "b": rows}))

    found = dict(zip(indexes, items.take(indexes), strict=True))

    assert isinstance(found.pop(1_500), Unreadable)
    assert found == {number: {"n": number, "b": None} for number in indexes if number != 1_500}


def test_a_batch_has_the_columns_of_all_its_rows() -> None:
    """Null where a row has none; rows of a table are not copied."""
    sliced = as_batch(NativeList(TABLE.slice(1, 2)))

    assert as_batch([{"a": 1}, {"b": "x"}]).to_pydict() == {"a": [1, None], "b": [None, "x"]}
    assert as_batch([{}, {}]).num_rows == 2
    assert as_batch(NativeList(TABLE.select([]))).num_rows == 3
    assert as_batch([]).num_rows == 0
    assert as_batch(["x", 1.5][:1]).to_pydict() == {"item": ["x"]}
    assert sliced.to_pydict() == {"n": [None, 3], "s": ["b", "c"]}
    assert sliced.column("n").buffers()[1].address == TABLE["n"].chunk(0).buffers()[1].address
    assert as_batch(NativeList(TABLE.slice(0, 0))).schema == TABLE.schema


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, "x"], "number in row 1 and string in row 2"),
        (["x", None, 1], "string in row 1 and number in row 3"),
        ([None, True, 1], "boolean in row 2 and number in row 3"),
        ([0.5, True], "number in row 1 and boolean in row 2"),
        ([{"b": 1}, [1]], "object in row 1 and array in row 2"),
        ([[1], ["x"]], "Could not convert 'x' with type str: tried to convert to int64"),
        ([-1, 2**63], "the number in row 2 is above 2**63 - 1, where Arrow's integers end; make it a text"),
        ([2**64 - 1, 1], "the number in row 1 is above 2**63 - 1, where Arrow's integers end; make it a text"),
        ([0.5, None, 2**63], "the number in row 3 is above 2**63 - 1, where Arrow's integers end; make it a text"),
        ([[1], [{"b": [2**63]}]], "the number in row 2 is above 2**63 - 1, where Arrow's integers end; make it a text"),
    ],
)
def test_values_of_different_types_are_no_column(values: list[Any], told: str) -> None:
    """Which rows differ is told; Arrow's own words where that is not enough."""
    with pytest.raises(PermanentError) as refused:
        as_batch([{"a": value} for value in values])

    assert str(refused.value) == f"the values of 'a' in the batch do not make a column: {told}"


def test_a_column_that_no_batch_can_hold_is_refused() -> None:
    """Its texts have 32-bit offsets; two of 1.1 GB, of which no page is touched, are too much."""
    n_bytes = 1_100_000_000
    offsets, zeros = pa.py_buffer(np.array([0, n_bytes], np.int32)), pa.py_buffer(np.zeros(n_bytes, np.uint8))
    texts = pa.StringArray.from_buffers(1, offsets, zeros)
    lists = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), texts)

    with pytest.raises(PermanentError, match="the rows of the batch do not fit into one record batch: offset overflow"):
        as_batch(NativeList(pa.table({"s": pa.chunked_array([lists, lists])})))
