"""Items in chunks: their order and width, further attempts, crashes, and when a fan-out stops."""

from dataclasses import replace

import pytest
from engine_driver import Driver

from attune_ray.engine import EvaluateTransitions, FailChunk, StartTimer, SubmitChunk
from attune_ray.engine.state import FanOut
from attune_ray.plan import Shape

ITEMS = "tasks: [{name: a, action: t.x, with_items: '{{ parameters.xs }}'%s}]"
SINGLES = Shape(lanes=2, width=2, first_items=1, max_items=1)


def fan_out(rules: str = "", *, n_items: int = 4, shape: Shape = SINGLES, max_crashes: int = 3) -> Driver:
    """A fan-out whose items run one by one on two lanes, unless told otherwise."""
    run = Driver(ITEMS % (f", {rules}" if rules else ""), max_crashes=max_crashes)
    run.prepare("a", n_items, shape)
    return run


def held(run: Driver) -> FanOut:
    """What the engine holds of the fan-out."""
    found = run.state.live[run.run_of("a")].fan_out
    assert found is not None
    return found


def outcome(run: Driver) -> str:
    """How the fan-out has ended."""
    return run.take(EvaluateTransitions, "a").outcome


def sent(run: Driver) -> list[tuple[int, ...]]:
    """The items of every chunk in the order of sending."""
    return [tuple(chunk.items) for chunk in run.submitted]


def test_items_are_sent_in_their_order_as_lanes_come_free() -> None:
    """Two lanes, so the third item follows the first one that ends."""
    run = fan_out()
    assert sent(run) == [(0,), (1,)]
    run.chunk_done("a")
    assert sent(run) == [(0,), (1,), (2,)]
    run.chunk_done("a")
    run.chunk_done("a")
    run.chunk_done("a")

    assert sent(run) == [(0,), (1,), (2,), (3,)]
    assert outcome(run) == "succeeded"


def test_a_fan_out_over_nothing_ends_at_once() -> None:
    """It has succeeded, and nothing was sent."""
    run = Driver(ITEMS % "")

    assert run.prepare("a", 0) == [EvaluateTransitions(run.run_of("a"), "succeeded", None)]
    run.end("a")
    assert run.status == "completed"


def test_widths_of_chunks_in_flight_never_sum_to_more_than_the_concurrency() -> None:
    """Wide lanes share it, and a chunk takes the width of the lane that it gets."""
    run = fan_out(n_items=100, shape=Shape(lanes=3, width=8, lane_width=256, first_items=10))
    widths = sorted(chunk.width for chunk in run.submitted)

    assert widths == [2, 3, 3]
    for _ in range(4):
        run.chunk_done("a")
    assert sum(chunk.width for chunk in held(run).in_flight.values()) <= 8


def test_more_lanes_than_concurrency_stay_unused() -> None:
    """A promise of two items at once is two chunks of width one."""
    run = fan_out(n_items=50, shape=Shape(lanes=16, width=2, first_items=5))

    assert [chunk.width for chunk in run.submitted] == [1, 1]


def test_only_the_failed_items_are_tried_again() -> None:
    """Together, in one chunk, as their next attempt."""
    run = fan_out("retry: {count: 1}", n_items=8, shape=Shape(lanes=1, first_items=8))
    run.chunk_done("a", failed=3, retryable=(1, 4, 6))

    assert sent(run)[1:] == [(1, 4, 6)]
    assert run.submitted[-1].attempt == 2
    run.chunk_done("a", failed=1, retryable=(4,))
    assert outcome(run) == "failed", "one attempt more, not two"


def test_items_that_may_not_be_tried_again_have_failed() -> None:
    """The shell says which may: a permanent error may not."""
    run = fan_out("retry: {count: 5}", n_items=2, shape=Shape(lanes=1, first_items=2))
    run.chunk_done("a", failed=2, retryable=(1,))
    run.chunk_done("a")

    assert (held(run).n_succeeded, held(run).n_failed) == (1, 1)
    assert outcome(run) == "failed"


def test_further_attempts_go_before_new_items() -> None:
    """What was begun is ended first."""
    run = fan_out("retry: {count: 1}", n_items=4, shape=Shape(lanes=1, width=1, first_items=1, max_items=1))
    run.chunk_done("a", failed=1, retryable=(0,))

    assert sent(run) == [(0,), (0,)]


