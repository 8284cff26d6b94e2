"""The heap that a coordinator takes stays below limits that do not grow with the items; pytest-memray holds them.

A limit is for the body of its test alone: engines and contexts are made, and warmed up, by fixtures.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from attune_ray import Engine, RunResult, action
from attune_ray.actions import Action
from attune_ray.coordinator import Coordinator, World
from attune_ray.dispatch.context_store import ContextStore
from attune_ray.dispatch.keeping import Recollection
from attune_ray.dispatch.worker import rows
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.results import PlainResult
from attune_ray.dispatch.worker.row_log import RowLog, row_log
from attune_ray.dispatch.worker.rows import SUCCEEDED, BatchRows, Rows
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.engine import (
    ChunkDone,
    RunStarted,
    RunState,
    RunStatus,
    SubmitChunk,
    TaskPrepared,
    TaskRunId,
    TransitionsEvaluated,
    step,
)
from attune_ray.expression import References, WorkflowContext
from attune_ray.model import Task
from attune_ray.plan import Chunk, Shape, build
from attune_ray.ports import ChunkReport, RunContext, TaskOrder
from attune_ray.settings import LimitSettings
from attune_ray.testing import ManualClock, load_workflow
from attune_ray.testing.script import scripted_action

FAN_OUT = """
parameters: {n: {type: integer}}
tasks: [{name: check, action: REF, with_items: "{{ range(parameters.n) }}", input: {x: "{{ item }}"}}]
"""
N_ITEMS = 100_000


@action("heap.remote")
def remote(x: int) -> None:
    """Does nothing, on a worker."""


@action("heap.kilobyte")
def kilobyte(x: int) -> dict[str, Any]:
    """About a kilobyte, on a worker."""
    return {"x": x, "filler": "x" * 1_000}


@action("heap.inline", inline=True)
def inline(x: int) -> None:
    """Does nothing, in the coordinator's own loop."""


def result(n_bytes: int) -> PlainResult:
    """A task's result, of about so many bytes."""
    stored = encode({"data": {"text": "x" * n_bytes}, "succeeded": True})
    return PlainResult(LocalRows(Rows((0,), 1, [SUCCEEDED], [stored], [None], [0])), succeeded=True)


@pytest.fixture
def state() -> RunState:
    """A run of one fan-out that has not begun."""
    return RunState(build(load_workflow(FAN_OUT.replace("REF", "a.b"))), 100, 3)


@pytest.mark.parametrize("n_items", [10, 1_000, N_ITEMS])
@pytest.mark.limit_memory("500 KB")
def test_the_engine_holds_ranges_whatever_the_number_of_items(state: RunState, n_items: int) -> None:
    """The same limit for 10 and for 100,000 items: 5 bytes for each of them."""
    run, shape = TaskRunId("check", 1), Shape(lanes=4, max_items=1_000)
    step(state, RunStarted())
    orders = deque(step(state, TaskPrepared(run, n_items, shape)))
    while orders and isinstance(order := orders.popleft(), SubmitChunk):
        done = ChunkDone(run, order.chunk.id, n_succeeded=len(order.chunk.items), n_failed=0, elapsed_s=0.1)
        orders += step(state, done)
    step(state, TransitionsEvaluated(run, ()))

    assert state.status is RunStatus.COMPLETED


@dataclass(frozen=True)
class _Open:
    """A fan-out that an executor has opened."""

    n_items: int
    shape: Shape


