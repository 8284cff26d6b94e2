"""The one function that Ray runs, and what a worker process keeps between its chunks.

Nothing here is captured by value: the function lives in an importable module, and what a process keeps is reached
through a function, so a pickle of it never carries a cache along.
"""

import functools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import ray

from attune_ray.actions import Catalog, Source
from attune_ray.dispatch.worker.attempt import failed_rows
from attune_ray.dispatch.worker.chunk import run_chunk
from attune_ray.dispatch.worker.program import OpenContext, Program, Work, encode_items, open_work
from attune_ray.dispatch.worker.snapshot import DecodedCache, Snapshot, open_context
from attune_ray.errors import AttuneError
from attune_ray.expression import References, WorkflowContext

__all__ = ["ChunkOrder", "Spec", "perform"]

_OPENED = 16
"""Task runs that a worker keeps open: more fan-outs than that at once compile anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A task run as it is put for its chunks: references only, and the program.

    Attributes:
        sources_ref: the action sources of the engine, which fill the worker's catalog.
        items_ref: a reference to EncodedItems; None for a plain task, and while the items are being made.
    """

    program: Program
    snapshot_ref: Any
    sources_ref: Any
    items_ref: Any = None
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """A chunk for a worker; ``items`` None: make the items of the fan-out."""

    spec_ref: Any
    items: range | tuple[int, ...] | None
    attempt: int = 1
    width: int = 1


@ray.remote(num_returns=2, max_retries=0)
def perform(order: ChunkOrder) -> tuple[Any, Any]:
    """Run a chunk, or make the items of a fan-out.

    Returns:
        A summary for the coordinator (or the number of items, or an error), and what stays in the object store: the
        rows as an Arrow record batch, or the items.
    """
    process = _process()
    if order.items is None:
        return process.make_items(order.spec_ref)
    before = process.cache.bytes_decoded
    try:
        work = process.work(order.spec_ref)
    except AttuneError as error:
        program = process.spec(order.spec_ref).program
        summary, rows = failed_rows(order.items, str(error), attempt=order.attempt, is_fan_out=program.is_fan_out)
    else:
        summary, rows = run_chunk(
            work, order.items, attempt=order.attempt, width=order.width, cache=process.cache, decoded_before=before
        )
    return summary, rows.to_batch()


@dataclass(slots=True)
class _Process:
    """What this worker process keeps: decoded context, opened task runs, catalogs of actions."""

    cache: DecodedCache = field(default_factory=DecodedCache)
    opened: OrderedDict[bytes, Work] = field(default_factory=OrderedDict)
    catalogs: dict[bytes, Catalog] = field(default_factory=dict)
    snapshots: OrderedDict[bytes, Snapshot] = field(default_factory=OrderedDict)

    def spec(self, ref: Any) -> Spec:
        """The specification of a task run."""
        spec: Spec = ray.get(ref)
        self.cache.max_bytes = spec.cache_bytes
        return spec

    def work(self, ref: Any) -> Work:
        """A task run opened in this process: the first of its chunks does so."""
        key = ref.binary()
        if key in self.opened:
            self.opened.move_to_end(key)
            return self.opened[key]
        spec = self.spec(ref)
        action = self.catalog(spec.sources_ref)[spec.program.action]
        items = None if spec.items_ref is None else ray.get(spec.items_ref)
        work = self.opened[key] = open_work(spec.program, action, items, self.context_of(spec))
        if len(self.opened) > _OPENED:
            self.opened.popitem(last=False)
        return work

    def make_items(self, ref: Any) -> tuple[Any, Any]:
        """The items of a fan-out: their number, and themselves."""
        spec = self.spec(ref)
        try:
            items = encode_items(spec.program, self.context_of(spec))
        except AttuneError as error:
            return error, None
        return len(items), items.to_shared()

    def context_of(self, spec: Spec) -> OpenContext:
        """How the context of a task run is opened here."""

        def opened(references: References) -> WorkflowContext:
            snapshot = self._snapshot(spec.snapshot_ref)
            return open_context(snapshot, references, self.cache, now=spec.program.now, seed=spec.program.seed)

        return opened

    def _snapshot(self, ref: Any) -> Snapshot:
        key = ref.binary()
        if key not in self.snapshots:
            self.snapshots[key] = ray.get(ref)
            if len(self.snapshots) > _OPENED:
                self.snapshots.popitem(last=False)
        return self.snapshots[key]

    def catalog(self, ref: Any) -> Catalog:
        """The actions of an engine: loaded once per process."""
        key = ref.binary()
        if key not in self.catalogs:
            sources: tuple[Source, ...] = ray.get(ref)
            self.catalogs[key] = Catalog(sources)
        return self.catalogs[key]


@functools.cache
def _process() -> _Process:
    return _Process()
