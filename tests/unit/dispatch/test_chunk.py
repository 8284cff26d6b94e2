"""Running the items of a chunk, in the way that the action asks for."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from attune_ray.actions import Execution, action
from attune_ray.actions.python import from_function
from attune_ray.dispatch.worker.attempt import Summary
from attune_ray.dispatch.worker.chunk import Order, run_chunk, run_chunk_async
from attune_ray.dispatch.worker.encoding import decode_all
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.program import Program, Work, open_work
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.errors import PermanentError
from attune_ray.expression import WorkflowContext

CONTEXT = WorkflowContext(parameters={}, variables={}, tasks={}, system={}, now="", seed="")


def work_of(function: Callable[..., Any], items: list[Any], **changes: Any) -> Work:
    """A fan-out of a decorated function over items."""
    made = from_function(function)
    assert made is not None
    told: dict[str, Any] = {
        "task": "t",
        "action": made.ref,
        "input": {"x": "{{ item }}"},
        "given": None,
        "with_items": "",
        "batch_size": None,
        "on_error": None,
        "retries": 0,
        "timeout_s": None,
        "grace_s": 1.0,
        "stops_on_error": False,
        "now": "",
        "seed": "",
        **changes,
    }
    return open_work(Program(**told), made, EncodedItems.of(items), lambda _: CONTEXT)


def run(work: Work, order: Order) -> tuple[Summary, Rows]:
    """In a thread of its own, as in a worker: there is no event loop in it."""
    found: list[tuple[Summary, Rows]] = []
    thread = threading.Thread(target=lambda: found.append(run_chunk(work, order)))
    thread.start()
    thread.join()
    return found[0]


@action("unit.sync")
def refuse_two(x: int) -> int:
    """One is refused."""
    if x == 2:
        raise PermanentError("two")
    return x


@action("unit.async")
async def refuse_two_async(x: int) -> int:
    """One is refused."""
    return refuse_two(x)


@action("unit.blocking", blocking=True)
def refuse_two_blocking(x: int) -> int:
    """One is refused."""
    return refuse_two(x)


EACH_KIND = pytest.mark.parametrize("function", [refuse_two, refuse_two_async, refuse_two_blocking])


@EACH_KIND
@pytest.mark.parametrize("indexes", [range(1, 4), (3, 1)])
def test_the_items_that_are_ordered_run(function: Callable[..., Any], indexes: range | tuple[int, ...]) -> None:
    """A range, or single ones; rows are in their order."""
    summary, rows = run(work_of(function, [0, 1, 2, 3, 4]), Order(indexes=indexes, width=2, attempt=3))

    expected = [None if index == 2 else index for index in indexes]
    assert (decode_all(rows.data), list(rows.index), rows.attempt) == (expected, list(indexes), 3)
    assert (summary.n_succeeded, summary.n_failed) == (len(indexes) - expected.count(None), expected.count(None))
    assert summary.elapsed_s > 0
    assert ":" in summary.worker


@EACH_KIND
def test_after_its_time_a_chunk_starts_nothing_more(function: Callable[..., Any]) -> None:
    """But the first item always."""
    _, rows = run(work_of(function, [0, 1, 3]), Order(indexes=range(3), budget_s=0))

    assert decode_all(rows.data) == [0]


@EACH_KIND
def test_a_chunk_ends_at_an_item_that_failed_where_it_is_to_stop(function: Callable[..., Any]) -> None:
    """Items after it have no row."""
    summary, rows = run(work_of(function, [0, 2, 3, 4], stops_on_error=True), Order(indexes=range(4)))

    assert (decode_all(rows.data), summary.n_succeeded, summary.n_failed) == ([0, None], 1, 1)


@pytest.mark.parametrize("width", [1, 2, 5, 9])
async def test_never_more_async_items_run_at_once_than_the_width(width: int) -> None:
    """And as many as it allows."""
    inside, most = 0, 0

    @action("unit.visit")
    async def visit(x: int) -> int:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(x % 3 + 1):
            await asyncio.sleep(0)
        inside -= 1
        return x

    _, rows = await run_chunk_async(work_of(visit, list(range(9))), Order(indexes=range(9), width=width))

    assert (decode_all(rows.data), most) == (list(range(9)), width)


async def test_a_cancelled_chunk_cancels_its_items() -> None:
    """Those that run see it, and no other starts."""
    begun, seen = asyncio.Event(), []

    @action("unit.wait")
    async def wait(x: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(x)
            raise

    chunk = asyncio.create_task(run_chunk_async(work_of(wait, [0, 1, 2]), Order(indexes=range(3), width=2)))
    await begun.wait()
    chunk.cancel()

    with pytest.raises(asyncio.CancelledError):
        await chunk
    assert set(seen) <= {0, 1}


@pytest.mark.parametrize("width", [1, 3])
async def test_an_item_that_cancels_itself_is_its_own_failure(width: int) -> None:
    """The lane goes on with the next one."""

    @action("unit.cancel")
    async def cancel(x: int) -> int:
        lane = asyncio.current_task()
        if x == 1 and lane is not None:
            lane.cancel()
        await asyncio.sleep(0)
        return x

    _, rows = await run_chunk_async(work_of(cancel, [0, 1, 2, 3]), Order(indexes=range(4), width=width))

    assert (decode_all(rows.data), rows.failures()) == ([0, None, 2, 3], [(1, "CancelledError: ", b"1")])


def test_the_user_s_interrupt_is_nobody_s_result() -> None:
    """In the coordinator's own process it goes on to the top."""

    @action("unit.interrupt")
    async def interrupt(x: int) -> int:
        raise KeyboardInterrupt(x)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run_chunk_async(work_of(interrupt, [0]), Order(indexes=range(1))))


