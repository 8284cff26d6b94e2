"""A fan-out of no-op items with a 1 MB context, against one Ray task per item and against a process pool."""

import argparse
import statistics

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks import cases
from benchmarks.peers import pool_seconds, ray_task_seconds
from benchmarks.report import save, table

__all__ = ["main"]

N_ENTRIES = 100  # 100 × 10 KB: 1 MB
WORKERS = 2


def main(*, quick: bool = False) -> None:
    """Measure, print the table, write ``results/fan_out.json``."""
    sizes = (10, 100, 1_000) if quick else (10, 100, 1_000, 10_000)
    repeats = 3 if quick else 7
    rows = []
    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=WORKERS))) as engine:
        engine.connect()
        _ours(engine, 100, 2)
        for n_items in sizes:
            ours = _ours(engine, n_items, repeats)
            task_s = min(ray_task_seconds(n_items, N_ENTRIES) for _ in range(2))
            ours["ray_task_us_per_item"] = task_s / n_items * 1e6
            pool_s = statistics.median(pool_seconds(n_items, N_ENTRIES, workers=WORKERS, repeats=repeats))
            ours["process_pool_us_per_item"] = pool_s / n_items * 1e6
            ours["times_faster_than_ray_task"] = ours["ray_task_us_per_item"] / ours["us_per_item"]
            ours["times_of_process_pool"] = ours["us_per_item"] / ours["process_pool_us_per_item"]
            rows.append(ours)
    save("fan_out", {"context_bytes": N_ENTRIES * cases.ENTRY_BYTES, "workers": WORKERS, "rows": rows})
    head = ["items", "µs/item", "coordinator ns/item", "chunks", "Ray task µs", "pool µs", "× Ray task", "of pool"]
    columns = (
        ("n_items", "d"),
        ("us_per_item", ".1f"),
        ("coordinator_ns_per_item", ".0f"),
        ("n_chunks", ".0f"),
        ("ray_task_us_per_item", ".0f"),
        ("process_pool_us_per_item", ".1f"),
        ("times_faster_than_ray_task", ".0f"),
        ("times_of_process_pool", ".2f"),
    )
    table(head, [[format(row[name], form) for name, form in columns] for row in rows])


def _ours(engine: Engine, n_items: int, repeats: int) -> dict[str, float]:
    """Medians over warm runs of the fan-out task alone, from its preparation to its last result."""
    runs = []
    for _ in range(repeats):
        result = engine.run(cases.FAN_OUT, {"n_items": n_items, "n_entries": N_ENTRIES})
        if result.status.value != "completed":
            raise RuntimeError(f"the workflow failed: {result.result}")
        runs.append(result.task("check"))
    return {
        "n_items": n_items,
        "us_per_item": statistics.median(run.duration_s for run in runs) / n_items * 1e6,
        "coordinator_ns_per_item": statistics.median(run.stats.coordinator_s for run in runs) / n_items * 1e9,
        "n_chunks": statistics.median(run.stats.n_chunks for run in runs),
        "context_bytes_decoded": max(run.stats.context_bytes_decoded for run in runs),
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    main(quick=arguments.parse_args().quick)
