"""10,000 to 1,000,000 items, made by a task or read from a file: time per item and memory of the coordinator."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import cases
from benchmarks.child import in_child, peak_resident_bytes
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

N_ENTRIES = 100
FROM_FILE = """
parameters: {path: {type: string}, n_entries: {type: integer}, region: {type: string, default: north}}
tasks:
  - name: context
    action: bench.context
    input: {n_entries: "{{ parameters.n_entries }}"}
  - name: check
    action: bench.noop
    with_items: {source: "{{ parameters.path }}"}
    input:
      url: "{{ item.url }}"
      name: "{{ parameters.region }}-{{ index }}"
      note: "{{ task.context.settings.note }}"
"""


def measure(*, quick: bool) -> list[Figure]:
    """One fresh process for each width and kind of items."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for n_items in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000):
            path = Path(folder) / f"{n_items}.ndjson"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(server)}\n" for server in cases.items(n_items)["servers"])
            for kind, given in (("made by a task", None), ("from a file", str(path))):
                found = in_child(run_once, n_items=n_items, path=given)
                figures += [
                    Figure(
                        name=f"{n_items} items {kind}/time per item",
                        unit="µs",
                        samples=[second / n_items * 1e6 for second in found["seconds"]],
                    ),
                    Figure(name=f"{n_items} items {kind}/coordinator RSS", unit="B", samples=[found["resident_bytes"]]),
                ]
    table(["two workers, 1 MB of context", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def run_once(n_items: int, path: str | None) -> dict[str, Any]:
    """Seconds of two warm runs, and the peak of this process's resident memory."""
    from attune_ray import Engine, Settings  # noqa: PLC0415  in the fresh process alone
    from attune_ray.settings import RaySettings  # noqa: PLC0415

    seconds = []
    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=2))) as engine:
        cases.fan_out(engine, 100, N_ENTRIES)
        for _ in range(2):
            if path is None:
                seconds.append(cases.fan_out(engine, n_items, N_ENTRIES).duration_s)
                continue
            result = engine.run(FROM_FILE, {"path": path, "n_entries": N_ENTRIES})
            if result.status.value != "completed":
                raise RuntimeError(f"the workflow failed: {result.result}")
            seconds.append(result.task("check").duration_s)
        resident_bytes = peak_resident_bytes()
    return {"seconds": seconds, "resident_bytes": resident_bytes}
