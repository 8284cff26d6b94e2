"""The items of a fan-out as texts behind each other, encoded and decoded a block at a time."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from attune_ray.dispatch.worker import items, result_items
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.result_items import ResultItems
from attune_ray.dispatch.worker.results import Part
from attune_ray.dispatch.worker.rows import SUCCEEDED, Rows
from attune_ray.dispatch.worker.stored import LocalRows

VALUES = ["", "x" * 30, 1, {"a": [None]}, "y" * 7, [], "z" * 50, 2]


@pytest.mark.parametrize("n_bytes", [0, 1, 10, 33, 1_000])
@pytest.mark.parametrize("indexes", [range(8), range(2, 7), range(3, 3), (6,), (7, 0, 0), ()])
def test_blocks_of_any_size_give_the_same_items(
    monkeypatch: pytest.MonkeyPatch, n_bytes: int, indexes: Sequence[int]
) -> None:
    """However many fit into one, also where one item alone is larger."""
    monkeypatch.setattr(items, "_BLOCK_BYTES", n_bytes)
    encoded = EncodedItems.of(VALUES)
    expected = [VALUES[index] for index in indexes]

    assert list(encoded.take(indexes)) == expected
    assert list(encoded.to_shared().take(indexes)) == expected
    assert list(encoded.to_shared().take(indexes)) == expected
    assert bytes(encoded.data) == b'"",' + bytes(EncodedItems.of(VALUES[1:]).data)


def test_no_more_is_decoded_than_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk without time for the rest does not pay for it: what cannot be decoded is not looked at."""
    monkeypatch.setattr(items, "_BLOCK_BYTES", 8)
    texts = [b'"abc",', b'"def",', b"not JSON,"]
    encoded = EncodedItems(b"".join(texts), np.cumsum([0, *map(len, texts)]))

    taken = iter(encoded.take(range(3)))

    assert [next(taken), next(taken)] == ["abc", "def"]
    with pytest.raises(ValueError, match="invalid literal"):
        next(taken)


@pytest.mark.parametrize("n_rows", [1, 3, 100])
def test_results_as_items_are_decoded_some_at_a_time(monkeypatch: pytest.MonkeyPatch, n_rows: int) -> None:
    """Over the ends of the chunks that they come from."""
    monkeypatch.setattr(result_items, "_DECODED_ROWS", n_rows)
    parts = tuple(
        Part(
            range(start, stop),
            LocalRows(
                Rows(
                    index=range(start, stop),
                    status=[SUCCEEDED] * (stop - start),
                    data=[b"%d" % number for number in range(start, stop)],
                    error=[None] * (stop - start),
                    duration_us=[0] * (stop - start),
                )
            ),
        )
        for start, stop in pairwise([0, 4, 5, 11])
    )

    results = ResultItems(parts, 11)

    assert list(results.take(range(11))) == list(range(11))
    assert list(results.take(range(3, 9))) == list(range(3, 9))
    assert list(results.take((10, 0))) == [10, 0]
