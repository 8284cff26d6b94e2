"""The processes that a hard stop kills."""

import os
import subprocess
import sys

from attune_ray.cli.interrupts import descendants


def test_descendants_are_found_at_any_depth() -> None:
    """A grandchild is one, this process is not."""
    script = "import subprocess; subprocess.run(['sh', '-c', 'echo up; read x; echo'])"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()

        found = descendants(os.getpid())

        assert child.pid in found
        assert len(descendants(child.pid)) == 1
        assert os.getpid() not in found
        child.communicate(b"\n")
