"""The coordinator's heap from 10 to 100,000 items, without and with 1 MB of context, beside a copy per item."""

import pickle
from typing import Any

from benchmarks import cases
from benchmarks.child import in_child, peak_heap_bytes
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

SIZES = (10, 100, 1_000, 10_000, 100_000)
ENTRIES = {"0 MB": 0, "1 MB": 100}
MOST_COPIED_BYTES = 1_000_000_000
"""The way of a copy per item is measured up to here; it goes on in a straight line until the memory ends."""


def measure(*, quick: bool) -> list[Figure]:
    """A fresh process for each point; peaks of the heap over what an idle, warm engine holds."""
    sizes = (10, 1_000, 100_000) if quick else SIZES
    figures = []
    for label, n_entries in ENTRIES.items():
        for n_items in sizes:
            if quick and n_entries == 0 and n_items != sizes[-1]:
                continue
            found = in_child(attune_heap, n_items=n_items, n_entries=n_entries)
            figures.append(_figure("attune", label, n_items, found["heap_bytes"]))
        for n_items in sizes:
            if n_items * n_entries * cases.ENTRY_BYTES <= MOST_COPIED_BYTES:
                found = in_child(copies_heap, n_items=n_items, n_entries=n_entries)
                figures.append(_figure("copy per item", label, n_items, found["heap_bytes"]))
    table(["heap of the coordinator at its peak", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _figure(way: str, label: str, n_items: int, heap_bytes: int) -> Figure:
    return Figure(
        name=f"{way}/{label} context/{n_items} items", unit="B", samples=[heap_bytes], is_peer=way != "attune"
    )


def attune_heap(n_items: int, n_entries: int) -> dict[str, Any]:
    """The heap that one fan-out takes in the coordinator of a warm engine."""
    from attune_ray import Engine, Settings  # noqa: PLC0415  in the fresh process alone
    from attune_ray.settings import RaySettings  # noqa: PLC0415

    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
        cases.fan_out(engine, 10, n_entries)
        return {"heap_bytes": peak_heap_bytes(lambda: cases.fan_out(engine, n_items, n_entries))}


def copies_heap(n_items: int, n_entries: int) -> dict[str, Any]:
    """What engines take that give each item a copy of the context: encoded and decoded, as on its way to a task."""
    shared = {"parameters": {"region": "north"}, "task": {"context": cases.context(n_entries)}}

    def copy_each() -> list[Any]:
        encoded = pickle.dumps(shared)
        return [{**pickle.loads(encoded), "index": index} for index in range(n_items)]  # noqa: S301  our own

    return {"heap_bytes": peak_heap_bytes(copy_each)}
