"""Real ``kill -9`` at random moments: of the coordinator, a worker, the raylet, the database server.

``ATTUNE_TEST_KILLS`` says how many rounds each of them gets; the few of a usual run keep it short.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from killed_run import MARKS, N_ITEMS
from postgres import Postgres

from attune_ray.cli.interrupts import descendants

ROUNDS = int(os.environ.get("ATTUNE_TEST_KILLS", "1"))
WORKERS = 2
SCRIPT = Path(__file__).parents[1] / "killed_run.py"
WHOLE = {"status": "completed", "output": {"total": sum(range(N_ITEMS)), "n": N_ITEMS}}
pytestmark = [pytest.mark.ray, pytest.mark.timeout(180 * max(1, ROUNDS))]


@contextlib.contextmanager
def started(url: str, run_id: str, marks: Path) -> Iterator["subprocess.Popen[str]"]:
    """The run, in a process of its own."""
    command = [sys.executable, str(SCRIPT), url, run_id]
    environment = {**os.environ, MARKS: str(marks)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until_marked(process: "subprocess.Popen[str]", marks: Path, n_marks: int) -> None:
    """Wait until so many items have left their marks."""
    while not marks.exists() or marks.read_bytes().count(b"\n") < n_marks:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
            raise AssertionError(f"it has ended before: {process.communicate()}")


def told(process: "subprocess.Popen[str]") -> object:
    """What the run has come to."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(out.splitlines()[-1])


def named(process: "subprocess.Popen[str]", *words: str) -> list[int]:
    """The processes below a run whose command line has one of some words."""
    found = []
    for pid in descendants(process.pid):
        with contextlib.suppress(OSError):
            if any(word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() for word in words):
                found.append(pid)
    return found


def check_marks(marks: Path, most_twice: int) -> None:
    """Every item was done; twice at the most those that were under way when their process was killed."""
    done = Counter(marks.read_text().split())
    assert len(done) == N_ITEMS
    assert sum(done.values()) - N_ITEMS <= most_twice, {x: n for x, n in done.items() if n > 1}


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_coordinator_loses_nothing(tmp_path: Path, seed: int) -> None:
    """Its cluster dies with it; another process goes on."""
    marks, moment = tmp_path / "marks", random.Random(seed).randint(1, N_ITEMS - 1)  # noqa: S311  not for secrets
    with started(str(tmp_path), "killed", marks) as first:
        until_marked(first, marks, moment)
        first.kill()

    with started(str(tmp_path), "killed", marks) as second:
        assert told(second) == WHOLE
    check_marks(marks, most_twice=WORKERS)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_worker_loses_nothing(tmp_path: Path, seed: int) -> None:
    """The run goes on by itself."""
    marks, moment = tmp_path / "marks", random.Random(seed).randint(1, N_ITEMS * 3 // 4)  # noqa: S311
    with started(str(tmp_path), "killed", marks) as process:
        until_marked(process, marks, moment)
        os.kill(named(process, "ray::_perform")[0], signal.SIGKILL)
        assert told(process) == WHOLE
    check_marks(marks, most_twice=1)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_raylet_loses_nothing(tmp_path: Path, seed: int) -> None:
    """The cluster of this machine is gone with it: the run ends or is interrupted, and can be gone on with."""
    marks, moment = tmp_path / "marks", random.Random(seed).randint(1, N_ITEMS * 3 // 4)  # noqa: S311
    with started(str(tmp_path), "killed", marks) as first:
        until_marked(first, marks, moment)
        os.kill(named(first, "raylet/raylet")[0], signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            first.communicate(timeout=60)

    with started(str(tmp_path), "killed", marks) as second:
        assert told(second) == WHOLE
    check_marks(marks, most_twice=WORKERS)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_killed_database_server_loses_nothing(
    tmp_path: Path, postgres: Postgres, postgres_url: str, seed: int
) -> None:
    """The run is interrupted; when the server is back, it is gone on with."""
    marks, moment = tmp_path / "marks", random.Random(seed).randint(1, N_ITEMS // 2)  # noqa: S311
    with started(postgres_url, f"killed-{seed}", marks) as first:
        until_marked(first, marks, moment)
        postgres.kill()
        _, errors = first.communicate(timeout=120)
    postgres.start()
    assert (first.returncode, "Traceback" in errors) == (75, False), errors

    with started(postgres_url, f"killed-{seed}", marks) as second:
        assert told(second) == WHOLE
    check_marks(marks, most_twice=WORKERS)
