"""All of a run as one JSON document, part by part: of a fan-out one chunk at a time is held."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from attune_ray.bootstrap.kept import KeptRun
from attune_ray.cli.report import to_json
from attune_ray.cli.standing import task_to_json
from attune_ray.coordinator import TaskResult
from attune_ray.dispatch.worker.encoding import decode
from attune_ray.dispatch.worker.results import FanOutResult, PlainResult
from attune_ray.dispatch.worker.rows import FAILED, Rows
from attune_ray.errors import UsageError
from attune_ray.values.secrets import NO_SECRETS, Secrets

__all__ = ["document", "written"]

_MICROSECONDS = 1e6


def document(kept: KeptRun, status: str, *, with_secrets: bool) -> Iterator[bytes]:
    """The document: ``{run, tasks, variables, result}``.

    Raises:
        StateError: results cannot be read.
    """
    result, begun, ended = kept.result, kept.history.begun, kept.history.ended
    hidden = NO_SECRETS if with_secrets else result.secrets
    told = {
        "id": begun.run_id,
        "title": begun.title,
        "source": begun.source,
        "text": hidden.mask(begun.text),
        "parameters": hidden.masked(kept.shell.context.parameters),
        "status": status,
        "begun_at": begun.at,
        "ended_at": None if ended is None else ended.at,
        "rerun_of": begun.rerun_of,
        "warnings": [result.secrets.mask(warning) for warning in result.warnings],
    }
    yield b'{\n"run": ' + _json(told) + b',\n"tasks": ['
    for number, task in enumerate(result.tasks.values()):
        yield b",\n" if number else b"\n"
        yield from _task(kept, task, hidden)
    yield b'\n],\n"variables": ' + _json(hidden.masked(result.variables))
    given = None if ended is None else ended.result if with_secrets else ended.shown
    yield b',\n"result": ' + _json(given) + b"\n}\n"


def written(file: Path, parts: Iterable[bytes]) -> None:
    """Write parts into a file of the owner's alone, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.writelines(parts)
        draft.replace(file)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _task(kept: KeptRun, task: TaskResult, hidden: Secrets) -> Iterator[bytes]:
    """A task with its items; those of a plain task are the one that it is, without an index."""
    head = _json(task_to_json(kept, task))
    yield head[:-1] + b', "results": ['
    rows: Iterator[Mapping[str, Any]] = iter(())
    if isinstance(task.stored, FanOutResult):
        rows = _fan_out(task.stored)
    elif isinstance(task.stored, PlainResult):
        opened = task.stored.source.open()
        rows = ({**row, "index": None, "data": opened.value(0)} for row in _columns(opened))
    for number, row in enumerate(rows):
        yield b",\n" if number else b"\n"
        yield _json({**row, **_shown(row, hidden)})
    yield b"]}"


def _shown(row: Mapping[str, Any], hidden: Secrets) -> dict[str, Any]:
    """Data and error of a row; encoded data goes through as it is where nothing is to be hidden."""
    data = row["data"]
    if isinstance(data, bytes):
        data = hidden.masked(decode(data)) if hidden else orjson.Fragment(data)
    else:
        data = hidden.masked(data)
    return {"data": data, "error": row["error"] and hidden.mask(row["error"])}


def _fan_out(stored: FanOutResult) -> Iterator[Mapping[str, Any]]:
    """The last row of each item, in the order in which they ended."""
    last = {
        index: number
        for number, part in enumerate(stored.parts)
        if not isinstance(part.items, range)
        for index in part.items
    }
    for number, part in enumerate(stored.parts):
        yield from (row for row in _columns(part.source.open()) if last.get(row["index"], number) == number)


def _columns(rows: Any) -> Iterator[dict[str, Any]]:
    """Rows one by one, their data as it is kept."""
    if isinstance(rows, Rows):
        attempts: Sequence[int] = [rows.attempt] * len(rows.status)
        columns = [rows.index, rows.status, rows.data, rows.error, attempts, rows.duration_us]
    else:
        names = ("index", "status", "data", "error", "attempt", "duration_us")
        columns = [rows.batch.column(name).to_pylist() for name in names]
    for index, status, data, error, attempt, duration_us in zip(*columns, strict=True):
        yield {
            "index": index,
            "status": "failed" if status == FAILED else "completed",
            "data": data,
            "error": error,
            "attempt": attempt,
            "seconds": duration_us / _MICROSECONDS,
        }


def _json(value: Any) -> bytes:
    return to_json(value, compact=True).encode()
