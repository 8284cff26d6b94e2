"""Entries of a journal ↔ bytes: JSON, with the values left out that are the default anyway.

What a table has as columns (a run's id, a moment, the kind of a fact) is not in the bytes: the functions that read take
it again.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import orjson

from attune_ray.actions import Nature
from attune_ray.engine import Event, Request, TaskRunId
from attune_ray.errors import StateError
from attune_ray.expression import LazyList
from attune_ray.plan import Items, Shape
from attune_ray.records import Asked, Entry, Fact, RunBegun, RunEnded, root_of

__all__ = [
    "decode_asked",
    "decode_begun",
    "decode_fact",
    "decode_json",
    "decode_request",
    "decode_result",
    "encode",
    "encode_json",
    "encode_request",
    "kind_of",
    "plain_text",
]

_Convert = Callable[[Any], Any]
_MISSING: Final = object()


def encode(entry: Entry) -> bytes:
    """What an entry holds besides its columns: its body.

    Raises:
        StateError: a value in it is no JSON; names the run.
    """
    match entry:
        case RunBegun():
            body = {"text": entry.text, "given": entry.given} | _unless({}, launch=entry.launch)
        case Fact():
            body = _unless({}, event=_fields_of(entry.event), shell=entry.shell)
        case Asked():
            more = _unless(None, response_schema=entry.response_schema, assigned_to=entry.assigned_to)
            body = {"prompt": _text(entry.prompt)} | more
        case RunEnded():
            body = {"result": entry.result}
    return encode_json(body, entry.run_id)


def encode_json(value: Any, run_id: str) -> bytes:
    """A JSON value of a run as bytes; mappings of any type, tuples and ``orjson.Fragment`` may be in it.

    Raises:
        StateError: it is no JSON; names the run.
    """
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError as error:
        text = f"run {run_id}: what is to be kept of it is no JSON: {error}"
        raise StateError(text, frozenset({root_of(run_id)})) from error


def decode_json(content: bytes | str, run_id: str) -> Any:
    """The value of bytes that ``encode_json`` has made. Errors: as of ``decode_fact``."""
    try:
        return orjson.loads(content)
    except ValueError as error:
        raise _unreadable(run_id, error) from error


def decode_begun(
    run_id: str, at: str, title: str, source: str, body: bytes, *, rerun_of: str | None, is_secret: bool
) -> RunBegun:
    """The beginning that ``encode`` has made ``body`` of. Errors: as of ``decode_fact``."""
    held = _held(body, {"text", "given", "launch"}, run_id)
    with _reading(run_id):
        return RunBegun(
            run_id=run_id,
            at=at,
            title=title,
            source=source,
            text=held["text"],
            given=held["given"],
            launch=held.get("launch", {}),
            rerun_of=rerun_of,
            is_secret=is_secret,
        )


def decode_fact(run_id: str, at: str, kind: str, body: bytes, *, is_secret: bool) -> Fact:
    """The fact that ``encode`` has made ``body`` of.

    Raises:
        StateError: it is damaged, or a newer version has written it; names the run.
    """
    held = _held(body, {"event", "shell"}, run_id)
    event = _event(run_id, kind, held.get("event", {}))
    return Fact(run_id=run_id, at=at, event=event, shell=held.get("shell", {}), is_secret=is_secret)


def decode_asked(run_id: str, task: str, index: int | None, at: str, body: bytes) -> Asked:
    """The question that ``encode`` has made ``body`` of. Errors: as of ``decode_fact``."""
    held = _held(body, {"prompt", "response_schema", "assigned_to"}, run_id)
    with _reading(run_id):
        return Asked(run_id=run_id, task=task, index=index, at=at, **held)


def encode_request(request: Request, run_id: str) -> bytes:
    """The fields of a request; its kind is a column."""
    return encode_json(_fields_of(request), run_id)


def decode_request(run_id: str, kind: str, body: bytes) -> Request:
    """The request that ``encode_request`` has made ``body`` of. Errors: as of ``decode_fact``."""
    event: Request = _event(run_id, kind, decode_json(body, run_id))
    return event


def decode_result(run_id: str, body: bytes) -> Mapping[str, Any]:
    """The result that ``encode`` has made ``body`` of a run's end of. Errors: as of ``decode_fact``."""
    held = _held(body, {"result"}, run_id)
    with _reading(run_id):
        return dict(held["result"])


def kind_of(event: Event) -> str:
    """What a fact's column says of its event."""
    return type(event).__name__


