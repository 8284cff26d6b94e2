"""``--memray`` and ``attune-ray memory``: coordinator and workers record themselves, whatever becomes of them."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_driver import CommandLine
from heads import Head, joined_node, running_head

from attune_ray.dispatch.worker.chunk import worker_name
from attune_ray.observe.recording import Recording

ACTIONS = """
import os, signal
import attune_ray

@attune_ray.action("t.same")
def same(x):
    return x

@attune_ray.action("t.kill")
def kill(group):
    os.killpg(group, signal.SIGKILL)
"""
DEADLY_RUN = """
import os, signal, sys
import attune_ray
from attune_ray.settings import FanOutSettings, RaySettings, RecordingSettings, Settings

@attune_ray.action("t.die")
def die(x):
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(
    ray=RaySettings(num_cpus=1),
    fan_out=FanOutSettings(max_crashes=1),
    recording=RecordingSettings(folder=sys.argv[1], elsewhere="nowhere"),
)
text = "tasks: [{name: all, action: t.die, with_items: [0, 1, 2], input: {x: '{{ item }}'}}]"
run = attune_ray.run(text, actions=[die], settings=settings)
print(run.task("all").stats.n_failed, run.status.value)
"""
INTERRUPTED_REPORT = """
import os, signal, sys
from attune_ray.cli import main
from attune_ray.observe.recording import Recording

def report(recording, workers):
    os.kill(os.getpid(), signal.SIGINT)

Recording.report = report
main()
"""
RECORDED_WORKER = """
import os, sys
from attune_ray.dispatch.worker.recording import RecordingOrder, record

