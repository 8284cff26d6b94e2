"""Measuring in a fresh process, so that its memory and its start are its own: ``python -m benchmarks.child``."""

import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["in_child", "peak_heap_bytes", "peak_resident_bytes"]

_LIMIT_S = 600


def in_child(function: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """What a module's function returns when it is called in a process of its own; arguments and result are JSON.

    Raises:
        RuntimeError: it failed; the end of what it said is in the text.
    """
    name = f"{function.__module__}:{function.__name__}"
    command = [sys.executable, "-m", "benchmarks.child", name, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{name} {arguments}: {done.stderr[-2_000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def peak_resident_bytes() -> int:
    """Most memory that this process ever had resident; ``ru_maxrss`` would be the parent's where that had more."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1_024 for line in status.splitlines() if line.startswith("VmHWM:"))


def peak_heap_bytes(work: Callable[[], object]) -> int:
    """Most heap that some work takes over what there was: Python objects and native code, mapped memory aside."""
    import memray  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "heap.bin"
        with memray.Tracker(str(path), trace_python_allocators=True):
            work()
        records = memray.FileReader(str(path)).get_high_watermark_allocation_records(merge_threads=True)
        return sum(record.size for record in records if record.allocator != memray.AllocatorType.MMAP)


def _main() -> None:
    module, _, function = sys.argv[1].partition(":")
    found = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
