"""Running a chunk, in the way that its action asks for."""

import asyncio
import contextlib
import functools
import math
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from attune_ray.actions.execution import CURRENT, Execution
from attune_ray.actions.python import Kind
from attune_ray.dispatch.worker.attempt import Recorder, Summary
from attune_ray.dispatch.worker.program import Work
from attune_ray.dispatch.worker.reuse import recording
from attune_ray.dispatch.worker.row_log import RowLog
from attune_ray.dispatch.worker.row_records import RowSink
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.under_way import Begun, UnderWay, watched
from attune_ray.dispatch.worker.watch import Overrun, Watch, watching
from attune_ray.expression import ItemContext

__all__ = ["Order", "run_chunk", "run_chunk_async", "worker_name"]

_Call = Callable[[dict[str, Any]], Awaitable[Any]]
_Scopes = Iterator[tuple[int, ItemContext]]
_Faults = tuple[type[BaseException], ...]

_LONGEST_S = 1e9
_OUR_STOPS: _Faults = (KeyboardInterrupt, GeneratorExit)
"""What stops the process that a chunk runs in, and is not its item's outcome, where that is the coordinator's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which items of a task to run, and how.

    Attributes:
        indexes: of the items: a range, or a tuple of those that are tried again.
        attempt: 1-based, the same for all.
        width: items at once, for async and blocking actions; others run one after the other.
        budget_s: seconds after which no further item is started; the first always is.
        now_s: seconds since 1970 when it was sent, for a task with ``cache``.
        name: its own, of letters, digits and a few signs in one folder or two: of the log of its rows, and of what is
            kept of them.
    """

    indexes: range | tuple[int, ...]
    attempt: int = 1
    width: int = 1
    budget_s: float = math.inf
    now_s: float = 0.0
    name: str = ""


def run_chunk(work: Work, order: Order, log: RowSink | None = None) -> tuple[Summary, Rows]:
    """Run some items of a task in this process, from a thread without an event loop.

    Args:
        log: is told of every row as it ends.
    """
    if work.action.kind is not Kind.SYNC:
        return _loop().run_until_complete(_run_watched(work, order, log))
    recorder, scopes = _opened(work, order, log, in_turn=True)
    began = time.perf_counter()
    deadline_ns = time.perf_counter_ns() + int(min(order.budget_s, _LONGEST_S) * 1e9)
    with watching(work.program.timeout_s, work.program.grace_s) as watch:
        _run_in_turn(recorder, scopes, watch, deadline_ns)
    return _finished(recorder, began)


async def run_chunk_async(
    work: Work, order: Order, log: RowSink | None = None, *, stops: _Faults = _OUR_STOPS
) -> tuple[Summary, Rows]:
    """The same inside a running event loop: up to ``width`` items at once, started in the order of their indexes.

    Args:
        log: is told of every row as it ends.
        stops: what ends the chunk when it is raised; anything else is the outcome of an item.
    """
    return await _run_lanes(work, order, log, stops, None)


async def _run_watched(work: Work, order: Order, log: RowSink | None) -> tuple[Summary, Rows]:
    """As ``run_chunk_async``; an item that holds up the loop beyond its timeout, or is deaf to it, is ended too."""
    with watching(work.program.timeout_s, work.program.grace_s) as watch:
        return await _run_lanes(work, order, log, (), watch)


async def _run_lanes(
    work: Work, order: Order, log: RowSink | None, stops: _Faults, watch: Watch | None
) -> tuple[Summary, Rows]:
    recorder, scopes = _opened(work, order, log)
    began = time.perf_counter()
    scopes = _until(scopes, began + order.budget_s)
    width = max(1, min(order.width, len(order.indexes)))
    owner = asyncio.current_task()
    under_way = UnderWay(recorder)
    with _caller(work, n_threads=len(order.indexes)) as call, watched(under_way, watch):
        async with asyncio.TaskGroup() as lanes:
            for _ in range(width):
                lanes.create_task(_run_lane(under_way, scopes, call, owner, stops))
    return _finished(recorder, began)


def _opened(work: Work, order: Order, log: RowSink | None, *, in_turn: bool = False) -> tuple[Recorder, _Scopes]:
    """What collects the rows of a chunk, and its items that are to be run."""
    scopes = (_scopes_in_turn if in_turn else _scopes)(work, order.indexes)
    recorder, scopes = recording(work, order.indexes, attempt=order.attempt, now_s=order.now_s, scopes=scopes)
    recorder.log = log
    if isinstance(log, RowLog) and in_turn:
        log.in_turn()
    return recorder, scopes if work.action.execution is None else _informing(recorder, scopes)


def _informing(recorder: Recorder, scopes: _Scopes) -> _Scopes:
    """The same items, and which of them is the current one: for actions that ask for it, one after the other."""
    before = CURRENT.get()
    try:
        for row, scope in scopes:
            CURRENT.set(_execution(recorder, row))
            yield row, scope
    finally:
        CURRENT.set(before)


def _scopes(work: Work, indexes: range | tuple[int, ...]) -> _Scopes:
    """Row number and context of each item; a plain task has one row and no item."""
    if not work.program.is_fan_out or work.items is None:
        return iter([(0, work.context.for_task())])
    for_item = work.context.for_item
    items = zip(work.items.take(indexes), indexes, strict=True)
    return ((row, for_item(item, index)) for row, (item, index) in enumerate(items))


