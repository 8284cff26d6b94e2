"""The workloads: actions and workflows that the benchmarks run."""

import asyncio
import time
from typing import Any

import attune_ray
from attune_ray.coordinator import TaskResult

__all__ = ["ENTRY_BYTES", "FAN_OUT", "add", "context", "fan_out", "items", "meet", "noop", "sleep"]

FAN_OUT = """
parameters: {n_items: {type: integer}, n_entries: {type: integer}, region: {type: string, default: north}}
tasks:
  - name: context
    action: bench.context
    input: {n_entries: "{{ parameters.n_entries }}"}
  - name: servers
    action: bench.items
    input: {n_items: "{{ parameters.n_items }}"}
  - name: check
    action: bench.noop
    with_items: "{{ task.servers.output.servers }}"
    input:
      url: "{{ item.url }}"
      name: "{{ parameters.region }}-{{ index }}"
      note: "{{ task.context.settings.note }}"
"""
"""Three small templates an item: of the item, of a parameter, and of a result that is as large as asked for."""

ENTRY_BYTES = 10_000


@attune_ray.action("bench.context")
def context(n_entries: int) -> dict[str, Any]:
    """A result of about ``n_entries`` × 10 KB."""
    entries = {f"entry_{number}": "x" * ENTRY_BYTES for number in range(n_entries)}
    return {"settings": {"note": "checked"}, **entries}


@attune_ray.action("bench.items")
def items(n_items: int) -> dict[str, Any]:
    """Servers to look at."""
    return {"servers": [{"id": number, "url": f"https://host-{number}.example/health"} for number in range(n_items)]}


@attune_ray.action("bench.noop")
def noop(url: str, name: str, note: str) -> None:
    """Takes three texts, does nothing."""


def fan_out(engine: attune_ray.Engine, n_items: int, n_entries: int) -> TaskResult:
    """Run FAN_OUT; its task ``check``.

    Raises:
        RuntimeError: it did not complete.
    """
    result = engine.run(FAN_OUT, {"n_items": n_items, "n_entries": n_entries})
    if result.status.value != "completed":
        raise RuntimeError(f"the workflow failed: {result.result}")
    return result.task("check")


@attune_ray.action("bench.add", inline=True)
async def add(n: int) -> dict[str, int]:
    """One more."""
    return {"n": n + 1}


_waiting = 0
_opened = asyncio.Event()
opened_at_s: float = 0.0


@attune_ray.action("bench.meet", inline=True)
async def meet(n_tasks: int) -> None:
    """Waits until so many wait, then all go on in one turn of the loop."""
    global _waiting, _opened, opened_at_s  # noqa: PLW0603  the meeting point of all its calls
    _waiting += 1
    meeting = _opened
    if _waiting == n_tasks:
        _waiting, _opened, opened_at_s = 0, asyncio.Event(), time.perf_counter()
        meeting.set()
    await meeting.wait()


@attune_ray.action("bench.sleep")
def sleep(seconds: float) -> None:
    """Holds a slot for so long, without using the processor."""
    time.sleep(seconds)
