"""``rate_limit``: what starts at once, what waits for the next tick, and what counts as a start."""

from engine_driver import Driver

from attune_ray.engine import ChunkDone, StartTimer, SubmitChunk, TimerFired
from attune_ray.plan import Shape

TEXT = "tasks: [{{name: f, action: a.b, with_items: [x], rate_limit: {rate}{more}}}]"


def fan_out(rate: str, n_items: int, more: str = "", **shape: int) -> Driver:
    """A prepared fan-out."""
    driver = Driver(TEXT.format(rate=rate, more=more))
    driver.prepare("f", n_items, Shape(**{"lanes": 2, **shape}))
    return driver


def sizes(driver: Driver) -> list[int]:
    """Items of the open chunks."""
    return [len(order.chunk.items) for order in driver.open if isinstance(order, SubmitChunk)]


def timers(driver: Driver) -> list[float]:
    """Delays of the open timers."""
    return [order.delay_s for order in driver.open if isinstance(order, StartTimer)]


def test_half_a_second_s_worth_starts_at_once_shared_by_the_lanes() -> None:
    """Then a tick is waited for, whatever ends before it."""
    driver = fan_out("50/s", 1_000)
    assert (sizes(driver), timers(driver)) == ([13, 12], [0.5])

    driver.chunk_done("f")
    driver.chunk_done("f")
    assert (sizes(driver), timers(driver)) == ([], [0.5])

    driver.fire("f")
    assert (sizes(driver), timers(driver)) == ([13, 12], [0.5])


def test_slow_rates_start_one_item_a_tick() -> None:
    """Per minute and per hour."""
    for rate, tick_s in (("30/m", 2), ("1/h", 3_600), ("3/s", 1 / 3)):
        driver = fan_out(rate, 5)
        assert (sizes(driver), timers(driver)) == ([1], [tick_s])


def test_starts_that_were_not_used_are_lost_with_their_tick() -> None:
    """No burst follows a pause."""
    driver = fan_out("4/s", 9, lanes=1, first_items=1, max_items=1)
    assert sizes(driver) == [1]
    driver.fire("f")  # nothing can be sent: the lane is busy, and the timer rests
    assert timers(driver) == []

    for _ in range(3):
        driver.chunk_done("f")
    assert (sizes(driver), timers(driver)) == ([], [0.5])


def test_items_that_are_handed_back_in_their_tick_may_start_in_it() -> None:
    """They have not started; those that come back later have lost their tick."""
    driver = fan_out("20/s", 30, lanes=1)
    first = driver.take_chunk("f")
    driver.tell(ChunkDone(first.run, first.chunk.id, n_succeeded=4))
    assert sizes(driver) == [6]

    second = driver.take_chunk("f")
    driver.fire("f")
    driver.tell(ChunkDone(second.run, second.chunk.id, n_succeeded=1))
    assert sizes(driver) == [5]
    driver.chunk_done("f")
    assert sizes(driver) == [5]
    driver.chunk_done("f")
    assert sizes(driver) == []


def test_attempts_and_what_a_dead_worker_had_count_as_starts() -> None:
    """They wait for the next tick."""
    driver = fan_out("4/s", 2, ", retry: {count: 1}", lanes=1)
    driver.chunk_done("f", failed=1, retryable=(1,))
    assert sizes(driver) == []
    driver.fire("f")
    assert driver.items_of_next_chunk("f") == (1,)
    driver.lose("f")
    assert sizes(driver) == [1], "one of two starts of this tick is left"


def test_a_tick_that_comes_late_or_twice_changes_nothing() -> None:
    """After the end as before the next timer."""
    driver = fan_out("2/s", 2, lanes=1)
    run = driver.take_chunk("f")
    driver.fire("f")
    assert driver.tell(TimerFired(run.run, 0)) == []
    driver.tell(ChunkDone(run.run, run.chunk.id, n_succeeded=1))
    driver.chunk_done("f")
    driver.end("f")
    assert driver.status == "completed"
    assert driver.fire("f") == []


def test_a_run_that_is_cancelled_waits_for_no_tick() -> None:
    """What runs ends, what was to start is left out."""
    driver = fan_out("1/h", 5)
    driver.cancel()
    driver.chunk_done("f")
    assert driver.status == "cancelled"