@pytest.mark.parametrize(
    ("rule", "delays"),
    [
        ("{count: 4, delay: 2}", [2, 2, 2, 2]),
        ("{count: 4, delay: 2, backoff: linear}", [2, 4, 6, 8]),
        ("{count: 4, delay: 2, backoff: exponential}", [2, 4, 8, 16]),
        ("{count: 4, delay: 2, backoff: exponential, max_delay: 5}", [2, 4, 5, 5]),
    ],
)
def test_the_wait_before_an_attempt_follows_the_backoff(rule: str, delays: list[float]) -> None:
    """After the first failed attempt, the second one, and so on."""
    run = Driver(f"tasks: [{{name: a, action: t.x, retry: {rule}}}]")
    run.prepare("a")
    waited = []
    for _ in delays:
        run.chunk_done("a", failed=1, retryable=(0,))
        waited += [order.delay_s for order in run.open if isinstance(order, StartTimer)]
        run.fire("a")
    run.chunk_done("a", failed=1, retryable=(0,))

    assert waited == delays
    assert outcome(run) == "failed"


def test_an_action_may_name_the_wait_itself() -> None:
    """Its word goes above the rule; none at all means at once."""
    run = Driver("tasks: [{name: a, action: t.x, retry: {count: 2, delay: 60}}]")
    run.prepare("a")

    assert run.chunk_done("a", failed=1, retryable=(0,), retry_after_s=7.5) == [StartTimer(run.run_of("a"), 2, 7.5)]
    run.fire("a")
    assert [type(order) for order in run.chunk_done("a", failed=1, retryable=(0,), retry_after_s=0)] == [SubmitChunk]


def test_new_items_run_while_failed_ones_wait() -> None:
    """A waiting item holds no lane."""
    run = fan_out("retry: {count: 1, delay: 60}", n_items=3, shape=Shape(lanes=1, width=1, first_items=1, max_items=1))
    run.chunk_done("a", failed=1, retryable=(0,))
    run.chunk_done("a")
    run.chunk_done("a")
    assert sent(run) == [(0,), (1,), (2,)]
    run.fire("a")
    run.chunk_done("a")

    assert sent(run)[-1] == (0,)
    assert outcome(run) == "succeeded"


def test_what_a_chunk_had_no_time_for_is_sent_next() -> None:
    """As the same attempt, before items that nobody has had."""
    run = fan_out(n_items=20, shape=Shape(lanes=1, first_items=10))
    chunk = run.take_chunk("a")
    report = run.done(chunk)
    run.tell(replace(report, n_succeeded=4))

    assert run.submitted[-1].items[0] == 4
    assert run.submitted[-1].attempt == 1
    assert held(run).n_succeeded == 4


def test_a_chunk_that_is_due_again_is_cut_to_the_size_that_chunks_have_now() -> None:
    """The rest of it stays due, before new items; nothing is lost at the cut."""
    run = fan_out(n_items=40, shape=Shape(lanes=1, first_items=20, target_s=4))
    chunk = run.take_chunk("a")
    run.tell(replace(run.done(chunk), n_succeeded=4, elapsed_s=4.0))
    while not run.open or isinstance(run.open[0], SubmitChunk):
        order = run.take_chunk("a")
        run.tell(replace(run.done(order), elapsed_s=float(len(order.chunk.items))))

    assert sent(run)[:3] == [tuple(range(20)), (4, 5, 6, 7), (8, 9, 10, 11)]
    assert [index for items in sent(run)[1:] for index in items] == list(range(4, 40))
    assert outcome(run) == "succeeded"


def test_a_lost_chunk_is_halved_until_the_guilty_item_is_alone() -> None:
    """Alone it gets its tries, then it fails; everybody else succeeds."""
    run = fan_out(n_items=4, shape=Shape(lanes=1, first_items=4), max_crashes=2)
    guilty = 2
    failed = None
    while failed is None:
        items = tuple(run.items_of_next_chunk("a"))
        commands = run.lose("a") if guilty in items else run.chunk_done("a")
        failed = next((order for order in commands if isinstance(order, FailChunk)), None)

    assert sent(run).count((guilty,)) == 2, "max_crashes workers have died under it alone"
    assert (tuple(failed.chunk.items), failed.reason) == ((guilty,), "it died")
    run.tell(run.done(run.take(FailChunk, "a"), failed=1))
    while any(isinstance(order, SubmitChunk) for order in run.open):
        run.chunk_done("a")
    assert (held(run).n_succeeded, held(run).n_failed) == (3, 1)
    assert outcome(run) == "failed"


