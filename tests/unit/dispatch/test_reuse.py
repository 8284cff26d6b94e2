"""Items whose results are known are not run: what a chunk does for a task with ``cache``."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from attune_ray.actions import action
from attune_ray.actions.python import from_function
from attune_ray.dispatch.worker.attempt import Summary
from attune_ray.dispatch.worker.chunk import Order, run_chunk, run_chunk_async
from attune_ray.dispatch.worker.encoding import decode_all
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.known import Known, Reuse
from attune_ray.dispatch.worker.program import Program, Work, open_work
from attune_ray.dispatch.worker.reuse import digest_of
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.errors import PermanentError
from attune_ray.expression import WorkflowContext

CALLS: Counter[int] = Counter()


def count(x: int) -> int:
    """Counts the calls; 7 is refused."""
    CALLS[x] += 1
    if x == 7:
        raise PermanentError("seven")
    return x * x


@action("reuse.sync")
def count_sync(x: int) -> int:
    """On the main thread."""
    return count(x)


@action("reuse.async")
async def count_async(x: int) -> int:
    """In the loop."""
    await asyncio.sleep(0)
    return count(x)


@action("reuse.blocking", blocking=True)
def count_blocking(x: int) -> int:
    """In threads."""
    return count(x)


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    CALLS.clear()


def work_of(function: Callable[..., Any], items: list[Any], known: Known | None = None, **changes: Any) -> Work:
    """A fan-out with a cache of a minute."""
    made = from_function(function)
    assert made is not None
    program = Program(
        task="t",
        action=made.ref,
        input={"x": "{{ item }}"},
        given=None,
        with_items="",
        batch_size=None,
        on_error=None,
        retries=0,
        timeout_s=None,
        grace_s=1.0,
        stops_on_error=False,
        now="",
        seed="",
        cache_ttl_s=60,
    )
    context = WorkflowContext(parameters={}, variables={}, tasks={}, system={}, now="", seed="")
    reuse = Reuse(known=known or Known({}, b""), ttl_s=60, most_bytes=1_000)
    return open_work(replace(program, **changes), made, EncodedItems.of(items), lambda _: context, reuse=reuse)


def known_to(work: Work, *indexes: int, made_s: float = 0) -> Known:
    """What a cache holds of some items of a task."""
    digests = [digest_of(work, scope) or b"" for _, scope in work.scopes(indexes)]
    return Known(dict.fromkeys(digests, (0, 12, made_s, made_s + 1000000000.0)), b'{"data":"k"}')


def run(work: Work, order: Order) -> tuple[Summary, Rows]:
    """By the way of the action's kind, without Ray."""
    return asyncio.run(run_chunk_async(work, order)) if work.action.ref != "reuse.sync" else run_chunk(work, order)


EACH_KIND = pytest.mark.parametrize("function", [count_sync, count_async, count_blocking])


@EACH_KIND
def test_known_items_are_recorded_and_the_others_run(function: Callable[..., Any]) -> None:
    """In their places; what is new is told of, without what failed."""
    known = known_to(work_of(function, [1, 2, 7, 3]), 1, 3)
    summary, rows = run(work_of(function, [1, 2, 7, 3], known), Order(indexes=range(4), now_s=5))

    assert decode_all(rows.data) == [1, "k", None, "k"]
    assert (summary.n_succeeded, summary.n_failed, summary.n_cached) == (3, 1, 2)
    assert (list(summary.fresh.values()), dict(CALLS)) == (
        [b'{"exit_code":0,"duration_ms":0,"succeeded":true,"data":1}'],
        {1: 1, 7: 1},
    )


@EACH_KIND
def test_results_that_are_too_old_are_not_used(function: Callable[..., Any]) -> None:
    """By the moment at which the chunk was sent."""
    known = known_to(work_of(function, [1]), 0, made_s=100)
    in_time, _ = run(work_of(function, [1], known), Order(indexes=range(1), now_s=159))
    too_late, _ = run(work_of(function, [1], known), Order(indexes=range(1), now_s=160))

    assert (in_time.n_cached, too_late.n_cached) == (1, 0)


def test_equal_items_of_one_process_run_once_one_after_the_other() -> None:
    """Also those of a later chunk, until the first result is too old."""
    work = work_of(count_sync, [4, 4, 4])
    found = [run(work, Order(indexes=indexes, now_s=now_s)) for indexes, now_s in ((range(2), 0), (range(2, 3), 59))]
    again, _ = run(work, Order(indexes=range(2, 3), now_s=60))

    assert [(summary.n_cached, len(summary.fresh)) for summary, _ in found] == [(1, 1), (1, 0)]
    assert [value for _, rows in found for value in decode_all(rows.data)] == [16, 16, 16]
    assert (again.n_cached, CALLS[4]) == (0, 2)


def test_a_chunk_that_stops_records_nothing_behind_the_item_that_stopped_it() -> None:
    """Its rows are the first ones, so that the rest can be told apart."""
    known = known_to(work_of(count_sync, [1, 7, 3, 4]), 0, 2)
    stopping = work_of(count_sync, [1, 7, 3, 4], known, stops_on_error=True)

    summary, rows = run(stopping, Order(indexes=range(4)))

    assert (summary.n_succeeded, summary.n_failed, len(rows.status), decode_all(rows.data)) == (1, 1, 2, ["k", None])


def test_what_is_kept_is_bounded() -> None:
    """A result for which there is no room is not told of; the items end all the same."""
    work = work_of(count_sync, [1, 2, 3])
    assert work.reuse is not None
    work.reuse.most_bytes = 120

    summary, rows = run(work, Order(indexes=range(3)))

    assert (decode_all(rows.data), len(summary.fresh)) == ([1, 4, 9], 2)


def test_a_digest_tells_actions_and_inputs_apart_and_never_holds_them() -> None:
    """Keys in any order are the same input; 1 and true, or a key and an input, are not."""

    def digest(items: list[Any], function: Callable[..., Any] = count_sync, **changes: Any) -> bytes | None:
        work = work_of(function, items, **changes)
        ((_, scope),) = work.scopes(range(1))
        return digest_of(work, scope)

    assert digest([{"a": 1, "b": 2}]) == digest([{"b": 2, "a": 1}])
    different = [digest([1]), digest([True]), digest(["1"]), digest([1], count_async)]
    different.append(digest([1], cache_key="{{ item }}"))
    assert len(set(different)) == 5
    assert {len(found or b"") for found in different} == {16}
    assert b"secret" not in (digest(["secret"]) or b"")


def test_an_input_that_is_no_json_is_run_each_time() -> None:
    """It has no digest."""
    work = work_of(count_sync, [1], input={"x": "{{ item }}"})
    ((_, scope),) = work.scopes(range(1))
    scope.item = b"bytes"

    assert digest_of(work, scope) is None
