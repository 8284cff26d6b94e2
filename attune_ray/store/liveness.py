"""Which process writes a run, and whether it is still there: for those on its machine, without asking it."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process"]

_AFTER_NAME = 19  # fields of /proc/PID/stat between the name's end and the start time, which is the 22nd of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of some machine; another one that is given its number later is not equal to it.

    Attributes:
        boot: what the machine's kernel calls itself since it was started; "" where there is no /proc.
        namespace: in which ``pid`` is its number.
        start_ticks: when it started, in the kernel's ticks since then.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    start_ticks: int

    @classmethod
    def here(cls) -> "Process":
        """This one."""
        pid = os.getpid()
        boot, namespace = _surroundings()
        return cls(
            host=socket.gethostname(), boot=boot, namespace=namespace, pid=pid, start_ticks=_start_ticks(pid) or 0
        )

    def is_gone(self) -> bool:
        """Whether it is sure to be; False where it cannot be seen from here."""
        is_near = self.boot != "" and (self.boot, self.namespace) == _surroundings()
        return is_near and _start_ticks(self.pid) != self.start_ticks


def _surroundings() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""


def _start_ticks(pid: int) -> int | None:
    """When a process started; None: there is none of that number, or it is a zombie, which writes no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat[stat.rindex(")") + 2 :].split()  # the name, in parentheses, may hold anything
    return None if state in {"Z", "X"} else int(fields[_AFTER_NAME - 1])