order = RecordingOrder(folder=sys.argv[1], node="here", elsewhere="attune-ray-memory-of-this-test")
keep = record(order, sys.argv[2])
kept = [bytearray(1_000) for _ in range(1_000)]
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def call(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command line to its end: exit code, standard output, standard error."""
    return CommandLine(arguments, folder).end()


@pytest.mark.ray
def test_a_recorded_run_reports_the_coordinator_and_its_workers(tmp_path: Path) -> None:
    """One recording and one flamegraph each, a table, a summary; and the same again afterwards."""
    (tmp_path / "acts.py").write_text(ACTIONS)
    (tmp_path / "many.yaml").write_text(
        "tasks: [{name: all, action: t.same, with_items: '{{ range(1000) }}', input: {x: '{{ item }}'}}]"
    )
    arguments = ("run", "many.yaml", "--actions", "acts.py", "--num-cpus", "1", "--memray", "memory")

    code, out, _ = call(tmp_path, *arguments)

    memory = tmp_path / "memory"
    names = {path.stem for path in memory.glob("*.bin")}
    workers = names - {"coordinator"}
    summary = json.loads((memory / "summary.json").read_text())
    assert code == 0
    assert workers
    assert {process["process"] for process in summary["processes"]} == names
    assert all("<html" in (memory / f"{name}.html").read_text()[:1000] for name in names)
    assert all(process["peak_heap_bytes"] > 10_000 and process["largest"] for process in summary["processes"])
    assert summary["fan_out"]["n_items"] == 1_000
    assert summary["elsewhere"] == []
    assert "growth per item of 1,000" in out
    assert all(worker in out for worker in workers)

    shown, again, _ = call(tmp_path, "memory", "memory")
    assert shown == 0
    assert again.strip() in out

    refused, _, err = call(tmp_path, *arguments)
    assert refused == 2
    assert "coordinator.bin exists already" in err


@pytest.mark.ray
def test_a_worker_that_dies_while_it_is_recorded_fails_neither_the_run_nor_the_report(tmp_path: Path) -> None:
    """The guilty item fails alone, and the recordings of the dead are read up to their death."""
    done = subprocess.run([sys.executable, "-c", DEADLY_RUN, str(tmp_path)], capture_output=True, text=True, check=True)

    workers = summary_of(tmp_path)["processes"]
    assert done.stdout.split() == ["1", "failed"]
    assert len(workers) > 1  # the one that died had a successor
    assert [worker["error"] for worker in workers] == [""] * len(workers)
    assert min(worker["n_allocations"] for worker in workers) > 0


@pytest.fixture
def two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Head, int]]:
    """A node in zone a, one in zone b and its process group; temporary files of all are in a folder of the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with (
        running_head("--num-cpus=1", "--labels", "zone=a") as head,
        joined_node(head, "--num-cpus=1", "--labels", "zone=b") as other,
    ):
        yield head, other.pid


def recorded(folder: Path, head: Head, *tasks: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run tasks one after the other, with recordings: what was printed, and the summary."""
    (folder / "acts.py").write_text(ACTIONS)
    chained = [{**task, "next": [{"do": [after["name"]]}]} for task, after in itertools.pairwise(tasks)]
    (folder / "both.yaml").write_text(json.dumps({"tasks": [*chained, tasks[-1]]}))
    arguments = ("run", "both.yaml", "--actions", "acts.py", "--address", head.address, "--memray", "memory")

    code, out, err = CommandLine(arguments, folder, head.environment).end()

    assert code == 0, err
    summary: dict[str, Any] = json.loads((folder / "memory" / "summary.json").read_text())
    return out, summary


def placed(zone: str, action: str = "t.same", **given: Any) -> dict[str, Any]:
    """A task in a zone."""
    return {"name": f"in_{zone}", "action": action, "input": given or {"x": 1}, "worker_selector": {"zone": zone}}


@pytest.mark.ray
def test_recordings_of_workers_on_other_nodes_are_brought_home(two_nodes: tuple[Head, int], tmp_path: Path) -> None:
    """Into the coordinator's folder, beside those of its own node, and nothing of them stays behind."""
    out, summary = recorded(tmp_path, two_nodes[0], placed("a"), placed("b"))

    recordings = {path.stem for path in tmp_path.glob("memory/worker-*.bin")}
    assert "kept elsewhere" not in out
    assert summary["elsewhere"] == []
    assert len(recordings) == 2
    assert {process["process"] for process in summary["processes"]} == {"coordinator", *recordings}
    assert [process["error"] for process in summary["processes"]] == [""] * 3
    assert min(process["n_allocations"] for process in summary["processes"]) > 0
    assert [*tmp_path.glob("temporary/attune-ray-memory-*"), *tmp_path.glob("memory/*.part")] == []


@pytest.mark.ray
def test_a_node_that_has_left_keeps_its_recordings_and_the_report_says_where(
    two_nodes: tuple[Head, int], tmp_path: Path
) -> None:
    """They are read when they are copied into the folder."""
    head, group = two_nodes

    out, summary = recorded(tmp_path, head, placed("b"), placed("a", "t.kill", group=group))

    (near,) = tmp_path.glob("memory/worker-*.bin")
    (far,) = tmp_path.glob("temporary/*/worker-*.bin")
    place = f"{socket.gethostname()}:{far}"
    assert f"kept elsewhere: {place}\n" in out
    assert summary["elsewhere"] == [place]
    assert far.parent.stat().st_mode & 0o077 == 0

    shutil.copy(far, near.parent)
    (near.parent / "summary.json").unlink()
    summary = summary_of(near.parent)
    assert summary["elsewhere"] == []
    assert {process["process"] for process in summary["processes"]} == {"coordinator", near.stem, far.stem}


def test_a_worker_that_left_no_file_keeps_it_on_its_machine(tmp_path: Path) -> None:
    """The report says where; of this process, which runs inline actions, there is nothing more to say."""
    recording = Recording(tmp_path / "m")
    with recording:
        bytearray(1_000_000)

    found = recording.report(["far:12", worker_name()])

    (elsewhere,) = found.elsewhere
    assert elsewhere.startswith("far:/")
    assert elsewhere.endswith(f"/{recording.settings.elsewhere}/worker-far-12.bin")


def worker(folder: Path, node: str, **environment: str) -> "subprocess.Popen[str]":
    """A process that records itself as workers do, and waits."""
    return subprocess.Popen(
        [sys.executable, "-c", RECORDED_WORKER, str(folder), node],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(process: "subprocess.Popen[str]") -> int:
    """Kill it once it has allocated; its id."""
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return pid


def summary_of(folder: Path) -> dict[str, Any]:
    """What ``attune-ray memory`` makes of recordings alone."""
    code, _, err = call(folder, "memory", str(folder))
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def test_recordings_alone_are_enough_for_a_report_and_a_broken_one_is_named(tmp_path: Path) -> None:
    """Without a summary, of a process that was killed, beside a file that is no recording."""
    pid = killed(worker(tmp_path, "here"))
    (recording,) = tmp_path.glob(f"worker-*-{pid}.bin")
    (tmp_path / "worker-broken-1.bin").write_bytes(b"no recording")

    broken, dead = summary_of(tmp_path)["processes"]

    assert "cannot be read" in broken["error"]
    assert dead["process"].endswith(f"-{pid}")
    assert dead["peak_heap_bytes"] >= 1_000_000
    assert str(tmp_path).encode() not in recording.read_bytes()  # nor anything else of its command line
    assert dead["largest"][0]["where"] == "<listcomp> (<string>:7)"


def test_a_worker_on_another_node_keeps_its_recording_among_its_temporary_files(tmp_path: Path) -> None:
    """It does not write into a folder of the coordinator's machine, which may not be there."""
    pid = killed(worker(tmp_path / "not there", "another", TMPDIR=str(tmp_path)))

    assert [path.name.endswith(f"-{pid}.bin") for path in tmp_path.glob("attune-ray-memory-of-this-test/*")] == [True]


def test_a_worker_that_cannot_record_says_why_and_goes_on(tmp_path: Path) -> None:
    """An action may record with memray itself: there is one recording per process."""
    text = f"import memray\nwith memray.Tracker({str(tmp_path / 'own.dat')!r}):\n" + "".join(
        f"    {line}\n" for line in RECORDED_WORKER.splitlines()
    )
    done = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path), "here"], capture_output=True, text=True, input="", check=False
    )
    killed(worker(tmp_path, "here"))

    _, refused = summary_of(tmp_path)["processes"]

    assert done.returncode == 0
    assert refused["error"].startswith("not recorded: RuntimeError: ")


