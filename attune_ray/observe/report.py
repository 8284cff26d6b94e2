"""The memory report as text."""

from attune_ray.observe.memory import MemoryReport
from attune_ray.observe.text import byte_count, harmless, table

__all__ = ["render_memory"]


def render_memory(report: MemoryReport) -> str:
    """A small table, and where the recording and its page are."""
    rows = [
        ("peak heap of the coordinator", byte_count(report.peak_heap_bytes)),
        ("allocations", f"{report.n_allocations:,}"),
    ]
    if (fan_out := report.fan_out) is not None:
        rows += [
            (f"heap when {fan_out.task} began", byte_count(fan_out.before_bytes)),
            (f"peak heap while {fan_out.task} ran", byte_count(fan_out.peak_bytes)),
            (f"growth per item of {fan_out.n_items:,}", f"{fan_out.bytes_per_item:,.1f} B"),
        ]
    drawn = f"not drawn: {report.flamegraph_error}" if report.flamegraph_error else str(report.flamegraph)
    return f"{table(('memory', ''), rows)}\nflamegraph: {harmless(drawn)}\nrecording: {harmless(str(report.capture))}"
