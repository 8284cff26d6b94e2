"""What the size of the context costs per item and per chunk: nothing, if it is the same for 0 and for 500 results."""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator

from attune_ray.actions import Catalog, sources_of
from attune_ray.bootstrap import SystemClock
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.executor import RayExecutor
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.results import PlainResult
from attune_ray.dispatch.worker.rows import SUCCEEDED, Rows
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.engine import TaskRunId
from attune_ray.expression import WorkflowContext
from attune_ray.model import parse_workflow
from attune_ray.plan import Chunk, build
from attune_ray.ports import RunContext, TaskOrder
from attune_ray.settings import RaySettings, Settings
from benchmarks import cases
from benchmarks.report import median_of, save, table

__all__ = ["main"]

SIZES = (0, 10, 50, 100, 500)
RESULT_BYTES = 10_000
WORKFLOW = """
tasks:
  - name: check
    action: bench.noop
    with_items: "{{ parameters.servers }}"
    input: {url: "{{ item.url }}", name: "{{ index }}", note: "{{ parameters.note }}"}
"""


def main(*, quick: bool = False) -> None:
    """Measure, print the table, write ``results/context.json``."""
    n_chunks = 20 if quick else 100
    figures = asyncio.run(_measure(n_chunks))
    for row in figures:
        for name in ("for_item_ns", "submit_us"):
            row[f"{name}_ratio"] = row[name] / figures[0][name]
    save("context", {"result_bytes": RESULT_BYTES, "n_chunks": n_chunks, "rows": figures})
    head = ["results", "for_item ns", "ratio", "submit + report µs (CPU)", "ratio"]
    table(
        head,
        [
            [
                f"{row['n_results']:.0f}",
                f"{row['for_item_ns']:.0f}",
                f"{row['for_item_ns_ratio']:.2f}",
                f"{row['submit_us']:.0f}",
                f"{row['submit_us_ratio']:.2f}",
            ]
            for row in figures
        ],
    )


async def _measure(n_chunks: int) -> list[dict[str, float]]:
    """All sizes in turn, several rounds, so that a noisy moment does not fall on one of them alone."""
    settings = Settings(ray=RaySettings(num_cpus=2))
    cluster = Cluster(settings.ray)
    results = ResultCache.of(SystemClock(), settings.limits)
    executor = RayExecutor(settings, Catalog(sources_of(cases)), cluster, results)
    orders = {n_results: _order(executor, n_results) for n_results in SIZES}
    opened = {n_results: await executor.open(order) for n_results, order in orders.items()}
    for_item: dict[int, list[float]] = {n_results: [] for n_results in SIZES}
    submit: dict[int, list[float]] = {n_results: [] for n_results in SIZES}
    for chunk in _chunks(n_chunks):
        for n_results in SIZES:
            for_item[n_results].append(_for_item_ns(orders[n_results].context))
            began = time.thread_time()
            await executor.run(opened[n_results], chunk)
            submit[n_results].append((time.thread_time() - began) * 1e6)
    cluster.close()
    return [
        {
            "n_results": n_results,
            "for_item_ns": statistics.median(for_item[n_results]),
            "submit_us": statistics.median(submit[n_results]),
        }
        for n_results in SIZES
    ]


def _chunks(n_chunks: int) -> Iterator[Chunk]:
    return (Chunk(id=number, items=range(1)) for number in range(n_chunks))


def _order(executor: RayExecutor, n_results: int) -> TaskOrder:
    plan = build(parse_workflow(WORKFLOW))
    parameters = {"servers": cases.items(10)["servers"], "note": "checked"}
    context = RunContext(
        run_id=f"context-{n_results}",
        given=parameters,
        parameters=parameters,
        variables={},
        results={f"task_{number}": _result() for number in range(n_results)},
    )
    return TaskOrder(
        run=TaskRunId("check", 1),
        task=plan.tasks["check"],
        action=executor.catalog["bench.noop"],
        context=context,
        concurrency=None,
        now="2026-01-01T00:00:00.000000Z",
    )


def _result() -> PlainResult:
    stored = encode({"data": {"text": "x" * RESULT_BYTES}, "succeeded": True})
    return PlainResult(LocalRows(Rows((0,), 1, [SUCCEEDED], [stored], [None], [0])), succeeded=True)


def _for_item_ns(context: RunContext) -> float:
    """Nanoseconds of one ``for_item``, over 1,000 of them."""
    shared = WorkflowContext(
        parameters=context.parameters,
        variables=context.variables,
        tasks=context.results,
        system=context.system,
        now="",
        seed="",
    )

    def once() -> float:
        began = time.perf_counter_ns()
        for index in range(1_000):
            shared.for_item(None, index)
        return (time.perf_counter_ns() - began) / 1_000

    return median_of(once, 3)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    main(quick=arguments.parse_args().quick)
