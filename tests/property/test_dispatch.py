"""Items, rows and results keep what they are given, however they are cut."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attune_ray.dispatch.worker.encoding import decode, decode_all, encode
from attune_ray.dispatch.worker.items import EncodedItems, as_items
from attune_ray.dispatch.worker.results import Part, ResultList
from attune_ray.dispatch.worker.rows import FAILED, SUCCEEDED, BatchRows, Rows
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import UnstorableResultError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, width=32) | TEXTS
FINITE = LEAVES.filter(lambda value: value not in {float("inf"), float("-inf")})
JSON = st.recursive(FINITE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
ANYTHING = st.recursive(
    st.one_of(LEAVES, st.floats(), st.binary(max_size=3), st.complex_numbers(), st.text(max_size=2), st.integers()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(TEXTS, st.integers(), st.none()), inner, max_size=3),
        st.sets(st.integers(), max_size=2),
    ),
)


@given(JSON)
def test_what_is_encoded_is_decoded(value: Any) -> None:
    """Every JSON value, down to the last digit."""
    assert decode(encode(value)) == value


@given(ANYTHING)
def test_a_value_is_encoded_or_refused_with_its_type_and_path(value: Any) -> None:
    """Nothing but our own error comes out, and its text says where."""
    text = "result"
    try:
        decode(encode(value))
    except UnstorableResultError as error:
        text = str(error)
    assert text.startswith("result")


@given(st.lists(JSON, max_size=12), st.data())
def test_a_range_of_items_is_that_slice_of_the_list(values: list[Any], data: st.DataObject) -> None:
    """Here and shared; single indexes too."""
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    picked = tuple(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))) if values else ()
    encoded = EncodedItems.of(values)

    for items in (encoded, encoded.to_shared()):
        assert len(items) == len(values)
        assert list(items.take(range(start, stop))) == values[start:stop]
        assert list(items.take(picked)) == [values[index] for index in picked]
        assert list(items.take(range(stop - 1, start - 1, -1))) == values[start:stop][::-1]


@given(st.lists(JSON, max_size=10), st.integers(1, 11))
def test_batches_hold_every_item_once_in_order(values: list[Any], size: int) -> None:
    """All but the last are full."""
    batches = as_items(values, size)

    assert [value for batch in batches for value in batch] == values
    assert all(len(batch) == size for batch in batches[:-1])


def rows_of(indexes: range | tuple[int, ...], values: list[Any], *, attempt: int = 1) -> Rows:
    """Rows of items: an exception among the values is a failure."""
    return Rows(
        index=indexes,
        attempt=attempt,
        status=[FAILED if isinstance(value, Exception) else SUCCEEDED for value in values],
        data=[None if isinstance(value, Exception) else encode(value) for value in values],
        error=[str(value) if isinstance(value, Exception) else None for value in values],
        duration_us=[7] * len(values),
        item={row: encode([row]) for row, value in enumerate(values) if isinstance(value, Exception) and row % 2},
    )


ROWS = st.lists(JSON | st.builds(ValueError, TEXTS), max_size=8)


@given(ROWS)
def test_rows_say_the_same_as_a_record_batch(values: list[Any]) -> None:
    """By one, all together, and what failed."""
    rows = rows_of(range(5, 5 + len(values)), values)
    batch = BatchRows(rows.to_batch())

    for same in (batch, batch.detached()):
        assert decode_all(same.texts(0, len(values))) == decode_all(rows.data)
        assert [same.value(row) for row in range(len(values))] == decode_all(rows.data)
        assert same.failures() == rows.failures()


@given(ROWS, st.data())
def test_results_do_not_depend_on_the_chunks(values: list[Any], data: st.DataObject) -> None:
    """Any cutting, any order of ending, and any items tried again give the list that one chunk gives."""
    cuts = sorted({0, len(values), *data.draw(st.lists(st.integers(0, len(values)), max_size=4))})
    ranges = [range(start, stop) for start, stop in pairwise(cuts)]
    again = tuple(sorted(data.draw(st.sets(st.integers(0, len(values) - 1), max_size=4)))) if values else ()
    firsts = [ValueError("first") if index in again else value for index, value in enumerate(values)]
    parts = [
        Part(items, LocalRows(rows_of(items, firsts[items.start : items.stop])))
        for items in data.draw(st.permutations(ranges))
    ]
    if again:
        retried = rows_of(again, [values[index] for index in again], attempt=2)
        parts.append(Part(again, LocalRows(BatchRows(retried.to_batch()))))
    expected = [None if isinstance(value, Exception) else value for value in values]
    failed = [(index, str(value)) for index, value in enumerate(values) if isinstance(value, Exception)]

    by_one, at_once = ResultList(parts, len(values)), ResultList(parts, len(values))

    assert [by_one[index] for index in range(-len(values), len(values))] == expected + expected
    assert list(at_once) == expected
    assert at_once == expected
    assert at_once[1:-1] == expected[1:-1]
    assert [failure[:2] for failure in by_one.failures(1_000)] == failed
    assert [failure[:2] for failure in by_one.failures(1)] == failed[:1]
