"""Record batches that outlive where they were."""

import pyarrow as pa
import pytest

from attune_ray.dispatch.worker.shelf import shelved


@pytest.mark.parametrize("n_bytes", [0, 10, 3_000_000, 20_000_000])
def test_batches_are_the_same_in_the_heap_and_in_a_file(n_bytes: int) -> None:
    """Of any number and size; none is none."""
    batches = [pa.record_batch({"data": pa.array([b"x" * n_bytes, None, b"%d" % number])}) for number in range(12)]

    assert shelved(iter(batches)) == batches
    assert shelved([]) == []
