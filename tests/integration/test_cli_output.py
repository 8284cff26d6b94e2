"""Standard output of the command line: results and nothing else, and what follows when it cannot be written."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

NOISY = """
import os, subprocess
import attune_ray

os.write(1, b"loaded, past Python\\n")
print("loaded")

@attune_ray.action("n.noisy", inline=True)
def noisy():
    os.write(1, b"past Python\\n")
    subprocess.run(["echo", "a child"], check=True)
    print("printed")
    return 1
"""
STATE: Mapping[str, str] = {"ATTUNE_STATE": "state"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a noisy action and two workflows, of which one has run."""
    (tmp_path / "noisy.py").write_text(NOISY)
    output = "output_map: {out: '{{ task.a.result }}'}\n"
    (tmp_path / "noisy.yaml").write_text(f"tasks: [{{name: a, action: n.noisy}}]\n{output}")
    (tmp_path / "quiet.yaml").write_text(f"tasks: [{{name: a, action: core.noop}}]\n{output}")
    assert call(tmp_path, "run", "quiet.yaml", "--run-id", "r0").returncode == 0
    return tmp_path


def call(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "attune_ray", *arguments],
        cwd=folder,
        env={**os.environ, **STATE},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_of_an_action_is_between_the_results(folder: Path) -> None:
    """Whatever way it writes, and what its children write; nor of its module when a file is checked."""
    ran = call(folder, "run", "noisy.yaml", "--actions", "noisy.py", "--json")
    checked = call(folder, "validate", "noisy.yaml", "--actions", "noisy.py")

    assert json.loads(ran.stdout) == {"out": 1, "succeeded": True}
    assert {"loaded, past Python", "loaded", "past Python", "a child", "printed"} <= set(ran.stderr.splitlines())
    assert checked.stdout == "1 file checked: 0 errors, 0 warnings\n"
    assert checked.stderr.splitlines() == ["loaded, past Python", "loaded"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "quiet.yaml", "--quiet", "--json", "--durability", "off"),
        ("validate", "quiet.yaml"),
        ("runs",),
        ("show", "r0"),
        ("show", "r0", "--json"),
        ("export", "r0"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_in_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    """No traceback, and an exit code of its own."""
    full = os.open("/dev/full", os.O_WRONLY)
    done = call(folder, *arguments, stdout=full)
    os.close(full)

    assert done.returncode == 74
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


def test_a_run_whose_result_cannot_be_written_is_kept_and_says_so(folder: Path) -> None:
    """It has done its work; the command that it names prints the result."""
    full = os.open("/dev/full", os.O_WRONLY)
    done = call(folder, "run", "quiet.yaml", "--json", "--run-id", "r1", stdout=full)
    os.close(full)

    assert done.returncode == 74
    assert "run r1 has ended (completed) and is kept; `attune-ray resume r1` prints what it came to\n" in done.stderr
    again = call(folder, "resume", "r1", "--json")
    assert (again.returncode, json.loads(again.stdout)["succeeded"]) == (0, True)


@pytest.mark.parametrize("arguments", [("run", "quiet.yaml", "--quiet"), ("validate", "quiet.yaml"), ("runs",)])
def test_a_pipe_that_nobody_reads_ends_it_quietly(folder: Path, arguments: tuple[str, ...]) -> None:
    """As of ``| head -0``."""
    reading, writing = os.pipe()
    os.close(reading)
    done = call(folder, *arguments, stdout=writing)
    os.close(writing)

    assert done.returncode == 74
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_closed_streams_are_those_of_somebody_who_wants_nothing_of_them(folder: Path, closed: str) -> None:
    """The run is as any other."""
    command = f'"{sys.executable}" -m attune_ray run quiet.yaml --json {closed}'

    done = subprocess.run(
        ["sh", "-c", command],  # noqa: S607  the shell of the system
        cwd=folder,
        env={**os.environ, **STATE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert "Traceback" not in done.stdout + done.stderr
