"""Handing out the items of a task run in chunks, and taking back what became of them."""

from dataclasses import replace

from attune_ray.engine import retry
from attune_ray.engine.commands import Command, FailChunk, StartTimer, SubmitChunk
from attune_ray.engine.events import ChunkDone, ChunkLost, Outcome, TimerFired
from attune_ray.engine.pace import TICK
from attune_ray.engine.state import FanOut, TaskRun
from attune_ray.plan import Chunk, Items, PlanTask
from attune_ray.plan.chunks import next_size, split

__all__ = ["chunk_done", "chunk_lost", "feed", "limit", "outcome_of", "stop", "timer_fired"]

_ROUNDING = 1e-6  # 29 % of 100 items are 29, not 28.999999999999996


def feed(run: TaskRun, fan_out: FanOut) -> list[Command]:
    """Fill the free lanes: first chunks that are due again, then new ones in the order of their items."""
    commands: list[Command] = []
    pace = fan_out.pace
    while fan_out.free_widths and (fan_out.ready or _has_more(fan_out)) and not (pace and pace.is_spent):
        width = fan_out.free_widths.pop()
        chunk = _ready_chunk(fan_out, width) if fan_out.ready else _next_chunk(fan_out, width)
        fan_out.in_flight[chunk.id] = chunk
        commands.append(SubmitChunk(run.id, chunk))
        if pace is not None and pace.send(chunk.id, len(chunk.items)):
            commands.append(StartTimer(run.id, TICK, pace.tick_s))
    return commands


def chunk_done(run: TaskRun, fan_out: FanOut, task: PlanTask, event: ChunkDone) -> list[Command]:
    """Count what ended, and give what was not started, or may be tried again, to other chunks."""
    chunk = _take_back(fan_out, event.chunk)
    n_ended = event.n_succeeded + event.n_failed
    _measure(fan_out, n_ended, event.elapsed_s)
    fan_out.timed_out = event.timed_out
    again = _count(fan_out, task, chunk, event)
    _put_back(fan_out, chunk, n_ended)
    if fan_out.pace is not None:
        fan_out.pace.give_back(chunk.id, len(chunk.items) - n_ended)
    return _try_again(run, fan_out, task, replace(chunk, items=again, crashes=0), event.retry_after_s)


def chunk_lost(run: TaskRun, fan_out: FanOut, task: PlanTask, event: ChunkLost, *, max_crashes: int) -> list[Command]:
    """Find the item that kills its worker: those that may have done so are sent again, by halves until it is alone.

    The attempt stays the same: the author's retries are not ours to spend.
    """
    chunk = _take_back(fan_out, event.chunk)
    again = _count(fan_out, task, chunk, event)
    commands = _try_again(run, fan_out, task, replace(chunk, items=again, crashes=0), event.retry_after_s)
    rest = _without(chunk.items, event.ended)
    if fan_out.stopped:
        fan_out.n_left_out += len(rest)
        return commands
    if event.blameless:
        if rest:
            fan_out.ready.appendleft(replace(chunk, id=_new_id(fan_out), items=rest))
        return commands
    running = rest if event.running is None else event.running
    if running and (idle := _without(rest, running)):
        fan_out.ready.appendleft(Chunk(id=_new_id(fan_out), items=idle, attempt=chunk.attempt))
    return [*commands, *_suspect(run, fan_out, replace(chunk, items=running or rest), event, max_crashes=max_crashes)]


def _suspect(run: TaskRun, fan_out: FanOut, chunk: Chunk, event: ChunkLost, *, max_crashes: int) -> list[Command]:
    """Send items again of which one has killed its worker; if none was begun, all of them have."""
    if not chunk.items:
        return []
    if len(chunk.items) > 1 and event.running != ():
        for items in split(chunk.items):
            fan_out.ready.append(Chunk(id=_new_id(fan_out), items=items, attempt=chunk.attempt))
        return []
    crashed = replace(chunk, id=_new_id(fan_out), crashes=chunk.crashes + 1)
    if crashed.crashes < max_crashes:
        fan_out.ready.append(crashed)
        return []
    fan_out.in_flight[crashed.id] = crashed
    fan_out.free_widths.remove(chunk.width)
    return [FailChunk(run.id, crashed, event.reason)]


def _count(fan_out: FanOut, task: PlanTask, chunk: Chunk, event: ChunkDone | ChunkLost) -> tuple[int, ...]:
    """Count the items that have ended; those that are to be tried again are not among them."""
    again = _items_to_retry(task, chunk, event)
    fan_out.n_succeeded += event.n_succeeded
    fan_out.n_failed += event.n_failed - len(again)
    if task.stops_on_error and fan_out.n_failed > _tolerated(task, fan_out):
        stop(fan_out)
    return again


def _without(items: Items, gone: Items) -> Items:
    """The items that are not among ``gone``; a range stays one where these are its first."""
    if not gone or gone == items[: len(gone)]:
        return items[len(gone) :]
    held = set(gone)
    return tuple(item for item in items if item not in held)


