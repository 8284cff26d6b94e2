"""The functions that Ray runs, and what a worker process keeps between its chunks.

Nothing here is captured by value: the function lives in an importable module, and what a process keeps is reached
through a function, so a pickle of it never carries a cache along.
"""

import functools
import mmap
import pickle
import signal
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from attune_ray.actions import Catalog, Source
from attune_ray.dispatch.worker.attempt import Summary, failed_rows, summary_of
from attune_ray.dispatch.worker.chunk import Order, run_chunk
from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.dispatch.worker.items import Items
from attune_ray.dispatch.worker.kept_rows import is_inline, kept
from attune_ray.dispatch.worker.known import Known, Reuse
from attune_ray.dispatch.worker.program import OpenContext, Program, Work, encode_items, open_work
from attune_ray.dispatch.worker.recording import (
    RecordingOrder,
    names_recorded,
    part_recorded,
    record,
    remove_recorded,
)
from attune_ray.dispatch.worker.row_log import RowLog, forget_logs, row_log, saved_rows
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.snapshot import DecodedCache, Snapshot, open_context
from attune_ray.errors import AttuneError, EngineError, StateError, UsageError
from attune_ray.values.keeping import Keeping

__all__ = [
    "WARM_UP",
    "Spec",
    "answer_of",
    "forget",
    "forget_recordings",
    "make_items",
    "node_id",
    "perform",
    "recording_part",
    "recordings",
    "recover",
    "sees",
    "to_bytes",
]

_OPENED = 16
"""Task runs that a worker keeps open: more fan-outs than that at once compile anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A task run as all its chunks share it: the program, and the context as values and references.

    That of a fan-out travels once: the worker that makes the items hands it back as an object for the chunks. A put of
    it by the coordinator would take as long as a submission (0.5 ms).

    Attributes:
        id: its own, whatever the run is called: what workers know an opened task run by.
        sources_ref: the action sources of the engine, which fill the worker's catalog.
        cache_bytes: encoded bytes of decoded context that a worker may keep.
        known_ref: of a task with ``cache``, the results of earlier calls; None: there are none.
        reused_bytes: of results that a process may keep for such a task.
        worker_bytes: of memory that a worker may have to itself when a chunk has ended.
        recording: where workers record their memory; None: they do not.
        keeping: how the rows of its chunks outlive the cluster; None: they do not.
        n_items: as the coordinator has told the engine before the items were made; None: it waits to be told.
        bytes_decoded: of context, by who made the items; the chunk that begins with the first one tells of them.
    """

    id: str
    program: Program
    snapshot: Snapshot
    sources_ref: Any
    cache_bytes: int
    known_ref: Any = None
    reused_bytes: int = 0
    worker_bytes: int = 2**63
    recording: RecordingOrder | None = None
    keeping: Keeping | None = None
    n_items: int | None = None
    bytes_decoded: int = 0


WARM_UP = b"warm up"
"""The order to do nothing, which importing this module is a part of."""


