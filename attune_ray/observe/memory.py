"""What the coordinator's memory was, recorded by memray: the only module that knows it, imported when asked for.

Heap bytes are those that the process has allocated since the recording began and not freed: by Python objects
(counted one by one, not by the arenas they live in) and by native code. Mapped memory is not among them: it is mostly
Ray's object store, which this process maps whole (memray's own page shows it). Workers are not recorded. The heap is
sampled every 10 ms: what lives shorter may be missed.
"""

import itertools
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attune_ray.errors import UsageError
from attune_ray.observe.progress import Progress, TaskProgress

__all__ = ["FanOutMemory", "MemoryReport", "Recording", "fan_out_memory"]

_FLAMEGRAPH_LIMIT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutMemory:
    """The heap while one fan-out ran.

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
class MemoryReport:
    """What a recording found.

    Attributes:
        peak_heap_bytes: most heap at any moment.
        n_allocations: how often memory was allocated.
        fan_out: the fan-out with the most items; None: there was none, or it was over between two samples.
        flamegraph_error: why there is no ``flamegraph``; "" when there is.
    """

    capture: Path
    flamegraph: Path
    peak_heap_bytes: int
    n_allocations: int
    fan_out: FanOutMemory | None
    flamegraph_error: str = ""


class Recording:
    """Records this process into ``folder/coordinator.bin`` while entered; an observer as ``progress``.

    Processes that it starts are not recorded, native stacks neither.

    Args:
        folder: is made when it is missing.

    Raises:
        UsageError: when entered: the folder cannot be written, or holds a recording already.
    """

    def __init__(self, folder: Path) -> None:
        self.capture = folder / "coordinator.bin"
        self.flamegraph = folder / "coordinator.html"
        self.progress = Progress(self._changed, time.time)
        self._largest: TaskProgress | None = None

    def __enter__(self) -> Self:
        self._tracker = self._open()
        self._tracker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracker.__exit__(kind, error, trace)

    def report(self) -> MemoryReport:
        """Read the recording and draw its flamegraph; when it has been left. Takes seconds for a long run."""
        import memray  # noqa: PLC0415

        reader = memray.FileReader(str(self.capture))
        samples = _heap_over_time(reader, memray.AllocatorType.MMAP)
        return MemoryReport(
            capture=self.capture,
            flamegraph=self.flamegraph,
            peak_heap_bytes=max((heap for _, heap in samples), default=0),
            n_allocations=reader.metadata.total_allocations,
            fan_out=None if self._largest is None else fan_out_memory(self._largest, samples),
            flamegraph_error=self._draw(),
        )

    def _open(self) -> AbstractContextManager[Any]:
        try:
            import memray  # noqa: PLC0415  40 ms, only when asked for
        except ImportError as error:
            raise UsageError(f"--memray needs memray, which cannot be imported: {error}") from error
        for path in (self.capture, self.flamegraph):
            if path.exists():
                raise UsageError(f"{path} exists already: name another folder, or remove it")
        argv, sys.argv = sys.argv, sys.argv[:1]  # a recording tells its command line, where parameters may stand
        try:
            self.capture.parent.mkdir(parents=True, exist_ok=True)
            tracker: AbstractContextManager[Any] = memray.Tracker(
                destination=memray.FileDestination(str(self.capture), overwrite=False),
                native_traces=False,
                follow_fork=False,
                trace_python_allocators=True,
            )
        except OSError as error:
            raise UsageError(f"cannot record into {self.capture}: {error.strerror or error}") from error
        finally:
            sys.argv = argv
        return tracker

    def _changed(self, task: TaskProgress) -> None:
        if task.is_fan_out and task.n_items and (self._largest is None or task.n_items > (self._largest.n_items or 0)):
            self._largest = task

    def _draw(self) -> str:
        """Have memray's own command write the page, in a process of its own: it takes much memory; "" or the error."""
        command = [sys.executable, "-m", "memray", "flamegraph", "--output", str(self.flamegraph), str(self.capture)]
        try:
            done = subprocess.run(  # noqa: S603  our own arguments
                command, capture_output=True, text=True, timeout=_FLAMEGRAPH_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        told = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        return "" if done.returncode == 0 else told[-1]


def _heap_over_time(reader: Any, mapped: Any) -> list[tuple[float, int]]:
    """Samples of (seconds since 1970, heap bytes) in order, without memory of the allocator ``mapped``."""
    times_s = [sample.time / 1000 for sample in reader.get_memory_snapshots()]
    changes = [0] * (len(times_s) + 1)
    for record in reader.get_temporal_allocation_records(merge_threads=True):
        if record.allocator == mapped:
            continue
        for span in record.intervals:  # from before one sample until before another
            changes[min(span.allocated_before_snapshot, len(times_s))] += span.n_bytes
            if span.deallocated_before_snapshot is not None:
                changes[min(span.deallocated_before_snapshot, len(times_s))] -= span.n_bytes
    return list(zip(times_s, itertools.accumulate(changes), strict=False))


def fan_out_memory(task: TaskProgress, samples: list[tuple[float, int]]) -> FanOutMemory | None:
    """The heap while a fan-out ran, from samples of (seconds, bytes) in order; None: there is none in its time."""
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