class Forgetful:
    """An executor that does nothing and keeps nothing, so that what is held is the coordinator's alone."""

    def __init__(self, n_items: int) -> None:
        self._open = _Open(n_items, Shape(lanes=4, max_items=1_000))

    async def open(self, order: TaskOrder) -> _Open:  # noqa: ARG002
        """All is ready."""
        return self._open

    async def run(self, task: _Open, chunk: Chunk) -> ChunkReport:  # noqa: ARG002
        """Every item succeeds, in the next turn of the loop."""
        await asyncio.sleep(0)
        return ChunkReport(n_succeeded=len(chunk.items), elapsed_s=0.1, worker="here:1")

    async def fail(self, task: _Open, chunk: Chunk, reason: str) -> ChunkReport:  # noqa: ARG002
        """No worker dies here."""
        raise AssertionError(reason)

    async def salvage(self, task: _Open, chunk: Chunk, age_s: float) -> ChunkReport:  # noqa: ARG002
        """Nobody dies here."""
        raise AssertionError(age_s)

    def result(self, task: _Open, *, succeeded: bool, cancelled: bool = False) -> PlainResult:  # noqa: ARG002
        """A small one."""
        return result(1)


@pytest.fixture
def coordinated() -> Callable[[int], RunResult]:
    """Runs a fan-out of so many items with a coordinator of its own."""
    plan = build(load_workflow(FAN_OUT.replace("REF", "t.x")))

    async def run(n_items: int) -> RunResult:
        executor = Forgetful(n_items)

        def route(task: Task) -> tuple[Action, Forgetful]:
            return scripted_action(task.action or ""), executor

        limits = LimitSettings()
        world = World(route=route, recall=Recollection(), clock=ManualClock(), limits=limits, max_crashes=3)
        context = RunContext(run_id="r", given={}, parameters={"n": n_items}, variables={})
        return await Coordinator(plan, context, RunState(plan, 100, 3), world, []).run()

    asyncio.run(run(10))  # what is imported and cached once
    return lambda n_items: asyncio.run(run(n_items))


@pytest.mark.parametrize("n_items", [10, 1_000, N_ITEMS])
@pytest.mark.limit_memory("1.5 MB")
def test_the_coordinator_holds_nothing_of_an_item(coordinated: Callable[[int], RunResult], n_items: int) -> None:
    """The same limit for 10 and for 100,000 items: 15 bytes for each of them."""
    assert coordinated(n_items).task("check").stats.n_items == n_items


@pytest.fixture
def warm_inline() -> Iterator[Engine]:
    """An engine that has run an inline fan-out."""
    with Engine(actions=[inline]) as engine:
        engine.run(FAN_OUT.replace("REF", "heap.inline"), {"n": 10})
        yield engine


@pytest.mark.limit_memory("25 MB")
def test_an_inline_fan_out_holds_its_results_and_little_more(warm_inline: Engine) -> None:
    """Items and results are in this process where there is no other: 250 bytes for each, with its result."""
    assert warm_inline.run(FAN_OUT.replace("REF", "heap.inline"), {"n": N_ITEMS}).status == "completed"


@pytest.fixture
def warm_on_ray(make_ray_engine: Callable[..., Engine]) -> Engine:
    """An engine that has run a fan-out on Ray."""
    engine = make_ray_engine(remote)
    engine.run(FAN_OUT.replace("REF", "heap.remote"), {"n": N_ITEMS})
    return engine


@pytest.mark.ray
@pytest.mark.parametrize("n_items", [10, N_ITEMS])
@pytest.mark.limit_memory("4 MB")
def test_a_fan_out_on_ray_leaves_its_items_and_results_there(warm_on_ray: Engine, n_items: int) -> None:
    """The same limit for 10 and for 100,000 items: 40 bytes for each of them, Ray's own driver included."""
    assert warm_on_ray.run(FAN_OUT.replace("REF", "heap.remote"), {"n": n_items}).status == "completed"


CHAIN = """
parameters: {n: {type: integer}}
tasks:
  - {name: first, action: heap.kilobyte, with_items: "{{ range(parameters.n) }}", input: {x: "{{ item }}"}}
  - {name: second, action: heap.kilobyte, with_items: "{{ task.first.results }}", input: {x: "{{ item.x }}"}}
"""


@pytest.fixture
def warm_chain(make_ray_engine: Callable[..., Engine]) -> Engine:
    """An engine that has run a fan-out over the results of another."""
    engine = make_ray_engine(kilobyte)
    engine.run(CHAIN, {"n": 10})
    return engine