def node_id() -> str:
    """The id of the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def to_bytes(order: Order) -> bytes:
    """An order as it travels: bytes, because Ray takes them as they are; a dataclass costs 0.15 ms a submission."""
    indexes = order.indexes
    bounds = (indexes.start, indexes.stop) if isinstance(indexes, range) else None
    return encode(
        (bounds, None if bounds else indexes, order.attempt, order.width, order.budget_s, order.now_s, order.name)
    )


def _order(told: bytes) -> Order:
    bounds, singles, attempt, width, budget_s, now_s, name = decode(told)
    indexes = range(*bounds) if bounds is not None else tuple(singles)
    return Order(indexes=indexes, attempt=attempt, width=width, budget_s=budget_s, now_s=now_s, name=name)


def answer_of(told: bytes) -> Any:
    """What a worker has answered: it travels as bytes, which Ray hands over as they are (0.1 ms less an answer)."""
    return pickle.loads(told)  # noqa: S301  our own worker's, over a transport that is pickle itself


def _perform(spec: Spec | None, items: Items | AttuneError | None, told: bytes) -> tuple[bytes, Any]:
    """Run a chunk.

    Args:
        spec: None with WARM_UP.
        items: those of the fan-out, or why there are none; None for a plain task.
        told: WARM_UP, or an order as ``to_bytes`` gives it.

    Returns:
        A summary for the coordinator, or why its rows cannot be kept, for ``answer_of``; and the rows as an Arrow
        record batch, which stay in the object store.
    """
    if spec is None:
        return pickle.dumps(None), None
    process = _begun(spec)
    order, before = _order(told), process.cache.bytes_decoded
    with row_log(order.name, stays=spec.keeping is not None) as log:
        summary, rows = _ran(process, spec, items, order, log)
        n_decoded = process.cache.bytes_decoded - before
        if order.attempt == 1 and order.indexes[0] == 0:
            n_decoded += spec.bytes_decoded
        summary = summary._replace(context_bytes_decoded=n_decoded)
        try:
            told_back: Summary | StateError = _kept(rows, summary, order.name, spec.keeping, log)
        except StateError as error:
            told_back = error
    answer = pickle.dumps(told_back), rows.to_batch()
    if _own_bytes() > spec.worker_bytes:
        _retire()
    return answer


def _ran(
    process: "_Process", spec: Spec, items: Items | AttuneError | None, order: Order, log: RowLog | None
) -> tuple[Summary, Rows]:
    """Run a chunk; where its task cannot be opened here, all its items have failed."""
    try:
        if isinstance(items, AttuneError):
            raise items
        return run_chunk(process.work(spec, items), order, log)
    except AttuneError as error:
        program, told = spec.program, spec.program.secrets.mask(str(error))
        taken = () if items is None or isinstance(items, AttuneError) else items.take(order.indexes)
        return failed_rows(order.indexes, told, attempt=order.attempt, is_fan_out=program.is_fan_out, items=taken)


def _kept(rows: Rows, summary: Summary, name: str, keeping: Keeping | None, log: RowLog | None) -> Summary:
    """Keep the rows of a chunk.

    The log of those that go into the journal stays until the run has ended: when they are there, no worker is told.

    Raises:
        StateError: they cannot be kept; the log stays.
    """
    if keeping is None:
        return summary
    told = kept(rows, summary, name, keeping)
    if log is not None:
        log.stays = is_inline(rows, keeping)
    return told


def _make_items(spec: Spec) -> tuple[bytes, Any, Spec]:
    """Make the items of a fan-out.

    Returns:
        For ``answer_of``: their number, or an error; themselves, or that error; and the spec, as an object that chunks
        refer to.
    """
    process = _begun(spec)
    before = process.cache.bytes_decoded
    answer, items = process.make_items(spec)
    return pickle.dumps(answer), items, replace(spec, bytes_decoded=process.cache.bytes_decoded - before)


def _recover(told: bytes, keeping: Keeping | None) -> tuple[bytes, Any]:
    """Look on this machine for what a dead worker has left of a chunk.

    Args:
        told: the order that the worker had.
        keeping: as of its Spec.

    Returns:
        For ``answer_of``: a summary of the items that had ended, their indexes, how many of the first items were
        begun (None: not known), and whether one of those that had ended is what the worker died of; or None, or why the
        rows cannot be kept. And the rows as an Arrow record batch.
    """
    order = _order(told)
    saved = saved_rows(order.name, order.indexes, order.attempt, stays=keeping is not None)
    if saved is None:
        return pickle.dumps(None), None
    try:
        summary = _kept(saved.rows, summary_of(saved), f"{order.name}-left", keeping, None)
    except StateError as error:
        return pickle.dumps(error), None
    return pickle.dumps((summary, saved.rows.index, saved.n_begun, saved.blameless)), saved.rows.to_batch()


def _sees(keeping: Keeping, name: str) -> bool:
    """Whether this node reads what the coordinator has kept."""
    try:
        keeping.results.read(name)
    except StateError:
        return False
    return True


def _forget(folder: str) -> None:
    """Remove the logs of a run's chunks from this machine."""
    forget_logs(folder)


def _begun(spec: Spec) -> "_Process":
    """This process, its memory recorded from here on if that is asked for."""
    if spec.recording is not None:
        record(spec.recording, node_id())
    return _process()


def _own_bytes() -> int:
    """Memory of this process that it shares with no other; 0 where the system does not tell."""
    try:
        _, resident, shared, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def _retire() -> None:
    """Have this process end when Ray has handed over what the current chunk returns, and before another one comes.

    Ray does that after ``max_calls`` of a function. It has no way to ask for it, so its count is set to be full.
    """
    counts = ray._private.worker.global_worker.function_actor_manager._num_task_executions  # noqa: SLF001
    counts.update(dict.fromkeys(counts, _MOST_CALLS - 1))


_MOST_CALLS = 10**9
"""Chunks after which Ray ends a worker, whatever it holds: what matters is that there is a number."""
_OPTIONS: dict[str, Any] = {"max_retries": 0, "enable_task_events": False}
perform = ray.remote(num_returns=2, max_calls=_MOST_CALLS, **_OPTIONS)(_perform)
"""The remote function: Ray retries nothing, since the engine owns the budget; its events would cost more than it."""
make_items = ray.remote(num_returns=3, **_OPTIONS)(_make_items)
"""The one that a fan-out begins with."""
recover = ray.remote(num_returns=2, num_cpus=0, **_OPTIONS)(_recover)
"""The one that looks after a dead worker; it needs no slot."""
sees = ray.remote(num_cpus=0, **_OPTIONS)(_sees)
"""The one that looks whether a node shares the store of results."""
forget = ray.remote(num_cpus=0, **_OPTIONS)(_forget)
"""The one that tidies up after a run that was kept."""
recordings = ray.remote(num_cpus=0, **_OPTIONS)(names_recorded)
recording_part = ray.remote(num_cpus=0, **_OPTIONS)(part_recorded)
forget_recordings = ray.remote(num_cpus=0, **_OPTIONS)(remove_recorded)
"""Those that bring home what workers of other nodes have recorded."""


@dataclass(slots=True)
class _Process:
    """What this worker process keeps: decoded context, opened task runs, catalogs of actions."""

    cache: DecodedCache = field(default_factory=DecodedCache)
    opened: OrderedDict[str, Work] = field(default_factory=OrderedDict)
    catalogs: dict[bytes, Catalog] = field(default_factory=dict)

    def work(self, spec: Spec, items: Items | None) -> Work:
        """A task run opened in this process: the first of its chunks does so."""
        key = spec.id
        if key in self.opened:
            self.opened.move_to_end(key)
            return self.opened[key]
        action = self.catalog(spec.sources_ref)[spec.program.action]
        context = self._context_of(spec)
        work = self.opened[key] = open_work(spec.program, action, items, context, reuse=_reuse(spec))
        if len(self.opened) > _OPENED:
            self.opened.popitem(last=False)
        return work

    def make_items(self, spec: Spec) -> tuple[Any, Any]:
        """The items of a fan-out: their number, and themselves; or why there are none, twice."""
        try:
            items = encode_items(spec.program, self._context_of(spec))
            if spec.n_items not in {None, len(items)}:
                raise EngineError(f"with_items gives {len(items)} item(s), where {spec.n_items} were counted")
        except AttuneError as error:
            return error, error
        return len(items), items.to_shared()

    def _context_of(self, spec: Spec) -> OpenContext:
        """How the context of a task run is opened here."""
        self.cache.max_bytes = spec.cache_bytes
        program = spec.program
        return functools.partial(open_context, spec.snapshot, cache=self.cache, now=program.now, seed=program.seed)

    def catalog(self, ref: Any) -> Catalog:
        """The actions of an engine: loaded once per process.

        Raises:
            UsageError: a source cannot be loaded here.
        """
        key = ref.binary()
        if key not in self.catalogs:
            self.catalogs[key] = Catalog(_sources(ref))
        return self.catalogs[key]


def _reuse(spec: Spec) -> Reuse | None:
    """Where a task with ``cache`` finds results of earlier calls."""
    if spec.program.cache_ttl_s is None:
        return None
    known = Known({}, b"") if spec.known_ref is None else ray.get(spec.known_ref)
    return Reuse(known=known, ttl_s=spec.program.cache_ttl_s, most_bytes=spec.reused_bytes)


def _sources(ref: Any) -> tuple[Source, ...]:
    try:
        found: tuple[Source, ...] = ray.get(ref)
    except Exception as error:
        told = str(error).strip().rpartition("\n")[2]
        raise UsageError(f"an action function cannot be loaded on a worker: {told}") from error
    return found


@functools.cache
def _process() -> _Process:
    """This process from its first chunk on: told to end, it dies, so that what it was at is run again.

    Ray's own handler raises SystemExit wherever the main thread is: in an action, which then would have failed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return _Process()
