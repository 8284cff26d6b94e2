"""What an engine does to its own process and machine: seen from outside, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIND = '''
import json, os, pathlib

def tree():
    """Processes below this one, however deep."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass
    found = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {os.getpid()})

def listening(pids):
    """Addresses on which processes listen, in hexadecimal as the kernel shows them."""
    sockets = set()
    for pid in pids:
        for file in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(file))
            except OSError:
                pass
    lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/self/net/{name}").readlines()[1:]]
    return sorted({line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets})

def names(pids):
    """What the processes are called."""
    found = []
    for pid in pids:
        try:
            found.append(pathlib.Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            pass
    return sorted(found)
'''
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def run_python(text: str, folder: Path, *, name: str = "script.py", **environment: str) -> Any:
    """Run a script from a file in a folder of its own; what it prints last, as JSON."""
    script = folder / name
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.ray
def test_a_local_ray_listens_on_loopback_only_and_is_gone_afterwards(tmp_path: Path) -> None:
    """No process of it remains after ``close``, and no port of it faced the network before."""
    found = run_python(
        FIND
        + """
from attune_ray import Engine, action

@action("a.echo")
def echo(x):
    return x

if __name__ == "__main__":
    with Engine(actions=[echo]) as engine:
        run = engine.run("tasks: [{name: f, action: a.echo, with_items: [1, 2, 3], input: {x: '{{ item }}'}}]")
        processes = tree()
        told = {"names": names(processes), "listening": listening([os.getpid(), *processes])}
    left = [pid for pid in processes if os.path.exists(f"/proc/{pid}")]
    print(json.dumps({**told, "left": names(left), "below": tree(), "results": list(run.task("f").results)}))
""",
        tmp_path,
    )

    assert found["results"] == [1, 2, 3]
    assert {"raylet", "gcs_server"} <= set(found["names"])
    assert found["listening"] != []
    assert set(found["listening"]) <= LOOPBACK
    assert (found["left"], found["below"]) == ([], [])


@pytest.mark.ray
def test_a_script_runs_its_own_functions_and_keeps_the_results(tmp_path: Path) -> None:
    """``attune_ray.run`` from ``__main__``: all can be read when Ray is gone, failed items too."""
    (tmp_path / "neighbour.py").write_text("def twice(x): return 2 * x\n")
    found = run_python(
        """
import json
import attune_ray

FACTOR = 10

@attune_ray.action("mine.scale")
def scale(x):
    return x * FACTOR

@attune_ray.action("mine.scale_async")
async def scale_async(x):
    return scale(x)

@attune_ray.action("mine.table")
def table():
    return {"rows": ["r" * 100_000, "{{ s }}"]}

TEXT = '''
parameters: {xs: {type: array}}
tasks:
  - {name: t, action: mine.table}
  - {name: f, action: mine.scale, with_items: '{{ parameters.xs }}', input: {x: '{{ item.n }}'}, tolerate: 1}
  - {name: g, action: mine.scale_async, with_items: '{{ task.f.results }}', input: {x: '{{ item }}'}, tolerate: 1}
output_map: {last: '{{ task.g.results[-1] }}'}
'''

if __name__ == "__main__":
    run = attune_ray.run(TEXT, {"xs": [{"n": 1}, {}, {"n": 3}]}, actions=[scale, scale_async, table])
    import ray
    f = run.task("f")
    print(json.dumps({
        "ray": ray.is_initialized(),
        "status": run.status.value,
        "output": run.output,
        "results": [list(f.results), list(run.task("g").results)],
        "failed": [[item["index"], item["item"], item["error"]] for item in f.failed_items],
        "rows": [len(row) for row in run.task("t").result["rows"]],
    }))
""",
        tmp_path,
    )

    assert (found["ray"], found["status"], found["output"]) == (False, "completed", {"last": 300})
    assert found["results"] == [[10, None, 30], [100, None, 300]]
    assert found["failed"][0][:2] == [1, {}]
    assert "{{ item.n }}" in found["failed"][0][2]
    assert found["rows"] == [100_000, 7]


def test_a_workflow_of_core_and_inline_actions_never_imports_ray(tmp_path: Path) -> None:
    """Nor Arrow, NumPy or memray."""
    found = run_python(
        """
import json, sys
import attune_ray

@attune_ray.action("mine.inline", inline=True)
async def inline(x):
    return x + 1

TEXT = '''
tasks:
  - {name: a, action: core.echo, input: {message: hi}}
  - {name: b, action: mine.inline, with_items: [1, 2, 3], input: {x: '{{ item }}'}}
  - {name: c, action: core.sleep, input: {seconds: 0}, when: '{{ task.b.results | length == 3 }}'}
'''

if __name__ == "__main__":
    with attune_ray.Engine(actions=[inline]) as engine:
        run = engine.run(TEXT)
        results = list(run.task("b").results)
    heavy = [name for name in ("ray", "pyarrow", "numpy", "memray", "httpx") if name in sys.modules]
    print(json.dumps({"status": run.status.value, "results": results, "heavy": heavy}))
""",
        tmp_path,
    )

    assert found == {"status": "completed", "results": [2, 3, 4], "heavy": []}


def test_a_cluster_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """The first task that needs it fails, and says where it was looked for."""
    found = run_python(
        """
import json, socket
from attune_ray import Engine, Settings, action
from attune_ray.errors import UsageError
from attune_ray.settings import RaySettings

@action("a.echo")
def echo(x):
    return x

if __name__ == "__main__":
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # never listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Engine(actions=[echo], settings=Settings(ray=RaySettings(address=address))) as engine:
            try:
                engine.connect()
            except UsageError as error:
                print(json.dumps({"error": str(error), "address": address}))
""",
        tmp_path,
    )

    assert found["error"].startswith(f"cannot run on Ray at {found['address']}: ")
    assert "Connection refused" in found["error"]
    assert "\n" not in found["error"]