def test_a_plain_task_is_one_item_without_a_name() -> None:
    """``item`` is unknown in it."""
    work = work_of(refuse_two, [], with_items=None, input={"x": 5})
    _, rows = run(work, Order(indexes=range(1)))
    assert rows.value(0)["data"] == 5

    work = work_of(refuse_two, [], with_items=None)
    summary, rows = run(work, Order(indexes=range(1)))
    assert summary.n_failed == 1
    assert "item" in rows.value(0)["error"]


def test_an_async_item_that_overruns_fails_alone() -> None:
    """The others of its loop go on."""

    @action("unit.hang")
    async def hang(x: int) -> int:
        if x == 1:
            await asyncio.Event().wait()
        return x

    _, rows = run(work_of(hang, [0, 1, 2], timeout_s=0.02), Order(indexes=range(3), width=1))

    assert decode_all(rows.data) == [0, None, 2]
    assert rows.failures() == [(1, "Execution timed out after 0.02 seconds", b"1")]


@action("unit.told")
def told(x: int, execution: Execution) -> list[Any]:
    """What it is told of its attempt."""
    return [x, execution.id, list(execution.permission_set_refs)]


@action("unit.told_async")
async def told_async(x: int, execution: Execution) -> list[Any]:
    """After others had their turn."""
    await asyncio.sleep(0)
    return told(x, execution)


@action("unit.told_blocking", blocking=True)
def told_blocking(x: int, execution: Execution) -> list[Any]:
    """In a thread."""
    return told(x, execution)


@pytest.mark.parametrize("function", [told, told_async, told_blocking])
def test_an_action_that_asks_is_told_of_its_own_attempt(function: Callable[..., Any]) -> None:
    """Each item of its own, whatever runs beside it."""
    work = work_of(function, [10, 11, 12], seed="run/t", permission_set_refs=("p.read",))
    _, rows = run(work, Order(indexes=range(1, 3), attempt=2, width=2))

    assert decode_all(rows.data) == [[11, "run/t/1/2", ["p.read"]], [12, "run/t/2/2", ["p.read"]]]