def _event(run_id: str, kind: str, fields: Mapping[str, Any]) -> Any:
    layout = _LAYOUTS.get(kind)
    if layout is None or layout.made is Shape:
        raise _newer(run_id, f"facts of the kind {kind!r}")
    with _reading(run_id):
        if unknown := fields.keys() - layout.fields.keys():
            raise _newer(run_id, f"{kind} with {', '.join(sorted(unknown))}")
        return layout.made(**{name: layout.fields[name].read(value) for name, value in fields.items()})


def _held(body: bytes, known: set[str], run_id: str) -> Mapping[str, Any]:
    held = decode_json(body, run_id)
    if not isinstance(held, dict):
        raise _unreadable(run_id, f"{type(held).__name__} in place of an object")
    if unknown := held.keys() - known:
        raise _newer(run_id, f"entries with {', '.join(sorted(unknown))}")
    return held


class _reading:  # noqa: N801 - reads as a statement
    """What goes wrong with well-formed JSON of a wrong shape is told as what it is: damage."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AttributeError | KeyError | TypeError | ValueError):
            raise _unreadable(self._run_id, error) from error


def _unreadable(run_id: str, why: object) -> StateError:
    return StateError(
        f"run {run_id}: what is kept of it is damaged ({why}); it cannot be continued, start it again",
        frozenset({root_of(run_id)}),
    )


def _newer(run_id: str, what: str) -> StateError:
    return StateError(
        f"run {run_id}: it was kept by a newer version of attune_ray ({what}); continue it with that one",
        frozenset({root_of(run_id)}),
    )


def _unless(default: Any, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != default}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, LazyList):
        return list(value)
    raise TypeError


def _same(value: Any) -> Any:
    return value


def plain_text(value: str) -> str:
    """A text that any column can hold: PostgreSQL's hold no zero bytes."""
    return _text(value).replace("\0", "\\x00")


def _text(value: str) -> str:
    """UTF-8 alone can be kept: half of a surrogate pair, in the error of some foreign code, is kept as its escape."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def _write_run(run: TaskRunId) -> Any:
    return run.task if run.number == 1 else tuple(run)


def _read_run(value: Any) -> TaskRunId:
    return TaskRunId(value, 1) if isinstance(value, str) else TaskRunId(*value)


def _write_items(items: Items | None) -> Any:
    """``[start, stop]`` for a range; indexes that are none stand in a list of their own: ``[[1, 4, 6]]``."""
    if isinstance(items, range):
        return [items.start, items.stop] if items.step == 1 else [items.start, items.stop, items.step]
    return items and [items]


def _read_items(value: Any) -> Items | None:
    if not value:
        return None if value is None else ()
    return tuple(value[0]) if isinstance(value[0], list) else range(*value)


def _write_number(value: float | None) -> Any:
    """JSON has no infinity, and orjson writes null for it."""
    return value if value is None or math.isfinite(value) else str(value)


def _read_number(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """How a field of an event is written and read."""

    default: Any
    write: _Convert
    read: _Convert


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a type; their names are the keys."""

    made: type
    fields: Mapping[str, _Field]

    @classmethod
    def of(cls, kind: type) -> "_Layout":
        fields = {}
        for field in dataclasses.fields(kind):
            default = _MISSING if field.default is dataclasses.MISSING else field.default
            fields[field.name] = _Field(default, *_CONVERSIONS[field.type])
        return cls(kind, fields)


def _fields_of(value: Any) -> dict[str, Any]:
    layout = _LAYOUTS[type(value).__name__]
    held = ((name, field, getattr(value, name)) for name, field in layout.fields.items())
    return {name: field.write(part) for name, field, part in held if part != field.default}


def _read_shape(value: Any) -> Shape:
    return Shape(**value)


_CONVERSIONS: Final[Mapping[Any, tuple[_Convert, _Convert]]] = {  # a field of another type is an error at import
    TaskRunId: (_write_run, _read_run),
    Shape: (_fields_of, _read_shape),
    Items: (_write_items, _read_items),
    Items | None: (_write_items, _read_items),
    tuple[int, ...]: (_same, tuple),
    float: (_write_number, _read_number),
    float | None: (_write_number, _read_number),
    str: (_text, _same),
    int: (_same, _same),
    int | None: (_same, _same),
    bool: (_same, _same),
    Nature: (_same, _same),
}
_LAYOUTS: Final[Mapping[str, _Layout]] = {kind.__name__: _Layout.of(kind) for kind in (*get_args(Event), Shape)}
