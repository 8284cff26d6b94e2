"""The main job's fan-out: 1,000 HTTP checks of about 50 ms, against a hand-written httpx and asyncio program."""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks.report import save, table

__all__ = ["main"]

WORKFLOWS = Path(__file__).parents[1] / "workflows"
FLEET = """
tasks: [{name: start, action: fleet.get_servers, input: {count: "{{ parameters.servers }}", idle_s: 120}}]
output_map: {servers: "{{ task.start.servers }}", fleet: "{{ task.start.fleet }}"}
"""
STOP = "tasks: [{name: stop, action: fleet.stop, input: {fleet: '{{ parameters.fleet }}'}}]"
CHECK = """
tasks:
  - name: check
    action: monitoring.check_http
    with_items: "{{ parameters.servers }}"
    input: {name: "{{ item.name }}", url: "{{ item.health_endpoint }}"}
"""
HAND_WRITTEN = """
import asyncio, json, sys, time
import httpx

async def check(client, gate, server):
    async with gate:
        try:
            response = await client.get(server["health_endpoint"])
            return response.status_code
        except httpx.HTTPError:
            return None

async def main():
    servers = json.load(sys.stdin)
    gate = asyncio.Semaphore(100)
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for _ in range(2):  # the second time is warm
            began = time.perf_counter()
            await asyncio.gather(*(check(client, gate, server) for server in servers))
            seconds = time.perf_counter() - began
    print(seconds)

asyncio.run(main())
"""


def main(*, quick: bool = False) -> None:
    """Measure, print the table, write ``results/http_checks.json``."""
    repeats = 2 if quick else 5
    actions = [WORKFLOWS / "actions" / name for name in ("fleet.py", "monitoring.py")]
    with Engine(actions=actions, settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
        started = engine.run(FLEET, {"servers": 1_000}).output
        servers = started["servers"]
        ours, theirs = [], []
        _check_seconds(engine, servers)
        for _ in range(repeats):
            ours.append(_check_seconds(engine, servers))
            theirs.append(_hand_written_seconds(servers))
        engine.run(STOP, {"fleet": started["fleet"]})
    figures = {
        "n_checks": len(servers),
        "seconds": statistics.median(ours),
        "hand_written_seconds": statistics.median(theirs),
        "ideal_seconds_one_by_one": 0.05 * len(servers),
    }
    figures["ratio"] = figures["seconds"] / figures["hand_written_seconds"]
    save("http_checks", figures)
    table(
        ["1,000 checks of ~50 ms", "seconds", "ratio"],
        [
            ["attune_ray, 2 workers", f"{figures['seconds']:.2f}", f"{figures['ratio']:.2f}"],
            ["hand-written httpx + asyncio, 1 process", f"{figures['hand_written_seconds']:.2f}", "1.00"],
            ["one after the other", f"{figures['ideal_seconds_one_by_one']:.0f}", ""],
        ],
    )


def _check_seconds(engine: Engine, servers: list[dict[str, Any]]) -> float:
    result = engine.run(CHECK, {"servers": servers})
    if result.status.value != "completed":
        raise RuntimeError(f"the workflow failed: {result.result}")
    return result.task("check").duration_s


def _hand_written_seconds(servers: list[dict[str, Any]]) -> float:
    import orjson  # noqa: PLC0415

    told = subprocess.run(  # noqa: S603
        [sys.executable, "-c", HAND_WRITTEN], input=orjson.dumps(servers), capture_output=True, check=True
    )
    return float(told.stdout)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    main(quick=arguments.parse_args().quick)
