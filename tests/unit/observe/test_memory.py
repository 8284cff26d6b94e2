"""Heap per item, from samples."""

from pathlib import Path

import pytest

from attune_ray.engine import TaskRunId
from attune_ray.errors import UsageError
from attune_ray.observe.memory import FanOutMemory, MemoryReport, Recording, fan_out_memory
from attune_ray.observe.progress import TaskProgress
from attune_ray.observe.report import render_memory


def fan_out(began_s: float, ended_s: float | None) -> TaskProgress:
    """A fan-out of ten items."""
    return TaskProgress(TaskRunId("check", 1), True, 0.0, n_items=10, prepared_s=began_s, ended_s=ended_s)


def test_growth_is_counted_from_the_start_of_the_fan_out_to_its_peak() -> None:
    """What the heap held before, and what came after, is not the fan-out's."""
    samples = [(1.0, 500), (2.0, 1000), (3.0, 1400), (4.0, 1200), (5.0, 9000)]

    found = fan_out_memory(fan_out(2.5, 4.5), samples)

    assert found == FanOutMemory(task="check", n_items=10, before_bytes=1000, peak_bytes=1400)
    assert found.bytes_per_item == 40


def test_a_fan_out_between_two_samples_has_no_figure() -> None:
    """None is better than an invented one."""
    assert fan_out_memory(fan_out(1.1, 1.2), [(1.0, 500), (2.0, 1000)]) is None
    assert fan_out_memory(fan_out(0.5, 3.0), [(1.0, 500)]) is None


def test_the_report_tells_a_flamegraph_that_could_not_be_drawn() -> None:
    """The figures are there all the same."""
    report = MemoryReport(
        capture=Path("m.bin"), flamegraph=Path("m.html"), peak_heap_bytes=2048, n_allocations=3, fan_out=None,
        flamegraph_error="disk full",
    )  # fmt: skip

    assert "2.0 KiB" in render_memory(report)
    assert "flamegraph: not drawn: disk full" in render_memory(report)


def test_a_folder_that_holds_a_recording_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "coordinator.html").touch()

    with pytest.raises(UsageError, match=r"coordinator\.html exists already"), Recording(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """The path is named."""
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="cannot record into"), Recording(tmp_path / "file" / "folder"):
        pass
