"""Arithmetic of chunks: how large the first ones are, how later ones follow what was measured."""

import doctest
from dataclasses import replace
from types import ModuleType

import pytest

from attune_ray.engine import retry
from attune_ray.plan import Shape, chunks
from attune_ray.plan.chunks import next_size, widths


@pytest.mark.parametrize("module", [chunks, retry])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    """They are what a reader believes first."""
    results = doctest.testmod(module)

    assert results.attempted > 0
    assert results.failed == 0


def test_without_concurrency_every_lane_is_as_wide_as_it_can_be() -> None:
    """The executor decides."""
    assert widths(Shape(lanes=3, lane_width=7)) == (7, 7, 7)


@pytest.mark.parametrize(("n_items", "size"), [(1, 1), (10, 3), (1_000, 250), (1_000_000, 8_192)])
def test_the_first_chunks_share_the_items_among_the_slots(n_items: int, size: int) -> None:
    """Up to a bound: what a worker has no time for it hands back."""
    shape = Shape(lanes=12, slots=4)

    assert next_size(shape, n_items=n_items, remaining=n_items, width=1, last_items=0, item_s=None) == size


def test_chunks_hold_the_time_they_should_and_shrink_towards_the_end() -> None:
    """So that no lane waits long for the last one."""
    shape = Shape(lanes=4, target_s=0.1)
    sizes = [
        next_size(shape, n_items=10_000, remaining=remaining, width=1, last_items=100, item_s=0.001)
        for remaining in (5_000, 400, 200, 40, 8)
    ]

    assert sizes == [100, 100, 50, 10, 6]


def test_a_first_measurement_is_not_trusted_blindly() -> None:
    """A chunk grows to sixteen times the one that was measured at most."""
    size = next_size(
        replace(Shape(lanes=2), target_s=1.0), n_items=100_000, remaining=90_000, width=1, last_items=10, item_s=1e-6
    )

    assert size == 160