def test_a_report_of_recordings_that_cannot_be_read_has_failed(tmp_path: Path) -> None:
    """Each is named; nothing is kept, so that it can be tried again."""
    (tmp_path / "worker-broken-1.bin").write_bytes(b"no recording")

    code, out, _ = call(tmp_path, "memory", ".")

    assert code == 1
    assert "cannot be read" in out
    assert not (tmp_path / "summary.json").exists()


def test_a_report_that_is_interrupted_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    """Its exit code is the run's, and the command that makes the report is told."""
    (tmp_path / "noop.yaml").write_text("tasks: [{name: a, action: core.noop}]")
    command = [sys.executable, "-c", INTERRUPTED_REPORT, "run", "noop.yaml", "--memray", "my memory"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("the memory report was interrupted; `attune-ray memory 'my memory'` makes it\n")
    assert call(tmp_path, "memory", "my memory")[0] == 0


@pytest.mark.parametrize(("name", "told"), [("empty", "holds no recording"), ("missing", "is no folder")])
def test_a_folder_without_recordings_is_refused(tmp_path: Path, name: str, told: str) -> None:
    """The path is named."""
    (tmp_path / "empty").mkdir()

    code, _, err = call(tmp_path, "memory", name)

    assert code == 2
    assert f"error: {name} {told}" in err
