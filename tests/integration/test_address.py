"""Attaching to a Ray that somebody else has started: with a token, by its address, and leaving it running."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from heads import Head, running_head

pytestmark = pytest.mark.ray

ACTIONS = '''
import os
import attune_ray
from neighbour import twice

@attune_ray.action("far.twice")
def far_twice(x):
    """Uses a file beside this one."""
    return {"x": twice(x), "parent": os.getppid()}

@attune_ray.action("far.twice_async")
async def far_twice_async(x):
    return twice(x["x"])
'''
SCRIPT = '''
import json, sys
from attune_ray import Engine, Settings
from attune_ray.errors import UsageError
from attune_ray.settings import RaySettings

TEXT = """
tasks:
  - {name: f, action: far.twice, with_items: [1, 2, 3], input: {x: '{{ item }}'}}
  - {name: g, action: far.twice_async, with_items: '{{ task.f.results }}', input: {x: '{{ item }}'}}
"""
address, file = sys.argv[1:]
try:
    with Engine(actions=[file], settings=Settings(ray=RaySettings(address=address or None))) as engine:
        engine.connect()
        run = engine.run(TEXT)
    f, g = run.task("f"), run.task("g")
    told = {"status": run.status.value, "f": [found["x"] for found in f.results], "g": list(g.results),
            "raylets": sorted({found["parent"] for found in f.results})}
except UsageError as error:
    told = {"error": str(error)}
print(json.dumps(told))
'''


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """One node of one CPU."""
    with running_head("--num-cpus=1") as found:
        yield found


def drive(folder: Path, head: Head, *, address: str | None = None, **environment: str) -> dict[str, Any]:
    """Run the script in a process of its own, with actions from a file; what it prints.

    Args:
        address: that the settings name; "": none; None: the head's.
    """
    actions = folder / "far.py"
    actions.write_text(ACTIONS)
    (folder / "neighbour.py").write_text("def twice(x):\n    return 2 * x\n")
    (folder / "elsewhere").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, head.address if address is None else address, str(actions)],
        cwd=folder / "elsewhere",
        env={**head.environment, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_workflow_runs_on_a_cluster_that_runs_already(head: Head, tmp_path: Path) -> None:
    """Actions come from a file that is on no path of the cluster's; the cluster is left running."""
    found = drive(tmp_path, head)

    assert (found["status"], found["f"], found["g"]) == ("completed", [2, 4, 6], [4, 8, 12])
    assert {os.getsid(raylet) for raylet in found["raylets"]} == {head.process.pid}
    assert head.process.poll() is None


def test_the_environment_may_name_the_cluster(head: Head, tmp_path: Path) -> None:
    """As it does in a job of Ray."""
    found = drive(tmp_path, head, address="", RAY_ADDRESS=head.address)

    assert (found["status"], found["f"]) == ("completed", [2, 4, 6])
    assert {os.getsid(raylet) for raylet in found["raylets"]} == {head.process.pid}


def test_a_wrong_token_is_refused_as_a_usage_error(head: Head, tmp_path: Path) -> None:
    """In one line that names the address."""
    wrong = tmp_path / "token"
    wrong.write_text(secrets.token_hex(32))

    found = drive(tmp_path, head, RAY_AUTH_TOKEN_PATH=str(wrong))

    assert found.get("error", "").startswith(f"cannot run on Ray at {head.address}: ")
    assert "RAY_AUTH_MODE=token" in found["error"]
    assert "\n" not in found["error"]


def test_a_head_that_asks_for_a_token_by_itself_is_attached_to(tmp_path: Path) -> None:
    """``ray start`` does where one is in the home; nothing in the environment says that it is to be shown."""
    with running_head("--num-cpus=1", mode=None) as head:
        found = drive(tmp_path, head)
        refused = drive(tmp_path, head, RAY_AUTH_MODE="disabled")

    assert (found["status"], found["f"]) == ("completed", [2, 4, 6])
    assert "RAY_AUTH_MODE=token" in refused["error"]


def test_a_token_at_hand_does_not_hinder_a_head_that_asks_for_none(tmp_path: Path) -> None:
    """It lies in the home of whoever has once started Ray here."""
    with running_head("--num-cpus=1", mode="disabled") as head:
        found = drive(tmp_path, head)

    assert (found["status"], found["f"]) == ("completed", [2, 4, 6])


def test_a_token_that_is_asked_for_and_missing_is_a_usage_error(head: Head, tmp_path: Path) -> None:
    """In one line, not a traceback."""
    found = drive(tmp_path, head, RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path))

    assert found.get("error", "").startswith(f"cannot run on Ray at {head.address}: ")
    assert "\n" not in found["error"]
