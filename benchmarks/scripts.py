"""A fan-out of scripts: 1,000 that do nothing, 50 at once, against a hand-written asyncio program."""

import subprocess
import sys
import tempfile
from pathlib import Path

from attune_ray import Engine, Settings
from attune_ray.packs import load_pack
from attune_ray.settings import RaySettings
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

N_SCRIPTS = 1_000
FILES = {
    "pack.yaml": "ref: bench\n",
    "actions/nothing.yaml": "runner_type: shell\nentry_point: nothing.sh\n",
    "actions/nothing.sh": "#!/bin/sh\nexit 0\n",
}
RUN = """
tasks:
  - name: run
    action: bench.nothing
    with_items: "{{ range(parameters.count) }}"
    concurrency: 50
    input: {number: "{{ item }}"}
"""
HAND_WRITTEN = """
import asyncio, json, sys, time
from asyncio.subprocess import PIPE

async def run(gate, script, number):
    async with gate:
        process = await asyncio.create_subprocess_exec("/bin/sh", script, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        await process.communicate(json.dumps({"number": number}).encode())
        return process.returncode

async def main(script, count):
    gate = asyncio.Semaphore(50)
    began = time.perf_counter()
    codes = await asyncio.gather(*(run(gate, script, number) for number in range(count)))
    assert not any(codes)
    print(time.perf_counter() - began)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def measure(*, quick: bool) -> list[Figure]:
    """Seconds of ours and theirs, in turn."""
    repeats = 2 if quick else 5
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        source = load_pack(folder).source
        with Engine(actions=[source], settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
            _seconds(engine)
            for _ in range(repeats):
                ours.append(_seconds(engine))
                theirs.append(_hand_written_seconds(Path(folder) / "actions" / "nothing.sh"))
    figures = [
        Figure(name="1000 scripts, 50 at once/attune", unit="s", samples=ours),
        Figure(name="1000 scripts, 50 at once/hand-written asyncio", unit="s", samples=theirs, is_peer=True),
        Figure(
            name="1000 scripts, 50 at once/ratio",
            unit="×",
            samples=[one / other for one, other in zip(ours, theirs, strict=True)],
        ),
    ]
    table(["two workers", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _seconds(engine: Engine) -> float:
    result = engine.run(RUN, {"count": N_SCRIPTS})
    if result.status.value != "completed":
        raise RuntimeError(f"the workflow failed: {result.result}")
    return result.task("run").duration_s


def _hand_written_seconds(script: Path) -> float:
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-c", HAND_WRITTEN, str(script), str(N_SCRIPTS)], capture_output=True, check=True
    )
    return float(told.stdout)
