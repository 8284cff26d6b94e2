"""Resident memory of the coordinator, before and after Ray, against a bare process that does the same."""

import argparse
import statistics
import subprocess
import sys

from benchmarks.report import save, table

__all__ = ["main"]

_RSS = "import psutil; print(psutil.Process().memory_info().rss)"
_BEFORE_RAY = f"""
import attune_ray
result = attune_ray.run("tasks: [{{name: hi, action: core.echo, input: {{message: hi}}}}]")
assert result.status.value == "completed"
{_RSS}
"""
_BARE_RAY = f"""
import pyarrow, ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
@ray.remote
def one(): return 1
assert ray.get(one.remote()) == 1
{_RSS}
"""
_AFTER_RAY = f"""
from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks import cases
with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
    result = engine.run(cases.FAN_OUT, {{"n_items": 1000, "n_entries": 100}})
    assert result.status.value == "completed"
    {_RSS}
"""


def main(*, quick: bool = False) -> None:
    """Measure, print the table, write ``results/resident.json``."""
    repeats = 1 if quick else 3
    before, bare, after = (_resident_bytes(text, repeats) for text in (_BEFORE_RAY, _BARE_RAY, _AFTER_RAY))
    save(
        "resident",
        {"before_ray_bytes": before, "bare_ray_bytes": bare, "after_ray_bytes": after, "ratio": after / bare},
    )
    rows = [
        ["an inline run, Ray never started", f"{before / 1e6:.0f}", ""],
        ["bare process: ray.init, pyarrow, one task", f"{bare / 1e6:.0f}", "1.00"],
        ["a fan-out of 1,000 items with a 1 MB context", f"{after / 1e6:.0f}", f"{after / bare:.2f}"],
    ]
    table(["resident memory of the driver", "MB", "ratio"], rows)


def _resident_bytes(text: str, repeats: int) -> float:
    def once() -> int:
        told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)  # noqa: S603
        return int(told.stdout.split()[-1])

    return statistics.median(once() for _ in range(repeats))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    main(quick=arguments.parse_args().quick)
