"""A workflow with everything that a crash may cut in two, its actions, and engines that keep what they run."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Literal, TypeVar

import attune_ray
from attune_ray import Engine, RunResult
from attune_ray.bootstrap import State
from attune_ray.errors import PermanentError
from attune_ray.ports import Journal, ResultStore
from attune_ray.settings import StateSettings
from attune_ray.store import WriteBehind
from attune_ray.store.memory import JournalAndInbox
from attune_ray.values.keeping import Keeping

__all__ = ["EFFECTS", "FLAG", "WORK", "answering", "durable_engine", "effects", "outcome"]

EFFECTS = "ATTUNE_TEST_EFFECTS"
"""The environment variable that names the file to which each action appends a line: what it has done in the world."""

FLAG = "ATTUNE_TEST_FLAG"
"""The environment variable that names a file: once it is there, odd numbers are even enough."""

WORK = """
tasks:
  - name: list
    action: mark.list
    input: {n: 7}
    next: [{when: "{{ succeeded() }}", publish: [{found: "{{ result().data }}"}], do: [each, flaky, child, group]}]
  - name: each
    action: mark.each
    with_items: "{{ vars.found }}"
    concurrency: 2
    retry: {count: 1}
    tolerate: 1
    input: {x: "{{ item }}"}
    next: [{do: join}]
  - name: flaky
    action: mark.flaky
    retry: {count: 2}
    next: [{when: "{{ succeeded() }}", publish: [{attempts: "{{ result().data.attempt }}"}], do: join}]
  - {name: child, action: sub.work, input: {k: 3}, next: [{do: join}]}
  - name: group
    type: parallel
    tasks:
      - {name: left, action: mark.once, input: {who: left, seen: 1}, next: [{publish: [{left: "{{ result().seen }}"}]}]}
      - {name: right, action: mark.once, input: {who: right, seen: 2}}
    next: [{do: join}]
  - name: join
    join: all
    action: mark.once
    input: {who: join, seen: "{{ length(task.each.results) }}"}
    next: [{do: approve}]
  - name: approve
    action: core.ask
    input: {prompt: "go on?"}
    next: [{when: "{{ result().data.response.ok }}", do: last}]
  - {name: last, action: mark.once, input: {who: last, seen: "{{ [vars.attempts, vars.left] }}"}}
output_map:
  each: "{{ task.each.results }}"
  failed: "{{ task.each.failed_items }}"
  child: "{{ task.child.data }}"
  last: "{{ task.last.data }}"
"""
"""Branches, publishes, a fan-out with a failed item, retries, a sub-workflow, a parallel group, a join, a question."""
SUB_WORK = """
parameters: {k: {type: integer}}
tasks:
  - {name: one, action: mark.once, input: {who: child, seen: "{{ parameters.k }}"}, next: [{do: many}]}
  - {name: many, action: mark.each, with_items: "{{ range(100, 103) }}", input: {x: "{{ item }}"}}
output_map: {sum: "{{ sum(task.many.results) }}"}
"""
_REFUSED = 5
_LAST_ATTEMPT = 3
_T = TypeVar("_T")


def _mark(text: str) -> None:
    """Do something that can be seen, and cannot be undone."""
    file = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{text}\n".encode())
    os.close(file)


@attune_ray.action("mark.list", inline=True)
async def _list(n: int) -> list[int]:
    _mark("list")
    return list(range(n))


@attune_ray.action("mark.each", inline=True)
async def _each(x: int) -> int:
    _mark(f"each {x}")
    if x == _REFUSED:
        raise ValueError("refused")
    return x


@attune_ray.action("mark.flaky", inline=True)
async def _flaky(execution: attune_ray.Execution) -> dict[str, int]:
    _mark(f"flaky {execution.attempt}")
    if execution.attempt < _LAST_ATTEMPT:
        raise ValueError("not yet")
    return {"attempt": execution.attempt}


@attune_ray.action("mark.once", inline=True)
async def _once(who: str, seen: Any) -> dict[str, Any]:
    _mark(who)
    return {"seen": seen}


_met: dict[str, asyncio.Event] = {}


@attune_ray.action("mark.meet", inline=True)
async def _meet(n_tasks: int, name: str) -> None:
    """Waits until so many wait, then all go on at once."""
    waiting = _met.setdefault(name, asyncio.Event())
    _WAITING[name] += 1
    if _WAITING[name] == n_tasks:
        waiting.set()
    await waiting.wait()


_WAITING: Counter[str] = Counter()


@attune_ray.action("mark.even", inline=True)
async def _even(x: int) -> dict[str, int]:
    """Refuses odd numbers for as long as there is no file of that name."""
    _mark(f"even {x}")
    if x % 2 and not os.path.exists(os.environ[FLAG]):  # noqa: ASYNC240, PTH110  a look, not a wait
        raise PermanentError("odd")
    return {"x": x}


def durable_engine(
    journal: JournalAndInbox,
    results: ResultStore,
    *,
    inline_bytes: int = 16_384,
    level: Literal["strict", "relaxed"] = "strict",
    **options: Any,
) -> Engine:
    """An engine with the actions of ``WORK`` that keeps what it runs."""
    group: Journal = WriteBehind(journal, StateSettings(level=level))
    keeping = Keeping(results=results, inline_bytes=inline_bytes)
    state = State(journal=group, inbox=journal, keeping=keeping, beat_s=0.01)
    actions = [_list, _each, _flaky, _once, _even, _meet]
    return Engine(actions=actions, workflows={"sub.work": SUB_WORK}, state=state, **options)


async def answering(engine: Engine, work: Awaitable[_T]) -> _T:
    """Await a run, and say yes to whatever it asks."""
    running = asyncio.ensure_future(work)
    while not running.done():
        for question in engine.questions:
            engine.answer(question.run_id, question.task, {"ok": True})
        await asyncio.wait([running], timeout=0.001)
    return running.result()


def outcome(result: RunResult) -> tuple[str, dict[str, Any]]:
    """What a run came to, as plain values."""
    plain = {name: list(value) if name in {"each", "failed"} else value for name, value in result.output.items()}
    return result.status.value, plain


def effects() -> Counter[str]:
    """What actions have done, and how often."""
    path = Path(os.environ[EFFECTS])
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()
