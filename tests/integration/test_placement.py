"""Where tasks run on a cluster of two nodes with labels of their own, and what becomes of those that cannot run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from heads import Head, joined_node, running_head

pytestmark = pytest.mark.ray

SCRIPT = '''
import json, sys
import ray
from attune_ray import Engine, Settings, action
from attune_ray.settings import RaySettings

@action("where.zone")
def zone(x=0):
    """The zone of the node that it runs on, and the CPUs that it was given."""
    context = ray.get_runtime_context()
    return {"zone": context.get_node_labels()["zone"], "cpus": context.get_assigned_resources().get("CPU", 0)}

address, wait_s, workflow, parameters = sys.argv[1:]
settings = Settings(ray=RaySettings(address=address, placement_wait_s=float(wait_s)))
with Engine(actions=[zone], settings=settings) as engine:
    run = engine.run(workflow, json.loads(parameters))
    found = {name: {"status": task.status.value, "error": task.error, "workers": sorted(task.stats.workers),
                    "results": list(task.results) or [task.result.get("data")]} for name, task in run.tasks.items()}
print(json.dumps(found, default=str))
'''


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A node of two CPUs in zone a, one of one CPU in zone b."""
    with (
        running_head("--num-cpus=2", "--labels", "zone=a") as found,
        joined_node(found, "--num-cpus=1", "--labels", "zone=b,disk=ssd"),
    ):
        yield found


def drive(head: Head, workflow: str, wait_s: float = 0, **parameters: Any) -> dict[str, Any]:
    """Run a workflow on the cluster from a process of its own; what became of its tasks."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, head.address, str(wait_s), workflow, json.dumps(parameters)],
        env=head.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_items_run_where_their_task_says_and_with_what_it_asks_for(head: Head) -> None:
    """By label, by template, by what is avoided, with half a CPU and with two."""
    found = drive(
        head,
        """
tasks:
  - {name: chosen, action: where.zone, with_items: [1, 2, 3, 4], worker_selector: {zone: b}}
  - {name: named, action: where.zone, worker_selector: {zone: "{{ parameters.zone }}"}}
  - {name: avoided, action: where.zone, worker_affinity: {anti_affinity: [{match_labels: {disk: ssd}}]}}
  - {name: half, action: where.zone, with_items: [1, 2], resources: {num_cpus: 0.5}}
  - {name: wide, action: where.zone, resources: {num_cpus: 2}}
  - {name: core, action: core.echo, input: {message: hello}, worker_selector: {zone: b}}
""",
        zone="b",
    )

    assert {name: task["error"] for name, task in found.items() if task["status"] != "completed"} == {}
    zones = {name: {one["zone"] for one in task["results"]} for name, task in found.items() if name != "core"}
    assert {name: zones[name] for name in ("chosen", "named", "avoided", "wide")} == {
        "chosen": {"b"},
        "named": {"b"},
        "avoided": {"a"},
        "wide": {"a"},
    }
    assert {one["cpus"] for one in found["half"]["results"]} == {0.5}
    assert found["wide"]["results"][0]["cpus"] == 2
    assert found["core"]["workers"], "an inline action with a placement runs on a worker"


def test_a_preferred_node_is_taken_where_it_is_free(head: Head) -> None:
    """And a preference that no node meets is none."""
    found = drive(
        head,
        """
tasks:
  - name: preferred
    action: where.zone
    worker_affinity: {preferred: [{preference: {match_labels: {zone: none}}}, {preference: {match_labels: {zone: b}}}]}
""",
    )

    assert found["preferred"]["results"][0]["zone"] == "b"


@pytest.mark.parametrize("wait_s", [0, 0.5])
def test_what_no_node_can_run_fails_and_says_what_there_is(head: Head, wait_s: float) -> None:
    """It never hangs; on a cluster that grows, it waits as long as it is told to."""
    found = drive(
        head,
        """
tasks:
  - {name: lost, action: where.zone, with_items: [1, 2], worker_selector: {zone: z}}
  - {name: huge, action: where.zone, resources: {num_cpus: 3, memory: 1000TB}}
  - {name: odd, action: where.zone, worker_selector: {zone: "{{ parameters.zone }}"}}
""",
        wait_s,
        zone=["a"],
    )

    assert {task["status"] for task in found.values()} == {"failed"}
    assert found["lost"]["error"].startswith("no node of the cluster can run it: it asks for 1 CPU, zone=z; the nodes")
    assert "zone=a" in found["lost"]["error"]
    assert "it asks for 3 CPU, 1e+06 GB of memory; the nodes" in found["huge"]["error"]
    assert found["odd"]["error"].startswith("worker_selector.zone: must be a label's value")


def test_a_node_that_comes_while_a_task_waits_runs_it(head: Head) -> None:
    """As an autoscaler brings one."""
    workflow = "tasks: [{name: late, action: where.zone, worker_selector: {zone: c}}]"
    with (
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, head.address, "60", workflow, "{}"],
            env=head.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as waiting,
        joined_node(head, "--num-cpus=1", "--labels", "zone=c"),
    ):
        told, _ = waiting.communicate(timeout=90)

    assert json.loads(told.splitlines()[-1])["late"]["results"][0]["zone"] == "c"
