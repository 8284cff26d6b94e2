"""Results of a cluster's workers go where all of its nodes reach them; where they do not, that is said at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from heads import joined_node, running_head

DRIVER = """
import sys
import attune_ray
from attune_ray import Engine, Settings
from attune_ray.bootstrap import State
from attune_ray.settings import RaySettings
from attune_ray.store import MemoryJournal, MemoryResults
from attune_ray.store.results import FileResults
from attune_ray.values.keeping import Keeping

address, folder = sys.argv[1:]

class OwnResults(MemoryResults):
    def __reduce__(self):
        return MemoryResults, ()  # as a folder that each machine has for itself

@attune_ray.action("shared.echo")
def echo(x):
    return x

for results in (OwnResults(), FileResults(folder)):
    journal = MemoryJournal()
    state = State(journal=journal, inbox=journal, keeping=Keeping(results=results, inline_bytes=0))
    with Engine(actions=[echo], settings=Settings(ray=RaySettings(address=address)), state=state) as engine:
        try:
            run = engine.run("tasks: [{name: a, action: shared.echo, with_items: [1, 2, 3], input: {x: '{{ item }}'}}]")
        except attune_ray.AttuneError as error:
            print(type(error).__name__, error)
        else:
            print(run.status.value, run.task("a").status.value, run.task("a").error, list(run.task("a").results))
"""


@pytest.mark.ray
@pytest.mark.timeout(240)
def test_results_that_not_all_nodes_share_are_refused_before_anything_runs(tmp_path: Path) -> None:
    """The error names the nodes, and what to do; where all of them reach the place, the run goes on."""
    with running_head("--num-cpus=1") as head, joined_node(head, "--num-cpus=1"):
        command = [sys.executable, "-c", DRIVER, head.address, str(tmp_path / "results")]
        done = subprocess.run(command, env=head.environment, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    refused, kept = done.stdout.splitlines()
    assert refused.startswith("StateError results are kept in ")
    assert re.search(r"which these nodes do not share: [\d.]+;", refused)
    assert "--results with a shared folder, or s3://bucket/folder" in refused
    assert kept == "completed completed None [1, 2, 3]"
    assert len(list((tmp_path / "results").rglob("a/*"))) >= 1
