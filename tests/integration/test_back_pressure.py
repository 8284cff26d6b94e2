"""Results that are three times as large as the object store, on a cluster of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

SCRIPT = '''
import json, sys
from pathlib import Path
from attune_ray import Engine, Settings, action
from attune_ray.settings import RaySettings

@action("store.megabyte")
def megabyte(n: int) -> str:
    return f"{n}:".ljust(1_000_000, "x")

@action("store.head")
def head(x: str) -> str:
    return x[:4]

WORKFLOW = """
tasks:
  - {name: large, action: store.megabyte, with_items: "{{ range(240) }}", input: {n: "{{ item }}"}}
  - {name: heads, action: store.head, with_items: "{{ task.large.results }}", input: {x: "{{ item }}"}}
"""

def heap():
    """Bytes of this process that are in no file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))

ray = RaySettings(num_cpus=2, object_store_bytes=80_000_000)
with Engine(actions=[megabyte, head], settings=Settings(ray=ray)) as engine:
    engine.connect()
    before = heap()
    run = engine.run(WORKFLOW)
    from ray._private.worker import global_worker
    session = Path(global_worker.node.get_session_dir_path())
    spilled = [path for path in session.glob("ray_spilled_objects_*/*")]
    larges = run.task("large").results
    first = [larges[n][:4] for n in (0, 120, 239)]
    after = heap()
closed = heap()
print(json.dumps({
    "status": run.status.value, "n_spilled": len(spilled), "n_left": sum(path.exists() for path in spilled),
    "grown": [after - before, closed - before], "first": first,
    "larges": [[text[:4], len(text)] for text in (run.task("large").results[n] for n in (7, 239))],
    "heads": list(run.task("heads").results),
}))
'''


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_results_of_three_times_the_store_complete_and_stay_readable(tmp_path: Path) -> None:
    """They spill to the disk; the coordinator takes none of them into its heap, not even when the engine is closed."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    heads = [f"{n}:".ljust(4, "x") for n in range(240)]
    assert found["status"] == "completed"
    assert found["heads"] == heads
    assert found["first"] == [heads[0], heads[120], heads[239]]
    assert found["larges"] == [[heads[7], 1_000_000], [heads[239], 1_000_000]]
    assert found["n_spilled"] > 0
    assert found["n_left"] == 0
    assert max(found["grown"]) < 60_000_000
