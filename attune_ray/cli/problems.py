"""Problems as a person reads them: one line each, the line of the file, and a caret under the column."""

from collections.abc import Iterable, Mapping, Sequence

from attune_ray.errors import Problem
from attune_ray.observe.text import cell_width, harmless

__all__ = ["render", "render_all"]

_MOST_CHARS = 160  # of a source line: JSON on one line may be a megabyte
_BEFORE = 60
_INDENT = "    "


def render_all(errors: Iterable[Problem], texts: Mapping[str, str], *, warnings: Iterable[Problem] = ()) -> str:
    """All problems, one below the other, in the order of their files: a warning may tell the cause of an error.

    Args:
        texts: source name → its text; of other sources no line is shown.
    """
    lines = {source: text.splitlines() for source, text in texts.items()}
    labelled = [*((problem, "") for problem in errors), *((problem, "warning") for problem in warnings)]
    sources = {source: n for n, source in enumerate(dict.fromkeys(each.location.source for each, _ in labelled))}

    def place(entry: tuple[Problem, str]) -> tuple[int, int, int]:
        location = entry[0].location
        return sources[location.source], location.line, location.column

    ordered = sorted(labelled, key=place)
    return "\n".join(render(each, lines.get(each.location.source, ()), label=label) for each, label in ordered)


def render(problem: Problem, lines: Sequence[str], *, label: str = "") -> str:
    """``file:line:column: path: message (hint)``, then the source line and a caret, where they are known."""
    location = problem.location
    told = harmless(str(problem))
    if label:
        where = harmless(str(location))
        told = f"{where}: {label}{told[len(where) :]}"
    if not 1 <= location.line <= len(lines):
        return told
    shown, caret = _window(lines[location.line - 1], location.column - 1)
    return f"{told}\n{_INDENT}{shown}" + (f"\n{_INDENT}{' ' * caret}^" if location.column else "")


def _window(line: str, place: int) -> tuple[str, int]:
    """The part of a line around ``place`` as it is shown, and the columns before ``place`` in it."""
    line = line.rstrip()
    start = max(0, place - _BEFORE) if len(line) > _MOST_CHARS else 0
    end = min(len(line), start + _MOST_CHARS)
    head = ("…" if start else "") + _shown(line[start : max(place, start)])
    return head + _shown(line[max(place, start) : end]) + ("…" if end < len(line) else ""), cell_width(head)


def _shown(text: str) -> str:
    return harmless(text.replace("\t", "    "))