def test_what_had_ended_when_the_worker_died_does_not_run_again() -> None:
    """The item that was running is sent again alone, those that had not begun go on as they are."""
    run = fan_out(n_items=8, shape=Shape(lanes=1, first_items=8))
    run.lose("a", ended=(0, 1, 2), running=(3,))

    assert sent(run)[1:] == [(4, 5, 6, 7)]
    assert (held(run).n_succeeded, held(run).n_failed) == (3, 0)
    run.chunk_done("a")
    assert sent(run)[2:] == [(3,)]
    run.lose("a", running=(3,))
    commands = run.lose("a", running=(3,))
    assert [tuple(order.chunk.items) for order in commands if isinstance(order, FailChunk)] == [(3,)]


def test_of_items_that_ran_at_once_only_those_are_halved() -> None:
    """One of them has killed the worker."""
    run = fan_out(n_items=8, shape=Shape(lanes=1, first_items=8))
    run.lose("a", ended=(4, 0), running=(1, 2, 3, 5))
    run.chunk_done("a")
    run.chunk_done("a")

    assert sent(run)[1:] == [(6, 7), (1, 2), (3, 5)]


def test_a_worker_that_dies_before_any_item_dies_of_all_of_them() -> None:
    """Such a chunk is not cut: whatever kills it would kill its halves."""
    run = fan_out(n_items=4, shape=Shape(lanes=1, first_items=4), max_crashes=2)
    run.lose("a", running=())
    commands = run.lose("a", running=())

    assert sent(run) == [(0, 1, 2, 3)] * 2
    assert [tuple(order.chunk.items) for order in commands if isinstance(order, FailChunk)] == [(0, 1, 2, 3)]


def test_items_that_had_failed_when_the_worker_died_are_tried_again() -> None:
    """As their retry says; the crash is none of their attempts."""
    run = fan_out("retry: {count: 1}", n_items=4, shape=Shape(lanes=1, first_items=4))
    run.lose("a", ended=(0, 1), retryable=(1,), running=(2,))
    while any(isinstance(order, SubmitChunk) for order in run.open):
        run.chunk_done("a")

    assert [(tuple(chunk.items), chunk.attempt) for chunk in run.submitted[1:]] == [((3,), 1), ((1,), 2), ((2,), 1)]
    assert (held(run).n_succeeded, outcome(run)) == (4, "succeeded")


def test_after_a_stop_what_had_ended_counts_and_the_rest_is_left_out() -> None:
    """Also where a worker was killed because the run is cancelled."""
    run = fan_out("on_item_error: stop", n_items=6, shape=Shape(lanes=2, first_items=3))
    run.chunk_done("a", failed=1)
    run.lose("a", ended=(3, 4), running=(5,))

    assert (held(run).n_succeeded, held(run).n_failed, held(run).n_left_out) == (4, 1, 1)


def test_a_crash_spends_no_attempt_of_the_author() -> None:
    """Items that are tried again keep their number of the attempt through a crash, alone or in a chunk."""
    run = fan_out("retry: {count: 1}", n_items=6, shape=Shape(lanes=1, first_items=6))
    run.chunk_done("a", failed=3, retryable=(0, 3, 5))
    run.lose("a")

    assert [(tuple(chunk.items), chunk.attempt) for chunk in run.submitted[1:]] == [((0, 3, 5), 2), ((0,), 2)]
    run.chunk_done("a")
    assert (tuple(run.submitted[-1].items), run.submitted[-1].attempt) == ((3, 5), 2)
    run.lose("a")
    run.lose("a")
    assert {chunk.attempt for chunk in run.submitted[1:]} == {2}


def test_a_plain_task_whose_worker_dies_again_and_again_fails() -> None:
    """It is a fan-out of one item."""
    run = Driver("tasks: [{name: a, action: t.x, retry: {count: 9}}]", max_crashes=3)
    run.prepare("a")
    run.lose("a")
    run.lose("a")
    run.lose("a")
    run.tell(run.done(run.take(FailChunk, "a"), failed=1))

    assert len(run.submitted) == 3
    assert outcome(run) == "failed"


def test_the_lane_of_a_crashed_item_is_free_again() -> None:
    """A crash costs no lane."""
    run = fan_out(n_items=6, max_crashes=1)
    run.lose("a")
    run.tell(run.done(run.take(FailChunk, "a"), failed=1))
    assert len(held(run).in_flight) == 2
    for _ in range(5):
        run.chunk_done("a")

    assert outcome(run) == "failed"


def test_every_item_runs_though_some_fail() -> None:
    """Unless told otherwise."""
    run = fan_out(n_items=3)
    for _ in range(3):
        run.chunk_done("a", failed=1)

    assert held(run).n_failed == 3
    assert outcome(run) == "failed"


