"""``python -m benchmarks.publish NAME``: the README's figures and the plot of the memory, from kept results.

What stands between the two marks in README.md is replaced; ``docs/memory.svg`` is drawn anew.
"""

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, load, text_of
from benchmarks.memory import ENTRIES, SIZES
from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]
_MARKS = re.compile("(<!-- figures -->\n).*(<!-- end of figures -->)", re.DOTALL)
_Kept = dict[str, dict[str, Figure]]

ROWS = (
    ("`for_item`, nothing in the context", "context", "0 results/for_item", "flat"),
    ("`for_item`, 500 results of 10 KB", "context", "500 results/for_item", "flat"),
    ("a chunk sent and reported, CPU, nothing in the context", "context", "0 results/submit and report", "flat"),
    ("a chunk sent and reported, CPU, 500 results", "context", "500 results/submit and report", "flat"),
    ("coordinator CPU per item of 10,000, no context", "context", "0 kB/coordinator per item", "< 211 ns"),
    ("coordinator CPU per item of 10,000, 5 MB", "context", "5000 kB/coordinator per item", "the same ± 20 %"),
    (
        "… of three bare Ray tasks, sent and answered in the same rounds",
        "context",
        "coordinator/of three bare tasks",
        "",
    ),
    ("coordinator heap, 10 items, 1 MB", "memory", "attune/1 MB context/10 items", "flat"),
    ("coordinator heap, 100,000 items, 1 MB", "memory", "attune/1 MB context/100000 items", "flat"),
    ("1,000 tasks that end at once", "completion", "1000 tasks end at once", ""),
    ("1,000,000 items made by a task", "scale", "1000000 items made by a task/time per item", "as at 10,000"),
    ("1,000,000 items from a file", "scale", "1000000 items from a file/time per item", "as at 10,000"),
    ("… coordinator's resident memory", "scale", "1000000 items from a file/coordinator RSS", "flat"),
    ("heavy-tailed items, of the ideal", "uneven", "uneven items/of the ideal", "≤ 1.2 ×"),
    ("1,000 HTTP checks of 50 ms, of hand-written httpx", "io", "1000 HTTP checks of 50 ms/ratio", "≤ 1.5 ×"),
    ("1,000 shell scripts, of hand-written asyncio", "io", "1000 scripts, 50 at once/ratio", "≤ 1.5 ×"),
    ("an expression, of Jinja2's `compile_expression`", "expressions", "median/compile_expression by ours", "≥ 4 ×"),
    (
        "10,000 no-op items, kept strictly, of those not kept",
        "durable",
        "10000 items, strict/of a run that is not kept",
        "≤ 1.3 ×",
    ),
    (
        "a run with 100,000 finished items is gone on with after",
        "durable",
        "100000 finished items/time to go on",
        "< 2 s",
    ),
    ("the newest 50 of 100,000 runs are listed in", "durable", "the newest 50 of 100000 runs", "< 500 ms"),
    ("journal per chunk", "durable", "journal/bytes per chunk", ""),
    ("SQLite, facts of 1,000 runs at once", "durable", "SQLite/group commit", ""),
    ("… one commit for each", "durable", "SQLite/one commit per fact", ""),
    ("PostgreSQL, facts of 1,000 runs at once", "durable", "PostgreSQL (fsync off)/group commit", ""),
    ("… one commit for each", "durable", "PostgreSQL (fsync off)/one commit per fact", ""),
    ("1,000 runs of three inline tasks at once, not kept", "durable", "1000 runs of three tasks at once, off/rate", ""),
    ("… kept, relaxed", "durable", "1000 runs of three tasks at once, relaxed/rate", "≥ 500"),
    ("… kept, strict", "durable", "1000 runs of three tasks at once, strict/rate", ""),
    (
        "… coordinator's resident memory",
        "durable",
        "1000 runs of three tasks at once, relaxed/coordinator RSS",
        "< 289 MB",
    ),
    ("resident memory, an inline run without Ray", "resident", "an inline run, Ray never started", "< 60 MB"),
    ("`attune-ray validate`", "resident", "attune-ray validate", "< 0.3 s"),
)
"""What the second table says: words, benchmark, name of the figure, aim."""


def main() -> None:
    """Write both."""
    if not (kept := load(sys.argv[1])):
        sys.exit(f"nothing is kept under {sys.argv[1]}")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    told = "\n".join([*_peers(kept), "", *_others(kept), ""])
    readme.write_text(_MARKS.sub(lambda found: f"{found[1]}{told}{found[2]}", text), encoding="utf-8")
    if "memory" in kept:
        (ROOT / "docs" / "memory.svg").write_text(_plot(kept["memory"]), encoding="utf-8")


def _peers(kept: _Kept) -> Iterator[str]:
    """All peers by their time per item at the largest width that was measured."""
    found = kept.get("peers", {})
    widths = sorted({int(name.split()[0]) for name in found})
    if not widths:
        return
    heads = [f"µs per item of {width:,}" for width in widths]
    yield f"| no-op items, 1 MB of context | {' | '.join(heads)} | start-up | driver RSS | driver heap |"
    yield f"|---|{'---|' * (len(widths) + 3)}"
    for peer in PEERS:
        if f"{widths[-1]} items/{peer}/start-up" not in found:
            continue
        times = [found[f"{width} items/{peer}/time per item"] for width in widths]
        others = [found[f"{widths[-1]} items/{peer}/{what}"] for what in ("start-up", "driver RSS", "driver heap")]
        cells = [text_of(figure) + (f" ({figure.note})" if figure.note else "") for figure in times]
        yield f"| {peer} | {' | '.join([*cells, *map(text_of, others)])} |"


def _others(kept: _Kept) -> Iterator[str]:
    yield "| what | figure | aim |"
    yield "|---|---|---|"
    for words, benchmark, name, aim in ROWS:
        if (figure := kept.get(benchmark, {}).get(name)) is not None:
            yield f"| {words} | {text_of(figure)} | {aim} |"
        else:
            print(f"not measured: {benchmark}: {name}")


_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 20, 520, 260
_LINES = (("attune", "#0b7285"), ("copy per item", "#c92a2a"))
_LEAST, _MOST = 4, 9.3
"""Powers of ten at the ends of the plot's bytes: 10 KB and 2 GB."""


def _plot(figures: dict[str, Figure]) -> str:
    """Heap by items, both on logarithmic axes; 1 MB of context as a line, none dashed."""
    drawn = [*_axes()]
    for way, colour in _LINES:
        for label in ENTRIES:
            points = [
                (_x(n), _y(figures[name].median))
                for n in SIZES
                if (name := f"{way}/{label} context/{n} items") in figures
            ]
            if points:
                path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
                dashes = ' stroke-dasharray="5 4"' if label == "0 MB" else ""
                drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
                x, y = points[-1]
                y += -2 if dashes else 12  # the two of one way may end at the same height
                drawn.append(f'<text x="{x + 6:.0f}" y="{y:.0f}" fill="{colour}">{way}, {label}</text>')
    body = "\n".join(drawn)
    size = f'width="{_LEFT + _WIDTH + 150}" height="{_TOP + _HEIGHT + 50}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect {size} fill="#fff"/>\n{body}\n</svg>\n'


def _axes() -> Iterator[str]:
    for n_items in SIZES:
        yield f'<text x="{_x(n_items):.0f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{n_items:,}</text>'
    for power, words in ((4, "10 kB"), (5, "100 kB"), (6, "1 MB"), (7, "10 MB"), (8, "100 MB"), (9, "1 GB")):
        y = _y(10**power)
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{words}</text>'
    middle = _LEFT + _WIDTH / 2
    yield f'<text x="{middle:.0f}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">items: heap of the coordinator</text>'


def _x(n_items: int) -> float:
    return _LEFT + _WIDTH * (math.log10(n_items) - 1) / 4


def _y(n_bytes: float) -> float:
    share = (math.log10(max(n_bytes, 10**_LEAST)) - _LEAST) / (_MOST - _LEAST)
    return _TOP + _HEIGHT * (1 - min(1.0, share))


if __name__ == "__main__":
    main()
