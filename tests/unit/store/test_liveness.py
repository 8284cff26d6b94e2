"""A process is gone when it is sure to be."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from attune_ray.store.liveness import Process


def test_this_process_is_there() -> None:
    """However often one looks."""
    assert not Process.here().is_gone()
    assert Process.here() == Process.here()


def test_a_number_that_nobody_has_is_gone() -> None:
    """As that of a process that has ended is, until it is given away again."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass

    assert replace(Process.here(), pid=ended.pid).is_gone()


def test_another_process_with_the_same_number_is_not_it() -> None:
    """It has started at another moment."""
    here = Process.here()

    assert replace(here, start_ticks=here.start_ticks - 1).is_gone()


def test_what_cannot_be_seen_from_here_is_not_said_to_be_gone() -> None:
    """On another machine, before a restart of this one, in another container, or where there is no /proc."""
    absent = replace(Process.here(), start_ticks=1)
    for elsewhere in ({"boot": "other"}, {"namespace": "pid:[1]"}, {"boot": "", "namespace": ""}):
        assert not replace(absent, **elsewhere).is_gone()


def test_a_process_with_an_odd_name_is_found() -> None:
    """Its name stands in parentheses, and may hold some."""
    code = "import sys; open('/proc/self/comm', 'w').write('a) R 1 ('); print('named', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        fields = Path(f"/proc/{odd.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        found = replace(Process.here(), pid=odd.pid, start_ticks=int(fields[19]))
        assert not found.is_gone()
        odd.kill()
        os.waitid(os.P_PID, odd.pid, os.WEXITED | os.WNOWAIT)
        assert found.is_gone()
