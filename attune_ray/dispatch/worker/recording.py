"""A worker that records its own memory with memray, from the first order that tells it to until it dies.

Every allocation is written to a mapped file as it happens, so a worker that is killed, as all are at the end of a run,
leaves a readable recording up to that moment.
"""

import contextlib
import functools
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RecordingOrder", "names_recorded", "part_recorded", "record", "remove_recorded"]

_PART_BYTES = 16 * 1024 * 1024
"""Of a recording that travel at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOrder:
    """Where a worker's recording goes.

    Attributes:
        folder: an absolute path, for workers on the node of the coordinator.
        node: the id of that node.
        elsewhere: the name of a folder below the one for temporary files, for workers on other nodes.
    """

    folder: str
    node: str
    elsewhere: str


@functools.cache
def record(order: RecordingOrder, node: str) -> Any:
    """Record this process into ``worker-<host>-<pid>.bin`` from now on; once, however often it is called.

    A recording that cannot be made never fails the run: a note beside its place says why there is none.

    Args:
        node: the id of the node that this process is on.

    Returns:
        What must stay alive for the recording to go on.
    """
    folder = Path(order.folder) if node == order.node else _folder(order.elsewhere)
    path = folder / f"worker-{socket.gethostname()}-{os.getpid()}.bin"
    argv, sys.argv = sys.argv, sys.argv[:1]  # a recording tells its command line, where the cluster's secrets may stand
    try:
        import memray  # noqa: PLC0415  40 ms, only when asked for

        folder.mkdir(mode=0o700, exist_ok=True)
        tracker = memray.Tracker(
            destination=memray.FileDestination(str(path), overwrite=False),
            native_traces=False,
            follow_fork=False,
            trace_python_allocators=True,
        )
        tracker.__enter__()
    except (ImportError, OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):  # the report then misses the file, and says where it should be
            if isinstance(error, RuntimeError):  # another recording is going on: this one's file holds nothing
                path.unlink(missing_ok=True)
            path.with_suffix(".error").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        return None
    finally:
        sys.argv = argv
    return tracker


def names_recorded(elsewhere: str) -> list[str]:
    """The names of what workers of this node have recorded, or of why they have not."""
    return sorted(path.name for path in _folder(elsewhere).glob("worker-*"))


def part_recorded(elsewhere: str, name: str, start: int) -> Any:
    """Some bytes of a recording from ``start`` on, as it stands while its worker lives; none: that was all of it.

    They are mapped from the file: memory for them would be in the recording of this very process.
    """
    import numpy as np  # noqa: PLC0415  a run that is not recorded never needs it here

    path = _folder(elsewhere) / name
    n_bytes = min(_PART_BYTES, path.stat().st_size - start)
    return np.asarray(np.memmap(path, np.uint8, "r", start, (n_bytes,))) if n_bytes > 0 else b""


def remove_recorded(elsewhere: str) -> None:
    """Remove what is recorded on this node: it is kept elsewhere."""
    shutil.rmtree(_folder(elsewhere), ignore_errors=True)


def _folder(elsewhere: str) -> Path:
    return Path(tempfile.gettempdir(), elsewhere)