@pytest.mark.ray
@pytest.mark.limit_memory("5 MB")
def test_items_of_an_earlier_fan_out_stay_where_they_are(warm_chain: Engine) -> None:
    """Two times 10,000 results of a kilobyte, of which the coordinator holds references alone."""
    assert warm_chain.run(CHAIN, {"n": 10_000}).task("second").stats.n_failed == 0


def context(n_results: int) -> RunContext:
    """A context of so many results of 10 KB."""
    results = {f"task_{number}": result(10_000) for number in range(n_results)}
    return RunContext(run_id="r", given={}, parameters={"a": 1}, variables={}, results=results)


@pytest.fixture(params=[0, 500])
def shared(request: pytest.FixtureRequest) -> WorkflowContext:
    """What templates see of an empty context, and of one of 5 MB."""
    held = context(request.param)
    return WorkflowContext(
        parameters=held.parameters, variables={}, tasks=held.results, system={}, now="", seed=""
    )  # fmt: skip


@pytest.mark.limit_memory("2 MB")
def test_the_view_of_an_item_copies_nothing_of_the_context(shared: WorkflowContext) -> None:
    """10,000 of them at once, held: 200 bytes each at most, with 5 MB of context as with none."""
    views = [shared.for_item(None, index) for index in range(10_000)]

    assert views[-1].context is shared


@pytest.fixture
def put() -> list[Any]:
    """What was put into the object store."""
    return []


@pytest.fixture
def store(put: list[Any]) -> tuple[ContextStore, RunContext]:
    """A store that has made a snapshot of 5 MB of results, and their context."""

    def keep(value: Any) -> int:
        put.append(value)
        return len(put)

    made, held = ContextStore(keep), context(500)
    made.snapshot(held, References(all_tasks=True))
    return made, held


@pytest.mark.limit_memory("1 MB")
def test_a_snapshot_of_an_unchanged_context_costs_nothing_more(
    store: tuple[ContextStore, RunContext], put: list[Any]
) -> None:
    """A hundred fan-outs over the same 5 MB share what was put for the first."""
    made, held = store
    n_put = len(put)

    snapshots = {id(made.snapshot(held, References(all_tasks=True))) for _ in range(100)}

    assert len(snapshots) == 1
    assert len(put) == n_put


@pytest.fixture
def large_items() -> list[str]:
    """100 items of 1 MB."""
    return [f"{number}:".ljust(1_000_000, "x") for number in range(100)]


@pytest.mark.limit_memory("170 MB")
def test_items_are_encoded_into_one_buffer_without_a_second_copy(large_items: list[str]) -> None:
    """The buffer, and what it grows by; they are decoded a few at a time, with 12 times their size to work in."""
    encoded = EncodedItems.of(large_items)

    assert sum(len(item) for item in encoded.to_shared().take(range(100))) == 100_000_000


@pytest.mark.limit_memory("4 MB")
def test_a_large_result_is_stored_and_read_without_a_copy(large_text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record batch has the very bytes that were encoded, and so has who decodes them."""
    monkeypatch.setattr(rows, "decode", len)
    batch = Rows(index=(0,), status=[SUCCEEDED], data=[large_text], error=[None], duration_us=[1]).to_batch()

    assert not isinstance(batch, Rows)
    assert BatchRows(batch).value(0) == len(large_text)


@pytest.mark.limit_memory("1 MB")
def test_a_row_that_is_too_large_for_its_log_is_not_copied_for_it(large_text: bytes, log: RowLog) -> None:
    """The log then knows nothing of what follows, as where its disk is full."""
    log.succeeded(0, large_text, 1)


@pytest.fixture
def large_text() -> bytes:
    """More than a log takes."""
    return bytes(300_000_000)


@pytest.fixture
def log() -> Iterator[RowLog]:
    """The log of a chunk."""
    with row_log("log-of-test-heap") as found:
        assert found is not None
        yield found
