"""The workloads: actions and workflows that the benchmarks run."""

from typing import Any

import attune_ray

__all__ = ["FAN_OUT", "context", "items", "noop"]

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
