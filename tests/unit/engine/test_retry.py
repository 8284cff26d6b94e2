"""The wait before another attempt."""

import pytest

from attune_ray.engine.retry import delay_s
from attune_ray.model import Backoff, Retry


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [(Backoff.CONSTANT, [3, 3, 3]), (Backoff.LINEAR, [3, 6, 9]), (Backoff.EXPONENTIAL, [3, 6, 12])],
)
def test_the_wait_grows_as_the_backoff_says(backoff: Backoff, waits: list[float]) -> None:
    """After the first, second and third failed attempt."""
    assert [delay_s(Retry(count=3, delay_s=3, backoff=backoff), attempt) for attempt in (1, 2, 3)] == waits


@pytest.mark.parametrize("backoff", Backoff)
def test_without_a_delay_there_is_no_wait(backoff: Backoff) -> None:
    """It is the default."""
    assert [delay_s(Retry(count=100, backoff=backoff), attempt) for attempt in (1, 100)] == [0, 0]
