"""Each item in one chunk, sizes and widths within their bounds, waits that never shrink."""

from hypothesis import given
from hypothesis import strategies as st

from attune_ray.engine.retry import delay_s
from attune_ray.model import Backoff, Retry
from attune_ray.plan import Items, Shape
from attune_ray.plan.chunks import next_size, split, widths

SHAPES = st.builds(
    Shape,
    lanes=st.integers(1, 64),
    slots=st.none() | st.integers(1, 64),
    width=st.none() | st.integers(1, 300),
    lane_width=st.integers(1, 256),
    target_s=st.floats(0.001, 10),
    first_items=st.integers(1, 10_000),
    max_items=st.integers(1, 20_000),
)
DURATIONS = st.none() | st.floats(0, 100)


def cut(shape: Shape, n_items: int, item_s: list[float | None]) -> list[range]:
    """All items in chunks, while the duration of an item is measured anew for each."""
    found: list[range] = []
    start, largest, lane_widths = 0, 0, widths(shape)
    while start < n_items:
        place = len(found)
        size = next_size(
            shape,
            n_items=n_items,
            remaining=n_items - start,
            width=lane_widths[place % len(lane_widths)],
            last_items=largest,
            item_s=item_s[place % len(item_s)],
        )
        found.append(range(start, start + size))
        start, largest = start + size, max(largest, size)
    return found


@given(shape=SHAPES, n_items=st.integers(0, 500), item_s=st.lists(DURATIONS, min_size=1, max_size=8))
def test_any_cut_covers_each_item_exactly_once(shape: Shape, n_items: int, item_s: list[float | None]) -> None:
    """Whatever durations are measured on the way."""
    found = cut(shape, n_items, item_s)

    assert [index for chunk in found for index in chunk] == list(range(n_items))


@given(
    shape=SHAPES,
    remaining=st.integers(1, 100_000),
    handed_out=st.integers(0, 100_000),
    width=st.integers(1, 256),
    last_items=st.integers(0, 20_000),
    item_s=DURATIONS,
)
def test_a_chunk_has_an_item_and_keeps_to_its_bound(
    shape: Shape, remaining: int, handed_out: int, width: int, last_items: int, item_s: float | None
) -> None:
    """A lane is filled, though, if there are enough items."""
    size = next_size(
        shape,
        n_items=remaining + handed_out,
        remaining=remaining,
        width=width,
        last_items=last_items,
        item_s=item_s,
    )

    assert 1 <= size <= remaining
    assert size >= min(width, remaining)
    assert size <= max(width, shape.max_items if item_s is not None else shape.first_items)


@given(remaining=st.integers(1, 10_000), item_s=st.floats(min_value=0, max_value=1e-300))
def test_a_duration_that_is_next_to_nothing_is_no_fault(remaining: int, item_s: float) -> None:
    """Clocks are coarse."""
    size = next_size(Shape(lanes=2), n_items=remaining, remaining=remaining, width=1, last_items=10, item_s=item_s)

    assert 1 <= size <= remaining


@given(shape=SHAPES)
def test_widths_never_sum_to_more_than_the_concurrency(shape: Shape) -> None:
    """And every lane has one at least."""
    found = widths(shape)

    assert 1 <= len(found) <= shape.lanes
    assert all(1 <= width <= shape.lane_width for width in found)
    if shape.width is not None:
        assert sum(found) <= shape.width


@given(lanes=st.integers(1, 64), width=st.integers(1, 300))
def test_lanes_that_are_wide_enough_use_all_of_the_concurrency(lanes: int, width: int) -> None:
    """Not one item less at once than was asked for."""
    assert sum(widths(Shape(lanes=lanes, width=width, lane_width=300))) == width


@given(items=st.integers(2, 1_000).map(range) | st.lists(st.integers(), min_size=2, max_size=50).map(tuple))
def test_halves_are_all_of_it_in_order(items: Items) -> None:
    """And neither is empty, so that halving ends."""
    left, right = split(items)

    assert [*left, *right] == [*items]
    assert min(len(left), len(right)) >= 1


@given(
    backoff=st.sampled_from(Backoff),
    base_s=st.floats(0, 1e6),
    bound_s=st.none() | st.floats(0, 1e6),
    attempt=st.integers(1, 100),
)
def test_a_wait_is_never_above_its_bound_and_never_shrinks(
    backoff: Backoff, base_s: float, bound_s: float | None, attempt: int
) -> None:
    """For every number of the attempt that a rule may allow."""
    retry = Retry(count=100, delay_s=base_s, backoff=backoff, max_delay_s=bound_s)
    wait_s = delay_s(retry, attempt)

    assert 0 <= wait_s <= (float("inf") if bound_s is None else bound_s)
    assert attempt == 1 or wait_s >= delay_s(retry, attempt - 1)
    if bound_s is None:
        assert wait_s >= base_s
