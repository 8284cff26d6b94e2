"""Resident memory of the coordinator, before and after Ray, against a bare process that does the same."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

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


def measure(*, quick: bool) -> list[Figure]:
    """Bytes after each program's work, and seconds that a validation takes."""
    repeats = 1 if quick else 3
    texts = {
        "an inline run, Ray never started": _BEFORE_RAY,
        "a bare process: ray.init, pyarrow, one task": _BARE_RAY,
        "a fan-out of 1,000 items with a 1 MB context": _AFTER_RAY,
    }
    figures = [
        Figure(
            name=name,
            unit="B",
            samples=[_resident_bytes(text) for _ in range(repeats)],
            is_peer=text == _BARE_RAY,
        )
        for name, text in texts.items()
    ]
    figures.append(
        Figure(name="attune-ray validate", unit="s", samples=[_validate_seconds() for _ in range(repeats + 2)])
    )
    table(["resident memory of the driver; start", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _resident_bytes(text: str) -> int:
    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)  # noqa: S603
    return int(told.stdout.split()[-1])


def _validate_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hello.yaml"
        path.write_text("tasks: [{name: hi, action: core.echo, input: {message: '{{ parameters.who }}'}}]\n")
        began = time.perf_counter()
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "attune_ray", "validate", str(path)], capture_output=True, check=True
        )
        return time.perf_counter() - began
