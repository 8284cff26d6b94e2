"""Chunks on Ray workers: the context is put once, orders carry references and a range."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.actions import Catalog
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.context_store import ContextStore
from attune_ray.dispatch.gathering import gather
from attune_ray.dispatch.keeping import KeepsResults
from attune_ray.dispatch.lengths import known_length
from attune_ray.dispatch.orders import Held, order_of, prefix_of, program_of, shape_of
from attune_ray.dispatch.placement import Asked, asked_of
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.sending import answered, code, on_node, put, with_options
from attune_ray.dispatch.worker.items import Items as HeldItems
from attune_ray.dispatch.worker.known import Known
from attune_ray.dispatch.worker.program import Program
from attune_ray.dispatch.worker.recording import RecordingOrder
from attune_ray.dispatch.worker.snapshot import Snapshot
from attune_ray.dispatch.worker.stored import RayRows
from attune_ray.errors import AttuneError, PermanentError, StateError, UsageError, WorkerCrashedError
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, LostItems, TaskOrder
from attune_ray.settings import RecordingSettings, Settings
from attune_ray.values.keeping import Keeping

__all__ = ["RayExecutor"]


@dataclass(slots=True, kw_only=True)
class _HeldOnRay(Held):
    """A task run on Ray.

    Attributes:
        remote: the remote function for its chunks, with what the task asks of its workers.
        asked: that, where it asks for more than a CPU.
        making: the items while they are being made, as far as anybody has heard; None: they are there.
        mending: held by the chunk that has them made anew.
    """

    remote: Any
    asked: Asked | None
    making: "_Making | None" = None
    mending: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def awaited_ref(self) -> Any:
        """Of what the worker answers that makes the items, while chunks wait for them; else None."""
        return None if self.making is None else self.making.refs[0]


@dataclass(frozen=True, slots=True)
class _Making:
    """Items that a worker was told to make, without waiting for it: what it was told, and what it returns."""

    spec: Any
    options: dict[str, Any]
    refs: Any


@dataclass(slots=True)
class RayExecutor(KeepsResults):
    """Runs chunks as Ray tasks; Ray is started by the first task that is opened here."""

    settings: Settings
    catalog: Catalog
    cluster: Cluster
    results: ResultCache
    _known: dict[str, tuple[Known, Any]] = field(default_factory=dict)
    _store: ContextStore | None = None
    _sources_ref: Any = None
    _has_shared_results: bool = False

    async def open(self, order: TaskOrder) -> _HeldOnRay:
        """Put what the task may read, and have its items made where their data is.

        Raises:
            AttuneError: the action's parameters do not fit, the items have no value, or no node can run it.
        """
        program = program_of(order, self.settings.limits)
        order.action.check((order.action.select(program.given) if program.given is not None else program.input).keys())
        slots, asked = await self.cluster.slots(), asked_of(order)
        await self._share_results(order.keeping)
        options = {} if asked is None else asked.options()
        if asked is not None:
            slots = await self._slots(asked)
        snapshot = self._snapshot(order)
        n_items = known_length(order, snapshot) if order.kept is None else None
        spec = self._spec(order, program, snapshot, n_items)
        making = None
        if not program.is_fan_out:
            n_items, items_ref, work = 1, None, spec
        elif n_items:
            making = _Making(spec, options, with_options(code().make_items, options).remote(spec))
            _, items_ref, work = making.refs
        else:
            n_items, items_ref, work = await self._make_items(spec, options)
        held = _HeldOnRay(
            program=program,
            n_items=n_items,
            shape=shape_of(order, self.settings.fan_out, slots),
            work=work,
            items=items_ref,
            results=self.results if program.cache_ttl_s is not None else None,
            max_failed_items=self.settings.limits.failed_items_listed,
            keeping=order.keeping,
            prefix=prefix_of(order),
            remote=with_options(code().perform, options),
            asked=asked,
            making=making,
        )
        held.take_over(order.kept)
        return held

    async def run(self, task: _HeldOnRay, chunk: Chunk) -> ChunkReport:
        """Send a chunk and wait for its summary; its rows stay in the object store."""
        if task.asked is not None and not await self._fitting(task.asked):  # the last node that fitted has left
            return await self.fail(task, chunk, task.asked.refusal(await self.cluster.nodes()))
        told = code().to_bytes(order_of(task, chunk))
        items = task.items
        refs = task.remote.remote(task.work, items, told)
        try:
            summary, rows_ref = await answered(refs, task.awaited_ref)
        except WorkerCrashedError as error:
            return await self._crashed(task, chunk, told, items, str(error))
        except asyncio.CancelledError:
            return await self._stopped(task, chunk, told, refs)
        task.making = None
        return task.keep(chunk, RayRows(rows_ref), _whole(summary))

    async def salvage(self, task: _HeldOnRay, chunk: Chunk, age_s: float) -> ChunkReport:  # noqa: ARG002  as the port has it
        """Look for the rows of a chunk in the store, then for what its worker has left on its machine."""
        if (report := await self._found(task, chunk)) is not None:
            return report
        reason = "its coordinator died"
        report = await self._recovered(task, chunk, code().to_bytes(order_of(task, chunk)), reason)
        ended = () if report.lost is None else report.lost.ended
        return replace(report, lost=LostItems(reason=reason, ended=ended, blameless=True))

    async def _stopped(self, task: _HeldOnRay, chunk: Chunk, told: bytes, refs: Any) -> ChunkReport:
        """The end of a chunk whose worker is being killed: the chunk may have ended before."""
        try:
            summary, rows_ref = await answered(refs, task.awaited_ref)
        except WorkerCrashedError:
            return await self._recovered(task, chunk, told, "it was cancelled")
        return task.keep(chunk, RayRows(rows_ref), _whole(summary))

    async def _crashed(self, task: _HeldOnRay, chunk: Chunk, told: bytes, items: Any, reason: str) -> ChunkReport:
        """The end of a chunk that has lost its worker; or its items theirs, before there were any: it is sent again."""
        await self._mend(task)
        if task.items is not items:
            return await self.run(task, chunk)
        return await self._recovered(task, chunk, told, reason)

    async def _mend(self, task: _HeldOnRay) -> None:
        """See to it that the items of a task run are there; or why they cannot be, which its chunks then say."""
        async with task.mending:
            if (making := task.making) is None:
                return
            try:
                _, task.items, task.work = await self._make_items(making.spec, making.options, making.refs)
            except AttuneError as error:
                task.items, task.work = error, making.spec
            task.making = None

    async def _recovered(self, task: _HeldOnRay, chunk: Chunk, told: bytes, reason: str) -> ChunkReport:
        """What a dead worker has left on its machine, wherever that is: results of items that had ended."""
        for node in await self.cluster.nodes():
            if node["Alive"] and (found := await _left_on(node["NodeID"], told, task.keeping)) is not None:
                (summary, ended, n_begun, blameless), rows_ref = found
                ended_set = set(ended)
                running = None if n_begun is None else tuple(i for i in chunk.items[:n_begun] if i not in ended_set)
                report = task.keep(chunk, RayRows(rows_ref), summary, items=ended)
                lost = LostItems(reason=reason, ended=ended, running=running, blameless=blameless)
                return replace(report, lost=lost)
        return ChunkReport(n_succeeded=0, lost=LostItems(reason=reason))

    async def _items_of(self, task: Held) -> HeldItems | None:
        """The items of a task run, mapped from the object store."""
        if task.items is None or isinstance(task.items, AttuneError):
            return None
        found: HeldItems = await task.items
        return found

    def forget(self, run_id: str) -> None:
        """Let go of what was put for a run."""
        if self._store is not None:
            self._store.forget(run_id)

    def gather_recordings(self) -> None:
        """Bring home what workers on other nodes have recorded of their memory."""
        if self._store is not None and self.settings.recording is not None:
            gather(self.settings.recording)

    async def forget_logs(self, folder: str) -> None:
        """Have every node remove what chunks of a run have left there, for when all of it is kept elsewhere."""
        if self._store is not None:
            for node in await self.cluster.nodes():
                if node["Alive"]:
                    on_node(code().forget, node["NodeID"]).remote(folder)

    async def _share_results(self, keeping: Keeping | None) -> None:
        """Find out, once, whether every node reads what is kept here.

        Raises:
            StateError: one does not.
        """
        if keeping is None or self._has_shared_results:
            return
        others = [node for node in await self.cluster.nodes() if node["Alive"] and node["NodeID"] != code().node_id()]
        if others:
            folder = f"shared-{secrets.token_hex(8)}"  # its own: tasks are opened at the same time
            keeping.results.write(f"{folder}/probe", b"shared")
            answers = [await on_node(code().sees, node["NodeID"]).remote(keeping, f"{folder}/probe") for node in others]
            keeping.results.remove(folder)
            if not all(answers):
                where = ", ".join(
                    node["NodeManagerAddress"] for node, sees in zip(others, answers, strict=True) if not sees
                )
                raise StateError(
                    f"results are kept in {keeping.results}, which these nodes do not share: {where};"
                    " name a place that all of them reach: --results with a shared folder, or s3://bucket/folder"
                )
        self._has_shared_results = True

    def _snapshot(self, order: TaskOrder) -> Snapshot:
        """What the templates of a task may read; the large parts of it are put once per version of the context."""
        if self._store is None:
            self._sources_ref = _put_sources(self.catalog)
            self._store = ContextStore(put)
        return self._store.snapshot(order.context, order.task.references)

    def _spec(self, order: TaskOrder, program: Program, snapshot: Snapshot, n_items: int | None) -> Any:
        """What the chunks of a task run share."""
        return code().Spec(
            id=secrets.token_hex(8),
            program=program,
            snapshot=snapshot,
            sources_ref=self._sources_ref,
            cache_bytes=self.settings.limits.cache_bytes,
            known_ref=self._put_known(program),
            reused_bytes=self.settings.limits.reused_bytes,
            worker_bytes=self.settings.limits.worker_bytes,
            recording=_recording(self.settings.recording),
            keeping=order.keeping,
            n_items=n_items,
        )

    def _put_known(self, program: Program) -> Any:
        """What is known of the calls of a task with ``cache``, put once for as long as it stays the same."""
        known = self.results.known(program.action) if program.cache_ttl_s is not None else None
        if known is None:
            self._known.pop(program.action, None)
            return None
        if program.action not in self._known or self._known[program.action][0] is not known:
            self._known[program.action] = (known, put(known.to_shared()))
        return self._known[program.action][1]

    async def _make_items(self, spec: Any, options: dict[str, Any], refs: Any = None) -> tuple[int, Any, Any]:
        """Have a worker make the items of a fan-out: how many, and references to them and to the spec.

        One that dies of it may be anybody's victim: where memory is short, Ray kills the worker that began last.

        Args:
            refs: what a worker returns that was told to already; None: none was.

        Raises:
            AttuneError: they have no value.
            WorkerCrashedError: as many workers have died of it as may die of an item.
        """
        n_deaths = 0
        while True:
            try:
                refs = refs or with_options(code().make_items, options).remote(spec)
                answer, items_ref, spec_ref = await answered(refs)
                break
            except WorkerCrashedError as error:
                refs, n_deaths = None, n_deaths + 1
                if n_deaths >= self.settings.fan_out.max_crashes:
                    raise WorkerCrashedError(f"the items could not be made: {error}") from error
        if isinstance(answer, AttuneError):
            raise answer
        return answer, items_ref, spec_ref

    async def _fitting(self, asked: Asked) -> int:
        return asked.slots(await self.cluster.nodes(), self.settings.fan_out.slots_per_cpu)

    async def _slots(self, asked: Asked) -> int:
        """How many workers of a task there is room for; where there is for none, a node that may come is waited for.

        The wait is a task that asks for the same and does nothing: an autoscaler starts nodes for tasks that wait.

        Raises:
            PermanentError: no node can run it.
        """
        wait_s = self.settings.ray.placement_wait_s
        if not (slots := await self._fitting(asked)) and wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    waiting = with_options(code().perform, asked.options()).remote(None, None, code().WARM_UP)
                    await answered(waiting)
            slots = await self._fitting(asked)
        if not slots:
            raise PermanentError(asked.refusal(await self.cluster.nodes()))
        return slots


async def _left_on(node_id: str, told: bytes, keeping: Keeping | None) -> tuple[Any, Any] | None:
    """What a dead worker has left of a chunk on a node; None: nothing, or the node has left as well.

    Raises:
        StateError: it cannot be kept.
    """
    try:
        saved, rows_ref = await answered(on_node(code().recover, node_id).remote(told, keeping))
    except WorkerCrashedError:
        return None
    return None if saved is None else (_whole(saved), rows_ref)


def _whole(answer: Any) -> Any:
    """What a worker has answered, if it could keep its rows.

    Raises:
        StateError: it could not.
    """
    if isinstance(answer, StateError):
        raise answer
    return answer


def _recording(settings: RecordingSettings | None) -> RecordingOrder | None:
    """What workers are told of the recording of their memory, in the words of the cluster."""
    if settings is None:
        return None
    return RecordingOrder(folder=settings.folder, node=code().node_id(), elsewhere=settings.elsewhere)


def _put_sources(catalog: Catalog) -> Any:
    """Send the action sources; functions travel by value, so that a script's own need not be importable."""
    import sys  # noqa: PLC0415

    from ray import cloudpickle  # noqa: PLC0415

    functions = (getattr(source, "function", None) for source in catalog.sources)
    names = {function.__module__ for function in functions if function is not None} - {"__main__"}
    modules = [sys.modules[name] for name in names if name in sys.modules]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        return put(catalog.sources)
    except (TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"an action function cannot be sent to workers: {error}; name its module or file instead"
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]