def _scopes_in_turn(work: Work, indexes: range | tuple[int, ...]) -> _Scopes:
    """The same where an item has ended before the next is looked at: all have one context, changed for each."""
    scope = work.context.for_task()
    if not work.program.is_fan_out or work.items is None:
        return iter([(0, scope)])
    return _each_in(scope, zip(work.items.take(indexes), indexes, strict=True))


def _each_in(scope: ItemContext, items: Iterable[tuple[Any, int]]) -> _Scopes:
    for row, (item, index) in enumerate(items):
        scope.item, scope.index = item, index
        yield row, scope


def _until(scopes: _Scopes, deadline: float) -> _Scopes:
    """Hand out items until the time is up."""
    for row, scope in scopes:
        yield row, scope
        if time.perf_counter() > deadline:
            return


def _run_in_turn(recorder: Recorder, scopes: _Scopes, watch: Watch | None, deadline_ns: int) -> None:
    """One item after the other: the loop whose every tenth of a microsecond counts (docs/decisions/0012)."""
    render, function, clock = recorder.work.input_of, recorder.work.action.function, time.perf_counter_ns
    watch = watch or Watch(timeout_s=math.inf, grace_s=math.inf)

    def dying() -> None:
        recorder.overran(row, scope, (clock() - began) // 1000)
        recorder.accounted()

    watch.dying = dying
    began = clock()
    for row, scope in scopes:
        try:
            values = render(scope)
            watch.began_ns = began
            try:
                value = function(**values)
            finally:
                watch.began_ns = None
        except Overrun:
            watch.end()  # it may have come in the midst of what follows the action
            recorder.overran(row, scope, (clock() - began) // 1000)
            ended = clock()
        except BaseException as error:  # noqa: BLE001  whatever an action raises is its item's outcome
            recorder.failed(row, scope, error, (clock() - began) // 1000)
            ended = clock()
        else:
            ended = clock()
            recorder.returned(row, scope, value, (ended - began) // 1000)
        if recorder.is_stopped or ended > deadline_ns:
            return
        began = ended


async def _run_lane(
    under_way: UnderWay, scopes: _Scopes, call: _Call, owner: "asyncio.Task[Any] | None", stops: _Faults
) -> None:
    """One of the lanes that share the items: each takes the next when it is free."""
    recorder, clock = under_way.recorder, time.perf_counter_ns
    work, lane = recorder.work, asyncio.current_task()
    for row, scope in scopes:
        if recorder.is_stopped:
            return
        if recorder.log is not None:
            recorder.log.begun(row + 1)
        began = clock()
        under_way.items[lane] = Begun(row, scope, began)
        timeout = asyncio.timeout(work.program.timeout_s)
        try:
            values = work.input_of(scope)
            CURRENT.set(_execution(recorder, row))
            async with timeout:
                value = await call(values)
        except stops:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled(owner):
                raise
            if timeout.expired() or isinstance(error, Overrun):
                recorder.overran(row, scope, (clock() - began) // 1000)
            else:
                recorder.failed(row, scope, error, (clock() - began) // 1000)
        else:
            recorder.returned(row, scope, value, (clock() - began) // 1000)
        finally:
            del under_way.items[lane]


def _execution(recorder: Recorder, row: int) -> Execution:
    program = recorder.work.program
    return Execution(
        program.seed,
        recorder.rows.index[row],
        recorder.attempt,
        allowed_hosts=program.allowed_hosts,
        permission_set_refs=program.permission_set_refs,
    )


@contextlib.contextmanager
def _caller(work: Work, n_threads: int) -> Iterator[_Call]:
    """How an action is awaited: an async one as it is, a blocking one in threads, an inline one in the loop.

    Args:
        n_threads: there are never more than lanes, and those that overran: an item does not wait for one of them.
    """
    function = work.action.function
    threads = ThreadPoolExecutor(n_threads, "attune-blocking") if work.action.kind is Kind.BLOCKING else None

    async def call_in_thread(values: dict[str, Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            threads, copy_context().run, _call_in_thread, function, values
        )

    async def call_in_loop(values: dict[str, Any]) -> Any:
        await asyncio.sleep(0)  # others have their turn between two items
        return function(**values)

    async def call(values: dict[str, Any]) -> Any:
        return await function(**values)

    try:
        yield {Kind.ASYNC: call, Kind.BLOCKING: call_in_thread, Kind.SYNC: call_in_loop}[work.action.kind]
    finally:
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)  # an overrun thread cannot be stopped, only left


def _call_in_thread(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    try:
        return function(**values)
    except StopIteration as error:  # a future never ends with it
        raise RuntimeError("the action raised StopIteration") from error


def _is_cancelled(owner: "asyncio.Task[Any] | None") -> bool:
    """Whether the chunk is told to stop.

    An action may also raise CancelledError by itself, or cancel its own task: that is its failure, and nobody else's.
    """
    if owner is not None and owner.cancelling() > 0:
        return True
    lane = asyncio.current_task()
    while lane is not None and lane.cancelling() > 0:
        lane.uncancel()
    return False


def _finished(recorder: Recorder, began: float) -> tuple[Summary, Rows]:
    return recorder.summary(elapsed_s=time.perf_counter() - began, worker=worker_name()), recorder.ended_rows()


@functools.cache
def worker_name() -> str:
    """``host:pid`` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One event loop per worker process, so that what lives in it (HTTP connections) outlives a chunk."""
    return asyncio.new_event_loop()
