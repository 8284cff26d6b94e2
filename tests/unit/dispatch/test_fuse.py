"""The fuse of a worker: what lets no Python run is ended by the kernel."""

import signal
import subprocess
import sys

import pytest

from attune_ray.dispatch.worker import fuse as fuses
from attune_ray.dispatch.worker.fuse import Fuse

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="timers that kill are Linux's")


def ended(body: str) -> int:
    """How a process ended that has done this with a fuse."""
    lines = "from attune_ray.dispatch.worker.fuse import Fuse\nimport os\nfuse = Fuse()\n"
    return subprocess.run([sys.executable, "-c", lines + body], check=False, timeout=60).returncode


@LINUX
def test_a_process_that_lets_no_python_run_is_killed() -> None:
    """The sum holds the interpreter's lock."""
    assert ended("fuse.light(0.05)\nsum(range(10**13))") == -signal.SIGKILL


@LINUX
def test_a_fuse_that_is_lit_anew_does_not_burn_down() -> None:
    """Nor does one that is put out."""
    waits = "__import__('select').select([], [], [], 0.15)\n"

    assert ended("fuse.light(0.05)\nfuse.light(3600)\n" + waits) == 0
    assert ended("fuse.light(0.05)\nfuse.put_out()\n" + waits) == 0


@LINUX
def test_a_child_of_the_process_has_none() -> None:
    """A process that an action starts is not ended by it."""
    lines = [
        "fuse.light(0.05)",
        "child = os.fork()",
        "if not child:",
        "    __import__('select').select([], [], [], 0.15)",
        "    os._exit(7)",
        "fuse.light(3600)",
        "os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
    ]

    assert ended("\n".join(lines)) == 7


def test_where_there_are_no_such_timers_there_is_no_fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lighting it does nothing."""
    monkeypatch.setattr(fuses, "_library", lambda: None)

    Fuse().light(0.000_001)


def test_a_kernel_that_has_no_more_timers_is_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is limited, as that of waiting signals."""

    class Library:
        """One that always fails."""

        def timer_create(self, *_: object) -> int:
            """Refuse."""
            return -1

    monkeypatch.setattr(fuses, "_library", Library)

    Fuse().light(0.000_001)
