"""The memory report: heap per item from samples, its text and its summary."""

from pathlib import Path
from typing import Any

import pytest

from attune_ray.engine import TaskRunId
from attune_ray.errors import UsageError
from attune_ray.observe.memory import Allocator, FanOutMemory, MemoryReport, ProcessMemory, fan_out_memory
from attune_ray.observe.progress import TaskProgress
from attune_ray.observe.recording import Recording
from attune_ray.observe.report import load_summary, render_memory, save_summary


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


def process(name: str, **found: Any) -> ProcessMemory:
    """What one recording said."""
    return ProcessMemory(process=name, **found)


def report(*processes: ProcessMemory, **found: Any) -> MemoryReport:
    """A report of some processes."""
    return MemoryReport(folder=Path("m"), processes=processes, **found)


def test_the_report_tells_a_flamegraph_that_could_not_be_drawn() -> None:
    """The figures are there all the same."""
    told = render_memory(report(process("coordinator", peak_heap_bytes=2048, flamegraph_error="disk full")))

    assert "2.0 KiB" in told
    assert "flamegraph of coordinator: not drawn: disk full" in told


def test_the_report_names_what_it_has_not_read_and_why() -> None:
    """A recording that is broken, and one that is on another machine; what they say reaches no terminal raw."""
    broken = process("worker-a-1", error="cannot be read: \x1b[31mbad magic")
    told = render_memory(report(process("coordinator"), broken, elsewhere=("far:/tmp/m/worker-far-2.bin",)))

    assert "worker-a-1          –            –  cannot be read: \\x1b[31mbad magic" in told
    assert "kept elsewhere: far:/tmp/m/worker-far-2.bin" in told


def test_a_summary_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Every figure of it."""
    largest = (Allocator(where="encode (x.py:3)", n_bytes=10, n_allocations=2),)
    saved = MemoryReport(
        folder=tmp_path,
        processes=(process("coordinator", peak_heap_bytes=5, n_allocations=7, largest=largest),),
        elsewhere=("far:/tmp/x.bin",),
        fan_out=FanOutMemory(task="check", n_items=10, before_bytes=1, peak_bytes=2),
    )

    save_summary(saved)

    assert load_summary(tmp_path) == saved
    assert '"bytes_per_item": 0.1' in (tmp_path / "summary.json").read_text()


@pytest.mark.parametrize("text", ["", "[]", '{"fan_out": null}', '{"fan_out": null, "processes": [{}]}'])
def test_a_summary_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Its path is named, and what to do."""
    (tmp_path / "summary.json").write_text(text)

    with pytest.raises(UsageError, match=r"summary\.json cannot be read .* remove it"):
        load_summary(tmp_path)


def test_a_folder_that_holds_a_recording_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "coordinator.html").touch()

    with pytest.raises(UsageError, match=r"coordinator\.html exists already"), Recording(tmp_path):
        pass


@pytest.mark.parametrize("is_there", [False, True])
def test_a_recording_of_no_run_leaves_nothing_behind(tmp_path: Path, is_there: bool) -> None:  # noqa: FBT001
    """A cluster that cannot be reached: the same command is given again, and its folder must not be taken."""
    folder = tmp_path / "memory"
    if is_there:
        folder.mkdir()

    for _ in range(2):
        with pytest.raises(UsageError, match="nobody is there"), Recording(folder):
            raise UsageError("nobody is there")

    assert list(folder.glob("*")) == []
    assert folder.exists() == is_there


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """The path is named."""
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="cannot record into"), Recording(tmp_path / "file" / "folder"):
        pass
