"""Chunks whose kept results are gone or damaged: they are run again before their run goes on.

The engine is told nothing of it: whatever followed from them has followed. Their actions are done twice, which nothing
can help: what they gave the first time is lost.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from attune_ray.coordinator.opening import reopen_task
from attune_ray.coordinator.replay import latest, replay
from attune_ray.coordinator.shell import Shell, items_to_json
from attune_ray.coordinator.world import World
from attune_ray.engine import ChunkDone, ChunkLost
from attune_ray.plan import Chunk, Items
from attune_ray.ports import ChunkReport, Recall
from attune_ray.records import Fact

__all__ = ["mended"]


async def mended(facts: Sequence[Fact], world: World, new_shell: Callable[[], Shell]) -> list[Fact]:
    """The facts of a run with all their results: what is damaged is made again, and kept as well.

    Args:
        new_shell: makes the shell of the run at its begin, with a state of its own.

    Raises:
        StateError: results cannot be read, or those that were made again cannot be kept.
        AttuneError: a task cannot be opened any more.
    """
    found = latest(facts)
    in_files = [place for place, fact in enumerate(found) if _saved(fact)]
    damaged = await asyncio.to_thread(_damaged, found, in_files, world.recall) if in_files else []
    for place in damaged:
        shell = new_shell()
        replay(shell, found[:place])
        found[place] = await _again(shell, found[place], world)
        if world.journal is not None:
            await world.journal.write([replace(found[place], at=world.clock.now())])
    return found


def _damaged(facts: Sequence[Fact], places: Sequence[int], recall: Recall) -> list[int]:
    """Those of some facts whose results are not as they were kept."""
    return [place for place in places if not all(map(recall.is_intact, _saved(facts[place])))]


def _saved(fact: Fact) -> list[dict[str, Any]]:
    """What a fact says of where results are; those in the fact itself are there."""
    parts = [saved for _, saved in fact.shell.get("mended", ())] or [fact.shell.get("saved", {})]
    return [saved for saved in parts if "file" in saved]


async def _again(shell: Shell, fact: Fact, world: World) -> Fact:
    """Run the items of a chunk again that had ended in it; the fact with what they give now."""
    event = fact.event
    assert isinstance(event, ChunkDone | ChunkLost)  # noqa: S101  no other fact has results
    sent = shell.in_flight(event)
    assert sent is not None  # noqa: S101  the chunk has not been reported yet
    await reopen_task(shell, world, event.run, anew=True)
    work = shell.in_work[event.run]
    assert work.executor is not None  # noqa: S101
    assert work.open is not None  # noqa: S101
    items = event.ended if isinstance(event, ChunkLost) else sent.items[: event.n_succeeded + event.n_failed]
    parts: list[list[Any]] = []
    n_lost = 0
    while items:
        number = -(1_000 * sent.id + len(parts) + n_lost)  # for a name in the store that no other chunk has
        chunk = Chunk(id=number, items=items, attempt=sent.attempt, width=sent.width)
        report = await _report(work.executor, work.open, chunk, has_crashed=n_lost >= world.max_crashes)
        ended = _ended(chunk, report)
        n_lost = 0 if ended else n_lost + 1
        if ended:
            parts.append([items_to_json(ended), orjson.loads(report.saved or b"")])
        items = _without(items, ended)
    return replace(fact, shell={**fact.shell, "mended": parts})  # noqa: S604  no process is started by it


async def _report(executor: Any, opened: Any, chunk: Chunk, *, has_crashed: bool) -> ChunkReport:
    if has_crashed:
        failed: ChunkReport = await executor.fail(opened, chunk, "its worker process died again and again")
        return failed
    report: ChunkReport = await executor.run(opened, chunk)
    return report


def _ended(chunk: Chunk, report: ChunkReport) -> Items:
    if report.lost is not None:
        return report.lost.ended
    return chunk.items[: report.n_succeeded + report.n_failed]


def _without(items: Items, ended: Items) -> Items:
    gone = set(ended)
    return tuple(item for item in items if item not in gone) if gone else items
