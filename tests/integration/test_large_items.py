"""More than 2 GiB of items, on a cluster of their own: offsets beyond 31 bits, and no copy where none is needed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

SCRIPT = '''
import json, threading
from pathlib import Path
from attune_ray import Engine, Settings, action
from attune_ray.settings import RaySettings

N = 2_150

@action("large.make")
def make() -> list:
    return [f"{n}:".ljust(1_000_000, "x") for n in range(N)]

@action("large.look")
def look(x: str) -> list:
    return [x[:6], len(x)]

WORKFLOW = """
tasks:
  - {name: make, action: large.make}
  - {name: look, action: large.look, with_items: "{{ task.make.result }}", input: {x: "{{ item }}"}}
"""

def own():
    """Bytes of this process that are in no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

def watch():
    while not ended.wait(0.02):
        largest[0] = max(largest[0], own())

ended = threading.Event()
settings = Settings(ray=RaySettings(num_cpus=1, object_store_bytes=5_500_000_000))
with Engine(actions=[make, look], settings=settings) as engine:
    engine.connect()
    before, largest = own(), [0]
    watching = threading.Thread(target=watch)
    watching.start()
    run = engine.run(WORKFLOW)
ended.set()
watching.join()
print(json.dumps({
    "status": run.status.value,
    "grown": largest[0] - before,
    "looks": list(run.task("look").results),
}))
'''


def available_bytes() -> int:
    """Memory that a process could have now."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_items_of_more_than_two_to_the_31_bytes_arrive_and_pass_the_coordinator_by(tmp_path: Path) -> None:
    """Made by an action as one list: twice in the object store, two or three times in a worker."""
    if available_bytes() < 14 * 2**30 or shutil.disk_usage("/dev/shm").free < 6 * 2**30:  # noqa: S108  the store is there
        pytest.skip("needs 14 GiB of memory")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=170, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["status"] == "completed"
    assert found["looks"] == [[f"{n}:".ljust(6, "x"), 1_000_000] for n in range(2_150)]
    assert found["grown"] < 60_000_000
