"""The main job's fan-out: 1,000 HTTP checks of about 50 ms, against a hand-written httpx and asyncio program."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

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


def measure(*, quick: bool) -> list[Figure]:
    """Seconds of ours and theirs, in turn."""
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
    figures = [
        Figure(name="1000 HTTP checks of 50 ms/attune", unit="s", samples=ours),
        Figure(name="1000 HTTP checks of 50 ms/hand-written httpx and asyncio", unit="s", samples=theirs, is_peer=True),
    ]
    figures.append(
        Figure(
            name="1000 HTTP checks of 50 ms/ratio",
            unit="×",
            samples=[one / other for one, other in zip(ours, theirs, strict=True)],
        )
    )
    table(["two workers; one after the other: 50 s", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


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
