"""What a benchmark found: named figures with their repeats, kept as JSON, and compared with those of another time.

The rule of a comparison: a figure's spread is half the range of its repeats over their median (taken as 10 % for a
single measurement). A figure is worse when its median is worse than the other's by more than 5 % and both spreads; and,
where it is a time or a rate, also by more than the machine itself has become slower since: a loop that never changes is
timed beside each benchmark.
"""

import datetime as dt
import json
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.report import place, table

__all__ = ["Figure", "compare", "load", "save", "text_of"]

RESULTS = Path(__file__).parent / "results"
_FLOOR = 0.05
_SINGLE = 0.10
_TIMED = {"s", "ms", "µs", "ns", "events/s", "facts/s", "runs/s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: what was measured, the same from run to run: ``10000 items/attune/time``.
        unit: of the samples: ``s``, ``µs``, ``ns``, ``B``, ``events/s`` or ``×``.
        samples: one value for each repeat.
        note: what a reader of the table must know.
        is_peer: it is of others: kept and printed, but never a regression of ours.
    """

    name: str
    unit: str
    samples: Sequence[float]
    better: Literal["lower", "higher"] = "lower"
    note: str = ""
    is_peer: bool = False

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """Half the range of the repeats, by their median."""
        if len(self.samples) == 1 or not self.median:
            return _SINGLE
        return (max(self.samples) - min(self.samples)) / 2 / abs(self.median)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "name": self.name,
            "unit": self.unit,
            "better": self.better,
            "median": self.median,
            "spread": self.spread,
            "n": len(self.samples),
            "samples": list(self.samples),
            "note": self.note,
            "is_peer": self.is_peer,
        }


def text_of(figure: Figure) -> str:
    """The median with its unit, three digits of it, as people read it: ``12.3 µs``, ``140 MB``."""
    value, unit = figure.median, figure.unit
    if unit == "B":
        for unit in ("B", "kB", "MB", "GB"):
            if abs(value) < 1_000 or unit == "GB":
                break
            value /= 1_000
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def save(run: str, benchmark: str, figures: Iterable[Figure], *, quick: bool) -> Path:
    """Keep the figures of one benchmark under a name, with the machine, the commit and the versions they belong to."""
    path = RESULTS / run / f"{benchmark}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "benchmark": benchmark,
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        **place(),
        "loop_s": loop_s(),
        "figures": [figure.to_json() for figure in figures],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def loop_s() -> float:
    """Seconds of a loop of plain Python that is always the same: how fast the machine is now."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        total = 0
        for number in range(300_000):
            total += number * number % 7
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _slower_since(run: str, benchmark: str) -> float:
    """How many times slower the machine is than when figures were kept; 1 where it is faster, or nobody knows."""
    path = RESULTS / run / f"{benchmark}.json"
    then_s = json.loads(path.read_text(encoding="utf-8")).get("loop_s") if path.exists() else None
    return max(1.0, loop_s() / then_s) if then_s else 1.0


def load(run: str) -> dict[str, dict[str, Figure]]:
    """Benchmark → name → figure, of all that was kept under a name."""
    return {path.stem: _read(path) for path in sorted((RESULTS / run).glob("*.json"))}


def _read(path: Path) -> dict[str, Figure]:
    fields = ("name", "unit", "samples", "better", "note", "is_peer")
    kept = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return {figure["name"]: Figure(**{name: figure[name] for name in fields}) for figure in kept}


def compare(run: str, benchmark: str, figures: Iterable[Figure]) -> int:
    """Print how figures stand to those kept under a name; how many are worse beyond the noise."""
    before = load(run).get(benchmark, {})
    rows, n_worse = [], 0
    slower = _slower_since(run, benchmark)
    for figure in figures:
        if (old := before.get(figure.name)) is None or not old.median:
            continue
        ratio = figure.median / old.median
        noise = _FLOOR + old.spread + figure.spread
        slowdown = ratio if figure.better == "lower" else 1 / ratio if ratio else float("inf")
        own = slowdown / slower if figure.unit in _TIMED else slowdown
        verdict = "peer" if figure.is_peer else _verdict(slowdown, noise, own)
        n_worse += verdict == "WORSE"
        rows.append([figure.name, text_of(old), text_of(figure), f"{ratio:.2f}", f"±{noise:.0%}", verdict])
    if rows:
        print(f"the machine is {slower:.2f} times slower than then")
        table([f"against {run}", "then", "now", "ratio", "noise", ""], rows)
    else:
        print(f"nothing of {benchmark} is kept under {run}")
    return n_worse


def _verdict(slowdown: float, noise: float, own: float) -> str:
    """``own``: what of it the machine is not to blame for."""
    if own > 1 + noise:
        return "WORSE"
    if slowdown > 1 + noise:
        return "machine"
    return "better" if slowdown < 1 / (1 + noise) else "same"
