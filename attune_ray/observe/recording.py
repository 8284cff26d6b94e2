"""Records the memory of the coordinator with memray; its workers record themselves when their settings say so."""

import contextlib
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attune_ray.errors import UsageError
from attune_ray.observe.memory import COORDINATOR, MemoryReport, read_folder
from attune_ray.observe.progress import Progress, TaskProgress
from attune_ray.settings import RecordingSettings

__all__ = ["Recording"]


class Recording:
    """Records this process into ``folder/coordinator.bin`` while entered; an observer as ``progress``.

    Processes that it starts are not recorded, native stacks neither. An engine with ``settings`` has its workers
    record themselves too. Where no run has begun when it is left by an error, nothing of the recording stays: the same
    command can then be given once more.

    Args:
        folder: is made when it is missing.

    Raises:
        UsageError: when entered: the folder cannot be written, or holds a recording already.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = RecordingSettings(
            folder=str(folder.resolve()), elsewhere=f"attune-ray-memory-{secrets.token_hex(8)}"
        )
        self.progress = Progress(self._changed, time.time)
        self._capture = folder / f"{COORDINATOR}.bin"
        self._largest: TaskProgress | None = None

    def __enter__(self) -> Self:
        self._tracker = self._open()
        self._tracker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracker.__exit__(kind, error, trace)
        if error is not None and not self.progress.has_begun:
            self._capture.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it was there before, or holds something else
                if self._is_new:
                    self.folder.rmdir()

    def report(self, workers: Iterable[str] = ()) -> MemoryReport:
        """Read the recordings and draw their flamegraphs; when it has been left. Takes seconds for a long run.

        Args:
            workers: the processes that ran something, as ``host:pid``; those that have left no file in the folder
                keep it on their own machine. This process may be among them: it runs inline actions.
        """
        found = read_folder(self.folder, self._largest)
        here = {process.process for process in found.processes} | {_stem(f"{socket.gethostname()}:{os.getpid()}")}
        missing = (name for name in sorted(workers) if _stem(name) not in here)
        return replace(found, elsewhere=tuple(self._elsewhere(name) for name in missing))

    def _elsewhere(self, worker: str) -> str:
        host = worker.rpartition(":")[0]
        return f"{host}:{Path(tempfile.gettempdir()) / self.settings.elsewhere / _stem(worker)}.bin"

    def _open(self) -> AbstractContextManager[Any]:
        try:
            import memray  # noqa: PLC0415  40 ms, only when asked for
        except ImportError as error:
            raise UsageError(f"--memray needs memray, which cannot be imported: {error}") from error
        capture, self._is_new = self._capture, not self.folder.exists()
        for path in (capture, capture.with_suffix(".html"), *self.folder.glob("worker-*")):
            if path.exists():
                raise UsageError(f"{path} exists already: name another folder, or remove it")
        argv, sys.argv = sys.argv, sys.argv[:1]  # a recording tells its command line, where parameters may stand
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tracker: AbstractContextManager[Any] = memray.Tracker(
                destination=memray.FileDestination(str(capture), overwrite=False),
                native_traces=False,
                follow_fork=False,
                trace_python_allocators=True,
            )
        except OSError as error:
            raise UsageError(f"cannot record into {capture}: {error.strerror or error}") from error
        finally:
            sys.argv = argv
        return tracker

    def _changed(self, task: TaskProgress) -> None:
        if task.is_fan_out and task.n_items and (self._largest is None or task.n_items > (self._largest.n_items or 0)):
            self._largest = task


def _stem(worker: str) -> str:
    host, _, pid = worker.rpartition(":")
    return f"worker-{host}-{pid}"
