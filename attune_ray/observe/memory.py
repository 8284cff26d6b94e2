"""What recordings of memray say: the heap of the coordinator and of its workers, read when asked for.

Heap bytes are those that a process has allocated since its recording began and not freed: by Python objects
(counted one by one, not by the arenas they live in) and by native code. Mapped memory is not among them: it is mostly
Ray's object store, which every process maps whole (memray's own page shows it). The heap is sampled every 10 ms: what
lives shorter may be missed.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attune_ray.errors import UsageError
from attune_ray.observe.flamegraph import draw
from attune_ray.observe.progress import TaskProgress

__all__ = [
    "COORDINATOR",
    "Allocator",
    "FanOutMemory",
    "MemoryReport",
    "ProcessMemory",
    "Sample",
    "fan_out_memory",
    "read_folder",
]

Sample = tuple[float, int]
"""Seconds since 1970, and heap bytes at that time."""

_LARGEST = 10
COORDINATOR = "coordinator"
"""The stem of its recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutMemory:
    """The heap of the coordinator while one fan-out ran.

    Attributes:
        task: its task run, as ``name`` or ``name#2``.
        before_bytes: heap when its items were known.
        peak_bytes: most heap from then until its end.
    """

    task: str
    n_items: int
    before_bytes: int
    peak_bytes: int

    @property
    def bytes_per_item(self) -> float:
        """How much the heap grew at most while it ran, by its items: whatever grew meanwhile is in it."""
        return (self.peak_bytes - self.before_bytes) / self.n_items


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocator:
    """A line of code, and what it had allocated and not freed when the heap was largest.

    Attributes:
        where: ``function (file:line)``, or ``native code`` where no Python code was running.
    """

    where: str
    n_bytes: int
    n_allocations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """What the recording of one process says.

    Attributes:
        process: ``coordinator``, or ``worker-<host>-<process id>``; its recording is that with ``.bin``, its
            flamegraph with ``.html``.
        peak_heap_bytes: most heap at any moment.
        n_allocations: how often memory was allocated.
        largest: by bytes, the largest first.
        error: why it could not be recorded or read; "" where it could.
        flamegraph_error: why there is no flamegraph; "" where there is one.
    """

    process: str
    peak_heap_bytes: int = 0
    n_allocations: int = 0
    largest: tuple[Allocator, ...] = ()
    error: str = ""
    flamegraph_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReport:
    """What the recordings in a folder say.

    Attributes:
        processes: the coordinator first.
        elsewhere: recordings that workers keep on other machines, as ``host:path``.
        fan_out: the fan-out with the most items; None: there was none, or it was over between two samples, or the
            recordings alone are left of the run.
    """

    folder: Path
    processes: tuple[ProcessMemory, ...]
    elsewhere: tuple[str, ...] = ()
    fan_out: FanOutMemory | None = None


def read_folder(folder: Path, fan_out: TaskProgress | None = None) -> MemoryReport:
    """Read every recording of a folder, and draw the flamegraphs that are not there; about 1 s a million allocations.

    Args:
        fan_out: what to compute the bytes per item of.

    Raises:
        UsageError: there is no recording, or memray is missing.
    """
    recordings = sorted(folder.glob("*.bin"), key=lambda path: (path.stem != COORDINATOR, path.stem))
    if not recordings:
        raise UsageError(f"{folder} holds no recording: attune-ray run FILE --memray {folder} makes one")
    processes, found = [], None
    for recording in recordings:
        process, samples = _read(recording)
        processes.append(process)
        if fan_out is not None and process.process == COORDINATOR:
            found = fan_out_memory(fan_out, samples)
    processes += [_failed(note) for note in sorted(folder.glob("*.error"))]
    errors = draw([folder / f"{process.process}.bin" for process in processes if not process.error])
    drawn = (replace(process, flamegraph_error=errors.get(process.process, "")) for process in processes)
    return MemoryReport(folder=folder, processes=tuple(drawn), fan_out=found)


def _failed(note: Path) -> ProcessMemory:
    """A process that could not be recorded; it has left a note that says why."""
    try:
        told = note.read_text(encoding="utf-8", errors="replace")[:500]
    except OSError as error:
        told = error.strerror or str(error)
    return ProcessMemory(process=note.stem, error=f"not recorded: {told}")


def _read(recording: Path) -> tuple[ProcessMemory, list[Sample]]:
    """One recording; that of a process that was killed ends where it was killed."""
    try:
        import memray  # noqa: PLC0415  40 ms, only when asked for
    except ImportError as error:
        raise UsageError(f"a recording cannot be read without memray: {error}") from error
    try:
        reader = memray.FileReader(str(recording))
        times_s = [sample.time / 1000 for sample in reader.get_memory_snapshots()]
        kept = [
            record
            for record in reader.get_temporal_allocation_records(merge_threads=True)
            if record.allocator != memray.AllocatorType.MMAP
        ]
    except (OSError, RuntimeError, ValueError) as error:
        told = str(error).strip().rpartition("\n")[2]
        return ProcessMemory(process=recording.stem, error=f"cannot be read: {told}"), []
    heap = _heap_over_time(kept, len(times_s))
    peak = max(range(len(heap)), key=heap.__getitem__, default=0)
    process = ProcessMemory(
        process=recording.stem,
        peak_heap_bytes=heap[peak] if heap else 0,
        n_allocations=reader.metadata.total_allocations,
        largest=_largest(kept, peak),
    )
    return process, list(zip(times_s, heap, strict=False))


def _heap_over_time(records: Iterable[Any], n_samples: int) -> list[int]:
    """Heap bytes at each sample, and at the end."""
    changes = [0] * (n_samples + 1)
    for record in records:
        for span in record.intervals:  # from before one sample until before another
            changes[min(span.allocated_before_snapshot, n_samples)] += span.n_bytes
            if span.deallocated_before_snapshot is not None:
                changes[min(span.deallocated_before_snapshot, n_samples)] -= span.n_bytes
    return list(itertools.accumulate(changes))


def _largest(records: Iterable[Any], at: int) -> tuple[Allocator, ...]:
    """The lines of code whose allocations were the largest part of the heap at a sample."""
    held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for record in records:
        for span in record.intervals:
            freed = span.deallocated_before_snapshot
            if span.allocated_before_snapshot <= at and (freed is None or freed > at):
                total = held[_where(record)]
                total[0] += span.n_bytes
                total[1] += span.n_allocations
    ranked = sorted(held.items(), key=lambda entry: entry[1], reverse=True)[:_LARGEST]
    return tuple(Allocator(where=where, n_bytes=held[0], n_allocations=held[1]) for where, held in ranked)


def _where(record: Any) -> str:
    stack = record.stack_trace(1)
    if not stack:
        return "native code"
    function, file, line = stack[0]
    return f"{function} ({file}:{line})"


def fan_out_memory(task: TaskProgress, samples: list[Sample]) -> FanOutMemory | None:
    """The heap while a fan-out ran, from samples in order; None: there is none in its time."""
    began_s, ended_s = task.prepared_s, task.ended_s
    if began_s is None or not task.n_items:
        return None
    before = [heap for at_s, heap in samples if at_s <= began_s]
    during = [heap for at_s, heap in samples if began_s < at_s and (ended_s is None or at_s <= ended_s)]
    if not before or not during:
        return None
    return FanOutMemory(
        task=str(task.run), n_items=task.n_items, before_bytes=before[-1], peak_bytes=max(before[-1], *during)
    )
