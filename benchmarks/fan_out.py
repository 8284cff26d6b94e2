"""A fan-out of no-op items, three templates each, with a 1 MB context: from its preparation to its last result."""

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings
from benchmarks import cases
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]

N_ENTRIES = 100  # 100 × 10 KB: 1 MB
WORKERS = 2


def measure(*, quick: bool) -> list[Figure]:
    """Warm runs of several widths, in one engine."""
    figures = []
    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=WORKERS))) as engine:
        for n_items in (10, 100, 1_000, 10_000):
            n_warm = 3  # pages of the object store that a width needs are touched for the first time
            runs = [cases.fan_out(engine, n_items, N_ENTRIES) for _ in range(n_warm + (3 if quick else 15))][n_warm:]
            figures += [
                Figure(
                    name=f"{n_items} items/time per item",
                    unit="µs",
                    samples=[run.duration_s / n_items * 1e6 for run in runs],
                ),
                Figure(
                    name=f"{n_items} items/coordinator per item",
                    unit="ns",
                    samples=[run.stats.coordinator_s / n_items * 1e9 for run in runs],
                ),
                Figure(
                    name=f"{n_items} items/context decoded",
                    unit="B",
                    samples=[max(run.stats.context_bytes_decoded for run in runs)],
                ),
            ]
    table(["two workers, 1 MB of context", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures
