"""Chunks on Ray workers: the context is put once, orders carry references and a range."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from attune_ray.actions import Catalog
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.context_store import ContextStore
from attune_ray.dispatch.orders import Held, crashed_rows, failure, program_of, shape_of
from attune_ray.dispatch.worker.results import FanOutResult, PlainResult
from attune_ray.dispatch.worker.stored import LocalRows, RayRows
from attune_ray.errors import AttuneError, EngineError, UsageError, WorkerCrashedError
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, TaskOrder
from attune_ray.settings import Settings

__all__ = ["RayExecutor"]

_log = logging.getLogger("attune_ray")


@dataclass(slots=True)
class RayExecutor:
    """Runs chunks as Ray tasks; Ray is started by the first task that is opened here."""

    settings: Settings
    catalog: Catalog
    cluster: Cluster
    _store: ContextStore | None = None
    _sources_ref: Any = None
    _in_flight: set[Any] = field(default_factory=set)

    async def open(self, order: TaskOrder) -> Held:
        """Put what the task may read, and have its items made where their data is.

        Raises:
            AttuneError: the action's parameters do not fit, or the items have no value.
        """
        program = program_of(order, self.settings.limits)
        order.action.check((order.action.select(program.given) if program.given is not None else program.input).keys())
        slots = await self.cluster.slots()
        from attune_ray.dispatch.remote import ChunkOrder, Spec  # noqa: PLC0415  imports ray

        store = self._connected()
        spec = Spec(
            program=program,
            snapshot_ref=store.snapshot_ref(order.context, order.task.references),
            sources_ref=self._sources_ref,
            cache_bytes=self.settings.limits.cache_bytes,
        )
        n_items, items_ref = 1, None
        if program.is_fan_out:
            n_items, items_ref = await self._make_items(ChunkOrder(_put(spec), None))
            spec = Spec(
                program=program,
                snapshot_ref=spec.snapshot_ref,
                sources_ref=spec.sources_ref,
                items_ref=items_ref,
                cache_bytes=spec.cache_bytes,
            )
        return Held(
            program=program,
            n_items=n_items,
            shape=shape_of(order, self.settings.fan_out, slots),
            work=_put(spec),
            items=items_ref,
            max_failed_items=self.settings.limits.failed_items_listed,
        )

    async def run(self, task: Held, chunk: Chunk) -> ChunkReport:
        """Send a chunk and wait for its summary; its rows stay in the object store."""
        from attune_ray.dispatch.remote import ChunkOrder  # noqa: PLC0415

        order = ChunkOrder(task.work, chunk.items, chunk.attempt, chunk.width)
        summary, rows_ref = await self._perform(order)
        return task.keep(chunk, RayRows(rows_ref), summary)

    async def fail(self, task: Held, chunk: Chunk, reason: str) -> ChunkReport:
        """Store failed items, in this process."""
        summary, rows = crashed_rows(task, chunk, reason)
        return task.keep(chunk, LocalRows(rows), summary)

    def result(self, task: Held, *, succeeded: bool) -> PlainResult | FanOutResult:
        """The result of an ended task run."""
        return task.result(succeeded=succeeded)

    def failure(self, error: str) -> PlainResult:
        """The result of a task that could not be opened."""
        return failure(error)

    def forget(self, run_id: str) -> None:
        """Let go of what was put for a run."""
        if self._store is not None:
            self._store.forget(run_id)

    def _connected(self) -> ContextStore:
        if self._store is None:
            self._sources_ref = _put_sources(self.catalog)
            self._store = ContextStore(_put)
        return self._store

    async def _make_items(self, order: Any) -> tuple[int, Any]:
        answer, items_ref = await self._perform(order)
        if isinstance(answer, AttuneError):
            raise answer
        return answer, items_ref

    async def _perform(self, order: Any) -> tuple[Any, Any]:
        """Run the remote function; a cancelled wait kills what it waits for.

        Raises:
            WorkerCrashedError: its process died.
            EngineError: it raised, which our remote code never should.
        """
        import ray  # noqa: PLC0415

        answer_ref, kept_ref = _submit(order)
        try:
            return await answer_ref, kept_ref
        except asyncio.CancelledError:
            ray.cancel(answer_ref, force=True)
            raise
        except ray.exceptions.RayTaskError as error:
            raise EngineError(f"a worker failed outside any action: {error}") from error
        except ray.exceptions.RayError as error:
            raise WorkerCrashedError(_crash(error)) from error


def _submit(order: Any) -> tuple[Any, Any]:
    """Send an order; the references to its two answers."""
    from attune_ray.dispatch.remote import perform  # noqa: PLC0415

    refs: Any = perform.options(enable_task_events=False).remote(order)
    return refs[0], refs[1]


def _put(value: Any) -> Any:
    import ray  # noqa: PLC0415

    return ray.put(value)


def _put_sources(catalog: Catalog) -> Any:
    """Send the action sources; functions travel by value, so that a script's own need not be importable."""
    import sys  # noqa: PLC0415

    from ray import cloudpickle  # noqa: PLC0415

    modules = {
        sys.modules[function.__module__]
        for function in (getattr(source, "function", None) for source in catalog.sources)
        if function is not None and function.__module__ != "__main__"
    }
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        return _put(catalog.sources)
    except (TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"an action function cannot be sent to workers: {error}; name its module or file instead"
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _crash(error: Exception) -> str:
    """What a dead worker looked like from here, in one sentence."""
    kind = type(error).__name__
    told = {
        "WorkerCrashedError": "its worker process died (a crash, an exit, or a kill)",
        "OutOfMemoryError": "its worker process was killed because the machine ran out of memory",
        "NodeDiedError": "its machine left the cluster",
        "TaskCancelledError": "it was cancelled",
    }
    return told.get(kind, f"its worker process was lost ({kind})")
