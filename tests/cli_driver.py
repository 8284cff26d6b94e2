"""Drives the command line as a person does: a process of its own, its lines, its signals, and what it leaves behind."""

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CommandLine", "Start"]

_PATIENCE_S = 120


@dataclass
class CommandLine:
    """One ``attune-ray`` process, in a session of its own; ``lines`` of standard error that were waited for."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stderr: int = subprocess.PIPE
    stdin: str | None = None
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start it; every process that descends from it carries a mark in its environment."""
        self._mark = f"ATTUNE_TEST_MARK={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "attune_ray", *self.arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment, name: value},
            stdin=subprocess.DEVNULL if self.stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, words: str) -> str:
        """Read standard error up to the line that holds ``words``."""
        stream = self.process.stderr
        assert stream is not None
        for line in stream:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without {words!r}: {''.join(self.lines)}")

    def press_ctrl_c(self) -> None:
        """What a terminal does: SIGINT to every process of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output, and all of standard error."""
        out, err = self.process.communicate(self.stdin, timeout=_PATIENCE_S)
        return self.process.returncode, out, "".join(self.lines) + (err or "")

    def left_behind(self, patience_s: float = 5) -> list[str]:
        """Commands of its descendants that are still there; one that is just dying is waited for."""
        return [command for pid, command in self.descendants() if not _ends(pid, patience_s)]

    def descendants(self) -> list[tuple[int, str]]:
        """Ids and commands of the living processes that carry the mark, itself included."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (process / "environ").read_bytes():
                    found.append((int(process.name), (process / "cmdline").read_text().replace("\0", " ")[:200]))
            except OSError:
                continue
        return found


def _ends(pid: int, patience_s: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], patience_s)[0])
    finally:
        os.close(handle)


Start = Callable[..., CommandLine]
