"""What the size of the context costs per item and per chunk: nothing, if it is the same for 0 and for 500 results."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any

from attune_ray import Engine
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
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

SIZES = (0, 10, 50, 100, 500)
RESULT_BYTES = 10_000
CONTEXT_BYTES = (0, 100_000, 500_000, 1_000_000, 5_000_000)
COORDINATOR_ITEMS = 10_000
WORKFLOW = """
tasks:
  - name: check
    action: bench.noop
    with_items: "{{ parameters.servers }}"
    input: {url: "{{ item.url }}", name: "{{ index }}", note: "{{ parameters.note }}"}
"""


def measure(*, quick: bool) -> list[Figure]:
    """All sizes in turn, several rounds, so that a noisy moment does not fall on one of them alone."""
    n_rounds = 5 if quick else 15
    for_item, submit = asyncio.run(_measure(n_rounds, per_round=4 if quick else 8))
    coordinator, bare, ratios = _coordinator_ns(repeats=3 if quick else 7)
    figures = [
        *(Figure(name=f"{n} results/for_item", unit="ns", samples=samples) for n, samples in for_item.items()),
        *(Figure(name=f"{n} results/submit and report", unit="µs", samples=samples) for n, samples in submit.items()),
        *(
            Figure(name=f"{n_bytes // 1000} kB/coordinator per item", unit="ns", samples=samples)
            for n_bytes, samples in coordinator.items()
        ),
        Figure(name="bare Ray/three tasks per item", unit="ns", samples=bare, is_peer=True),
        Figure(name="coordinator/of three bare tasks", unit="×", samples=ratios),
    ]
    table(["context: results of 10 KB; coordinator CPU", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _coordinator_ns(repeats: int) -> tuple[dict[int, list[float]], list[float], list[float]]:
    """CPU time of the coordinator's thread per item, of a fan-out of 10,000.

    Returns:
        It by bytes of context; that of Ray's own part, in turn with it: three tasks of the same kind, sent and
        answered, with nothing around them; and the ratio of the two in each round.
    """
    found: dict[int, list[float]] = {n_bytes: [] for n_bytes in CONTEXT_BYTES}
    bare: list[float] = []
    remote = _remote_functions()
    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
        for repeat in range(repeats + 1):
            for n_bytes, samples in found.items():
                entries = n_bytes // cases.ENTRY_BYTES
                result = engine.run(cases.FAN_OUT, {"n_items": COORDINATOR_ITEMS, "n_entries": entries})
                if repeat:  # the first round warms up
                    samples.append(result.task("check").stats.coordinator_s / COORDINATOR_ITEMS * 1e9)
            bare_s = asyncio.run(_bare_tasks(*remote))
            if repeat:
                bare.append(bare_s / COORDINATOR_ITEMS * 1e9)
    rounds = zip(*found.values(), bare, strict=True)
    return found, bare, [statistics.median(ours) / theirs for *ours, theirs in rounds]


def _remote_functions() -> tuple[Any, Any]:
    import ray  # noqa: PLC0415

    options = {"max_retries": 0, "enable_task_events": False}
    return ray.remote(num_returns=3, **options)(_make), ray.remote(num_returns=2, **options)(_perform)


async def _bare_tasks(make: Any, perform: Any) -> float:
    """CPU seconds of this thread for one task, then two at once: as the items and the chunks of a fan-out."""
    began = time.thread_time()
    answer, items, spec = make.remote()
    await answer
    told = b'[[0, 5000], null, 1, 1, 0.15, 0, "chunk"]'
    answers = [perform.remote(spec, items, told)[0] for _ in range(2)]
    await asyncio.gather(*map(_awaited, answers))
    return time.thread_time() - began


async def _awaited(ref: Any) -> Any:
    return await ref


def _make() -> tuple[bytes, Any, dict[str, int]]:
    import numpy as np  # noqa: PLC0415  on a worker

    time.sleep(0.006)  # what making and running the items takes: the coordinator sleeps meanwhile
    return b"x" * 60, np.zeros(400_000, dtype=np.uint8), {"a": 1}


def _perform(spec: Any, items: Any, told: bytes) -> tuple[bytes, Any]:  # noqa: ARG001  they travel as those of a chunk
    import numpy as np  # noqa: PLC0415

    time.sleep(0.02)
    return b"x" * 200, np.zeros(200_000, dtype=np.uint8)


async def _measure(n_rounds: int, per_round: int) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Number of results → nanoseconds of ``for_item``, and CPU microseconds of a chunk sent and reported, by round."""
    settings = Settings(ray=RaySettings(num_cpus=2))
    cluster = Cluster(settings.ray)
    results = ResultCache.of(SystemClock(), settings.limits)
    executor = RayExecutor(settings, Catalog(sources_of(cases)), cluster, results)
    orders = {n_results: _order(executor, n_results) for n_results in SIZES}
    opened = {n_results: await executor.open(order) for n_results, order in orders.items()}
    for_item: dict[int, list[float]] = {n_results: [] for n_results in SIZES}
    submit: dict[int, list[float]] = {n_results: [] for n_results in SIZES}
    chunks = _chunks((n_rounds + 1) * per_round * len(SIZES))
    for number in range(n_rounds + 1):
        for n_results in SIZES:
            item_ns, submit_us = _for_item_ns(orders[n_results].context), []
            for _ in range(per_round):
                began = time.thread_time()
                await executor.run(opened[n_results], next(chunks))
                submit_us.append((time.thread_time() - began) * 1e6)
            if number:  # the first round warms up
                for_item[n_results].append(item_ns)
                submit[n_results].append(statistics.median(submit_us))
    cluster.close()
    return for_item, submit


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

    began = time.perf_counter_ns()
    for index in range(1_000):
        shared.for_item(None, index)
    return (time.perf_counter_ns() - began) / 1_000
