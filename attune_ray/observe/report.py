"""The memory report as text and as ``summary.json``."""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attune_ray.errors import UsageError
from attune_ray.observe.memory import Allocator, FanOutMemory, MemoryReport, ProcessMemory
from attune_ray.observe.text import byte_count, harmless, table

__all__ = ["SUMMARY", "load_summary", "render_memory", "save_summary"]

SUMMARY = "summary.json"
_VERSIONS = ("attune-ray", "ray", "memray", "pyarrow", "numpy")
_SHOWN = 5


def render_memory(report: MemoryReport) -> str:
    """Small tables, and where the recordings and their pages are."""
    coordinator, *_ = report.processes
    parts = [table(("memory of the coordinator", ""), list(_coordinator_rows(coordinator, report.fan_out)))]
    if coordinator.largest:
        rows = [
            (_short(found.where), byte_count(found.n_bytes), f"{found.n_allocations:,}")
            for found in coordinator.largest[:_SHOWN]
        ]
        parts.append(table(("largest at its peak", "heap", "allocations"), rows))
    if workers := [*_worker_rows(report)]:
        parts.append(table(("process", "peak heap", "allocations", "largest at its peak"), workers, left=1))
    parts.append(_places(report))
    return "\n\n".join(parts)


def _coordinator_rows(process: ProcessMemory, fan_out: FanOutMemory | None) -> Iterator[tuple[str, str]]:
    if process.error:
        yield process.process, process.error
        return
    yield "peak heap", byte_count(process.peak_heap_bytes)
    yield "allocations", f"{process.n_allocations:,}"
    if fan_out is not None:
        yield f"heap when {fan_out.task} began", byte_count(fan_out.before_bytes)
        yield f"peak heap while {fan_out.task} ran", byte_count(fan_out.peak_bytes)
        yield f"growth per item of {fan_out.n_items:,}", f"{fan_out.bytes_per_item:,.1f} B"


def _worker_rows(report: MemoryReport) -> Iterator[tuple[str, str, str, str]]:
    for process in report.processes[1:]:
        if process.error:
            yield process.process, "–", "–", process.error
            continue
        largest = process.largest[0].where if process.largest else ""
        yield process.process, byte_count(process.peak_heap_bytes), f"{process.n_allocations:,}", _short(largest)


def _places(report: MemoryReport) -> str:
    lines = [f"recordings and flamegraphs: {report.folder}"]
    undrawn = [process for process in report.processes if process.flamegraph_error]
    lines += [f"flamegraph of {process.process}: not drawn: {process.flamegraph_error}" for process in undrawn]
    lines += [f"kept elsewhere: {place}" for place in report.elsewhere]
    return "\n".join(harmless(line) for line in lines)


def _short(where: str) -> str:
    """``function (file:line)`` with the last two names of the path alone."""
    function, found, place = where.partition(" (")
    return f"{function} ({'/'.join(place.split('/')[-2:])}" if found else where


def save_summary(report: MemoryReport) -> Path:
    """Write ``summary.json`` beside the recordings."""
    fan_out = report.fan_out
    written = {
        "processes": [dataclasses.asdict(process) for process in report.processes],
        "elsewhere": report.elsewhere,
        "fan_out": fan_out and {**dataclasses.asdict(fan_out), "bytes_per_item": fan_out.bytes_per_item},
        "versions": {"python": platform.python_version(), **dict(_versions())},
    }
    path = report.folder / SUMMARY
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load_summary(folder: Path) -> MemoryReport:
    """The report that a ``summary.json`` holds.

    Raises:
        UsageError: it cannot be read, or is none of ours.
    """
    path = folder / SUMMARY
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fan_out = read["fan_out"] and {key: read["fan_out"][key] for key in FanOutMemory.__dataclass_fields__}
        return MemoryReport(
            folder=folder,
            processes=tuple(_process(process) for process in read["processes"]),
            elsewhere=tuple(map(str, read["elsewhere"])),
            fan_out=FanOutMemory(**fan_out) if fan_out else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} cannot be read ({type(error).__name__}: {error}): remove it, and the recordings are read again"
        ) from error


def _process(read: dict[str, Any]) -> ProcessMemory:
    largest = tuple(Allocator(**allocator) for allocator in read["largest"])
    return ProcessMemory(**{**read, "largest": largest})


def _versions() -> Iterator[tuple[str, str]]:
    for name in _VERSIONS:
        yield name, importlib.metadata.version(name)