def test_stop_hands_out_nothing_more_and_lets_end_what_runs() -> None:
    """The items that nobody had are left out."""
    run = fan_out("on_item_error: stop", n_items=10)
    run.chunk_done("a", failed=1)
    assert sent(run) == [(0,), (1,)]
    run.chunk_done("a")

    assert (held(run).n_succeeded, held(run).n_failed, held(run).n_left_out) == (1, 1, 8)
    assert outcome(run) == "failed"


def test_what_a_worker_did_not_start_after_the_failure_is_left_out() -> None:
    """It cuts its chunk there, and the rest is not sent to another one."""
    run = fan_out("on_item_error: stop", n_items=10, shape=Shape(lanes=1, first_items=8))
    run.tell(replace(run.done(run.take_chunk("a")), n_succeeded=2, n_failed=1))

    assert (held(run).n_succeeded, held(run).n_failed, held(run).n_left_out) == (2, 1, 7)
    assert len(run.submitted) == 1
    assert outcome(run) == "failed"


def test_stop_waits_for_the_last_attempt_of_an_item() -> None:
    """A failure that is tried again stops nothing."""
    run = fan_out("on_item_error: stop, retry: {count: 1}", n_items=3)
    run.chunk_done("a", failed=1, retryable=(0,))
    assert sent(run) == [(0,), (1,), (0,)]
    run.chunk_done("a")
    run.chunk_done("a", failed=1, retryable=(0,))

    assert held(run).stopped
    assert (held(run).n_failed, held(run).n_left_out) == (1, 0), "item 2 was sent as 1 ended"


def test_stop_leaves_out_items_that_wait_for_another_attempt() -> None:
    """Their timers may ring then; nothing is sent."""
    run = fan_out("on_item_error: stop, retry: {count: 1, delay: 9}", n_items=4)
    run.chunk_done("a", failed=1, retryable=(0,))
    run.chunk_done("a", failed=1)
    assert held(run).n_left_out == 2
    assert run.fire("a") == []
    run.chunk_done("a")

    assert outcome(run) == "failed"
    assert sent(run) == [(0,), (1,), (2,)]


def test_what_fails_in_a_chunk_after_the_stop_is_not_tried_again() -> None:
    """All its failures are final."""
    run = fan_out("on_item_error: stop, retry: {count: 3}", n_items=4, shape=Shape(lanes=2, first_items=2))
    run.chunk_done("a", failed=1)
    run.chunk_done("a", failed=2, retryable=(2, 3))

    assert (held(run).n_succeeded, held(run).n_failed) == (1, 3)
    assert outcome(run) == "failed"


def test_a_chunk_that_is_lost_after_the_stop_is_left_out() -> None:
    """It is not sent again."""
    run = fan_out("on_item_error: stop", n_items=2)
    run.chunk_done("a", failed=1)
    run.lose("a")

    assert (held(run).n_failed, held(run).n_left_out) == (1, 1)
    assert outcome(run) == "failed"


def test_stop_with_a_tolerance_goes_on_until_it_is_used_up() -> None:
    """And a chunk that its worker cut at the first failure is taken up again where it ended."""
    run = fan_out("on_item_error: stop, tolerate: 1", n_items=6, shape=Shape(lanes=1, first_items=4))
    chunk = run.take_chunk("a")
    report = run.done(chunk)
    run.tell(replace(report, n_succeeded=1, n_failed=1))

    assert not held(run).stopped
    assert run.submitted[-1].items[0] == 2
    run.chunk_done("a", failed=1)
    assert held(run).stopped
    assert outcome(run) == "failed"


@pytest.mark.parametrize(
    ("rule", "n_items", "n_tolerated"),
    [("0", 10, 0), ("3", 10, 3), ("25%", 10, 2), ("10%", 30, 3), ("29%", 100, 29), ("57%", 100, 57), ("100%", 7, 7)],
)
def test_tolerated_failures_leave_the_task_succeeded(rule: str, n_items: int, n_tolerated: int) -> None:
    """As a number, or as a share of the items, rounded down."""
    for n_failed in {n_tolerated, min(n_tolerated + 1, n_items)}:
        run = fan_out(f"tolerate: {rule}", n_items=n_items, shape=Shape(lanes=1, first_items=n_items))
        run.chunk_done("a", failed=n_failed)

        assert outcome(run) == ("succeeded" if n_failed <= n_tolerated else "failed")
