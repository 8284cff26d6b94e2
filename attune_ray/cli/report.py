"""What a run has left, as text: the summary table, what failed and why, the output."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from attune_ray.coordinator import RunResult, TaskResult
from attune_ray.engine import RunStatus, TaskStatus
from attune_ray.observe.text import clipped, harmless, seconds, short, table
from attune_ray.values.secrets import MASK

__all__ = ["failed_items", "failure", "failures", "summary", "to_json", "warnings"]

_MOST_FAILED_ITEMS = 5
_MOST_WARNINGS = 20
_MOST_ERROR_CHARS = 1_000


def summary(result: RunResult) -> str:
    """The table of tasks, and one line on the run."""
    titles = ("task", "status", "items", "failed", "seconds", "items/s")
    rows = [_row(task) for task in result.tasks.values()]
    return f"{table(titles, rows, left=2)}\n\nrun {result.id} {result.status.value} in {seconds(result.duration_s)}"


def failures(result: RunResult, *, hides_items: bool = False, most: int = _MOST_FAILED_ITEMS) -> Iterator[str]:
    """Why the run failed: its error, every failed task with its error, and the first failed items of each.

    Args:
        hides_items: the items themselves are shown as ``***``.
        most: failed items of each task.
    """
    if result.status is not RunStatus.COMPLETED and "error" in result.result:
        yield f"error: {_line(result.secrets.mask(str(result.result['error'])))}"
    for task in result.tasks.values():
        if task.status in {TaskStatus.FAILED, TaskStatus.TIMEOUT}:
            yield failure(task)
            yield from failed_items(task, hides_items=hides_items, most=most)


def failure(task: TaskResult) -> str:
    """Why a task has failed."""
    return f"task {harmless(task.name)}: {_line(task.error or task.status.value)}"


def failed_items(task: TaskResult, *, hides_items: bool = False, most: int = _MOST_FAILED_ITEMS) -> Iterator[str]:
    """The first failed items of a task, one line each."""
    for one in itertools.islice(task.failed_items, most):
        item = MASK if hides_items else short(task.secrets.masked(one.get("item")))
        yield f"  item {one['index']:,} {item}: {_line(str(one['error']))}"
    n_failed = (task.result or {}).get("failed_count", 0)
    if n_failed > most:
        yield f"  and {n_failed - most:,} more"


def warnings(found: Iterable[str]) -> Iterator[str]:
    """What is odd without failing the run, one line each; of many the first ones."""
    listed = list(found)
    for warning in listed[:_MOST_WARNINGS]:
        yield f"warning: {_line(warning)}"
    if (more := len(listed) - _MOST_WARNINGS) > 0:
        yield f"warning: and {more:,} more"


def to_json(value: Any, *, ascii_only: bool = False, compact: bool = False) -> str:
    """JSON that a terminal shows as it is: control characters stand as escapes of the same value.

    Args:
        compact: on one line, else indented.
    """
    layout = 0 if compact else orjson.OPT_INDENT_2
    try:
        text = orjson.dumps(value, default=_plain, option=layout | orjson.OPT_SERIALIZE_NUMPY).decode()
    except TypeError:  # an integer beyond 64 bits, half a character: the slower one writes them
        return json.dumps(value, indent=None if compact else 2, default=_plain)
    if ascii_only:
        return json.dumps(orjson.loads(text), indent=2)
    return "\n".join(map(_escaped, text.split("\n")))


def _escaped(line: str) -> str:
    shown = harmless(line)
    return line if shown == line else "".join(_json_escape(char) for char in line)


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1] if harmless(char) != char else char


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return list(value)
    return repr(value)


def _row(task: TaskResult) -> tuple[str, ...]:
    found = task.result if task.status is not TaskStatus.NOT_RUN else None
    is_fan_out = found is not None and "failed_count" in found and "total_count" in found
    if found is None or not is_fan_out:
        duration = f"{task.duration_s:.3f}" if found is not None else ""
        return (task.name, task.status.value, "", "", duration, "")
    n_items, n_failed = found["total_count"], found["failed_count"]
    ran = task.status in {TaskStatus.COMPLETED, TaskStatus.FAILED}  # of a cancelled one not all items did
    rate = f"{n_items / task.duration_s:,.0f}" if ran and task.duration_s and n_items else ""
    return (task.name, task.status.value, f"{n_items:,}", f"{n_failed:,}", f"{task.duration_s:.3f}", rate)


def _line(text: str) -> str:
    return clipped(harmless(text), _MOST_ERROR_CHARS)
