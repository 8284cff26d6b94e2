"""Items whose times have a heavy tail: the total against the least that so many slots could take."""

import random

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks import cases
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

SLOTS = 4
N_ITEMS = 400
WORKFLOW = """
tasks:
  - name: wait
    action: bench.sleep
    with_items: "{{ parameters.seconds }}"
    input: {seconds: "{{ item }}"}
"""


def measure(*, quick: bool) -> list[Figure]:
    """Sleeps of a Pareto distribution (α = 1.5, at least 5 ms): half are below 8 ms, one in a hundred above 110 ms."""
    draw = random.Random(7)  # noqa: S311  the same items every time
    seconds = [0.005 * draw.paretovariate(1.5) for _ in range(N_ITEMS)]
    ideal_s = max(sum(seconds) / SLOTS, *seconds)
    took_s = []
    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=SLOTS))) as engine:
        for _ in range(3 if quick else 6):
            result = engine.run(WORKFLOW, {"seconds": seconds})
            if result.status.value != "completed":
                raise RuntimeError(f"the workflow failed: {result.result}")
            took_s.append(result.task("wait").duration_s)
    figures = [
        Figure(name="uneven items/total", unit="s", samples=took_s[1:]),
        Figure(name="uneven items/of the ideal", unit="×", samples=[one / ideal_s for one in took_s[1:]]),
    ]
    head = f"{N_ITEMS} items on {SLOTS} slots, ideal {ideal_s:.2f} s"
    table([head, ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures
