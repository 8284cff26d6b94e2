"""Values as a terminal may show them: texts made harmless, numbers made short, tables of plain text."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "byte_count",
    "cell_width",
    "clipped",
    "harmless",
    "moment",
    "question",
    "run_line",
    "seconds",
    "short",
    "table",
]

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: colours, cursor moves, the bell, titles
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of writing: shows a text other than it is
    "\u200b\u2028\u2029\ufeff\U000e0000-\U000e007f"  # invisible
    "\ud800-\udfff]"  # halves of characters: cannot be written at all
)
_KIB = 1024


def harmless(text: str) -> str:
    r"""The text with all that a terminal would act upon, or hide, shown as an escape; a line break is one too.

    >>> harmless("\x1b[31mred\n")
    '\\x1b[31mred\\n'
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def short(value: Any, most: int = 80) -> str:
    """A value on one line of at most ``most`` characters, harmless: a text as it is, else compact JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return clipped(harmless(text[: most + 1]), most)


def clipped(text: str, most: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cell_width(text: str) -> int:
    """Columns that a harmless text takes in a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def seconds(duration_s: float) -> str:
    """A duration: ``0.012 s``, ``3.4 s``, ``2 min 05 s``, ``1 h 02 min``.

    >>> [seconds(value) for value in (0.0123, 3.44, 125, 3720)]
    ['0.012 s', '3.4 s', '2 min 05 s', '1 h 02 min']
    """
    if duration_s < 1:
        return f"{duration_s:.3f} s"
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, rest_s = divmod(round(duration_s), 60)
    hours, rest_min = divmod(minutes, 60)
    return f"{hours} h {rest_min:02} min" if hours else f"{minutes} min {rest_s:02} s"


def moment(at: str) -> str:
    """A moment of UTC, ISO 8601, as people read it.

    >>> moment("2026-11-21T01:30:54.123456Z")
    '2026-11-21 01:30:54 UTC'
    """
    return f"{at[:19].replace('T', ' ')} UTC"


def byte_count(n_bytes: float) -> str:
    """A number of bytes: ``12 B``, ``3.4 KiB``, ``56.7 MiB``, ``1.2 GiB``."""
    size, units = float(n_bytes), iter(("KiB", "MiB", "GiB", "TiB"))
    if abs(size) < _KIB:
        return f"{size:.0f} B"
    unit = ""
    while abs(size) >= _KIB and (larger := next(units, "")):
        size, unit = size / _KIB, larger
    return f"{size:.1f} {unit}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Aligned columns under their titles; the first ``left`` columns are texts, the others numbers.

    The cells are data: they are made harmless here.
    """
    cells = [[harmless(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(map(cell_width, column)) for column in zip(*cells, strict=True)]
    aligned: list[Callable[[str, int], str]] = [_to_left if place < left else _to_right for place in range(len(widths))]
    lines = [
        "  ".join(align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True)) for row in cells
    ]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _to_left(cell: str, width: int) -> str:
    return cell + " " * (width - cell_width(cell))


def _to_right(cell: str, width: int) -> str:
    return " " * (width - cell_width(cell)) + cell


def question(run_id: str, task: str, prompt: str) -> str:
    """What a run asks, as one line."""
    return f"run {run_id}, task {harmless(task)} asks: {harmless(prompt)}"


def run_line(run_id: str, title: str) -> str:
    """What a run is called, as one line."""
    return f"run {run_id}: {harmless(title)}"