def limit(fan_out: FanOut, only: Items) -> None:
    """Run some items alone: all others have succeeded before."""
    fan_out.next_index = fan_out.n_items
    fan_out.n_succeeded = fan_out.n_items - len(only)
    if only:
        fan_out.ready.append(Chunk(id=_new_id(fan_out), items=only))


def timer_fired(fan_out: FanOut, event: TimerFired) -> None:
    """The delay before another attempt is over; or a tick of the rate limit has come."""
    if event.chunk == TICK and fan_out.pace is not None:
        fan_out.pace.tick()
    elif event.chunk is not None and (chunk := fan_out.waiting.pop(event.chunk, None)) is not None:
        fan_out.ready.append(chunk)


def stop(fan_out: FanOut) -> None:
    """Hand out nothing more: what waits is left out, what runs is finished."""
    if fan_out.stopped:
        return
    fan_out.stopped = True
    held = [*fan_out.ready, *fan_out.waiting.values()]
    fan_out.n_left_out += fan_out.n_items - fan_out.next_index + sum(len(chunk.items) for chunk in held)
    fan_out.ready.clear()
    fan_out.waiting.clear()


def outcome_of(fan_out: FanOut, task: PlanTask) -> Outcome:
    """How a fan-out whose items have all ended, ended itself."""
    if fan_out.timed_out and not task.is_fan_out:
        return "timed_out"
    return "failed" if fan_out.n_failed > _tolerated(task, fan_out) else "succeeded"


def _tolerated(task: PlanTask, fan_out: FanOut) -> int:
    share = int(task.tolerate.share * fan_out.n_items + _ROUNDING)
    return max(task.tolerate.items, share)


def _has_more(fan_out: FanOut) -> bool:
    return fan_out.next_index < fan_out.n_items and not fan_out.stopped


def _new_id(fan_out: FanOut) -> int:
    fan_out.n_chunks += 1
    return fan_out.n_chunks


def _ready_chunk(fan_out: FanOut, width: int) -> Chunk:
    """The chunk that is due, or as much of it as a chunk should hold now; the rest of it stays due."""
    chunk = fan_out.ready.popleft()
    size = _size(fan_out, len(chunk.items) + fan_out.n_items - fan_out.next_index, width)
    if size < len(chunk.items):
        rest = replace(chunk, id=_new_id(fan_out), items=chunk.items[size:])
        fan_out.ready.appendleft(rest)
        chunk = replace(chunk, items=chunk.items[:size])
    return replace(chunk, width=width)


def _next_chunk(fan_out: FanOut, width: int) -> Chunk:
    start = fan_out.next_index
    size = _size(fan_out, fan_out.n_items - start, width)
    fan_out.next_index = start + size
    return Chunk(id=_new_id(fan_out), items=range(start, start + size), width=width)


def _size(fan_out: FanOut, remaining: int, width: int) -> int:
    size = next_size(
        fan_out.shape,
        n_items=fan_out.n_items,
        remaining=remaining,
        width=width,
        last_items=fan_out.largest_chunk,
        item_s=fan_out.item_s,
    )
    return size if fan_out.pace is None else min(size, fan_out.pace.share(len(fan_out.free_widths) + 1))


def _take_back(fan_out: FanOut, chunk_id: int) -> Chunk:
    chunk = fan_out.in_flight.pop(chunk_id)
    fan_out.free_widths.append(chunk.width)
    return chunk


def _measure(fan_out: FanOut, n_items: int, elapsed_s: float) -> None:
    fan_out.lane_s += elapsed_s
    fan_out.measured_items += n_items
    fan_out.largest_chunk = max(fan_out.largest_chunk, n_items)


def _put_back(fan_out: FanOut, chunk: Chunk, n_ended: int) -> None:
    """The items of a chunk that were not started are the next to be sent, unless nothing more is."""
    rest = chunk.items[n_ended:]
    if fan_out.stopped:
        fan_out.n_left_out += len(rest)
    elif rest:
        fan_out.ready.appendleft(Chunk(id=_new_id(fan_out), items=rest, attempt=chunk.attempt))


def _items_to_retry(task: PlanTask, chunk: Chunk, event: ChunkDone | ChunkLost) -> tuple[int, ...]:
    if task.retry is None or chunk.attempt > task.retry.count:
        return ()
    return event.retryable


def _try_again(
    run: TaskRun, fan_out: FanOut, task: PlanTask, failed: Chunk, retry_after_s: float | None
) -> list[Command]:
    if task.retry is None or not failed.items:
        return []
    if fan_out.stopped:
        fan_out.n_failed += len(failed.items)
        return []
    chunk = replace(failed, id=_new_id(fan_out), attempt=failed.attempt + 1)
    delay_s = retry.delay_s(task.retry, failed.attempt) if retry_after_s is None else retry_after_s
    if delay_s <= 0:
        fan_out.ready.append(chunk)
        return []
    fan_out.waiting[chunk.id] = chunk
    return [StartTimer(run.id, chunk.id, delay_s)]
