"""Entries ↔ rows of the tables."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from attune_ray.engine import RunStatus
from attune_ray.errors import StateError, UsageError
from attune_ray.records import Asked, Entry, Fact, History, QuestionKey, RunBegun, RunEnded, root_of
from attune_ray.store.codec import (
    decode_asked,
    decode_begun,
    decode_fact,
    decode_json,
    decode_result,
    encode,
    encode_json,
    kind_of,
    plain_text,
)
from attune_ray.store.schema import facts, questions, runs
from attune_ray.store.sealing import Sealer

__all__ = ["history_of", "is_question", "key_of", "now", "question_of", "row_of", "sealed_body", "unsealed"]

_PLAIN: Final = -1  # the item of a plain task


def now() -> str:
    """UTC, ISO 8601, as records have it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row_of(entry: Entry, coordinator: str, sealer: Sealer) -> Mapping[str, Any]:
    """The columns that an entry is kept in.

    Raises:
        StateError: a value is no JSON, or cannot be sealed; names the run.
    """
    body = encode(entry)
    match entry:
        case RunBegun():
            return _begun_row(entry, coordinator, sealed_body(entry, body, sealer))
        case Fact():
            return {
                "run_id": root_of(entry.run_id),
                "of_run": entry.run_id,
                "at": entry.at,
                "kind": kind_of(entry.event),
                "is_sealed": entry.is_secret,
                "body": sealed_body(entry, body, sealer),
            }
        case Asked():
            where = {"run_id": root_of(entry.run_id), "of_run": entry.run_id, "task": entry.task}
            item = _PLAIN if entry.index is None else entry.index
            return where | {"item": item, "at": entry.at, "is_sealed": False, "body": body}
        case RunEnded():
            return {
                "status": str(entry.status),
                "ended_at": entry.at,
                "coordinator": None,
                "shown": encode_json(entry.shown, entry.run_id).decode(),
                "result_sealed": entry.is_secret,
                "result": sealed_body(entry, body, sealer),
            }


def _begun_row(entry: RunBegun, coordinator: str, body: bytes) -> Mapping[str, Any]:
    return {
        "id": entry.run_id,
        "title": plain_text(entry.title),
        "source": plain_text(entry.source),
        "status": str(RunStatus.RUNNING),
        "rerun_of": entry.rerun_of,
        "coordinator": coordinator,
        "begun_at": entry.at,
        "n_facts": 0,
        "begun_sealed": entry.is_secret,
        "begun": body,
        "result_sealed": False,
    }


def sealed_body(entry: RunBegun | Fact | RunEnded, body: bytes, sealer: Sealer) -> bytes:
    """A body as it may lie on a disk."""
    if not entry.is_secret:
        return body
    try:
        return sealer.seal(body)
    except StateError as error:
        raise StateError(f"run {entry.run_id}: {error}", frozenset({root_of(entry.run_id)})) from error


def unsealed(run_id: str, body: bytes, sealer: Sealer, *, is_sealed: bool) -> bytes:
    """A body as it was.

    Raises:
        StateError: the key is missing or another one; names the run.
    """
    if not is_sealed:
        return body
    try:
        return sealer.unseal(body)
    except StateError as error:
        raise StateError(f"run {run_id}: {error}", frozenset({root_of(run_id)})) from error


def history_of(connection: Connection, run_id: str, sealer: Sealer) -> History:
    """All that is kept of a run; O(its facts).

    Raises:
        UsageError: there is no such run.
        StateError: something of it cannot be read.
    """
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no run {run_id}")
    of_run = (facts.c.run_id == run_id, facts.c.seq < row.n_facts)  # those written since the row was read are another's
    told = connection.execute(select(facts).where(*of_run).order_by(facts.c.seq))
    open_body = _opener(run_id, sealer)
    begun = decode_begun(
        run_id,
        row.begun_at,
        row.title,
        row.source,
        open_body(row.begun, row.begun_sealed),
        rerun_of=row.rerun_of,
        is_secret=row.begun_sealed,
    )
    kept = tuple(
        decode_fact(fact.of_run, fact.at, fact.kind, open_body(fact.body, fact.is_sealed), is_secret=fact.is_sealed)
        for fact in told
    )
    if len(kept) != row.n_facts:
        text = f"run {run_id}: {row.n_facts} facts were kept of it, and {len(kept)} are there; it cannot be continued"
        raise StateError(text, frozenset({run_id}))
    return History(begun, kept, _ended(row, open_body))


def _opener(run_id: str, sealer: Sealer) -> Callable[[bytes, bool], bytes]:
    return lambda body, is_sealed: unsealed(run_id, body, sealer, is_sealed=is_sealed)


def _ended(row: Any, open_body: Callable[[bytes, bool], bytes]) -> RunEnded | None:
    if row.ended_at is None:
        return None
    return RunEnded(
        run_id=row.id,
        at=row.ended_at,
        status=RunStatus(row.status),
        result=decode_result(row.id, open_body(row.result, row.result_sealed)),
        shown=decode_json(row.shown, row.id),
        is_secret=row.result_sealed,
    )


def key_of(row: Any) -> QuestionKey:
    """What a question's row is known by."""
    return row.of_run, row.task, None if row.item == _PLAIN else row.item


def question_of(row: Any) -> Asked:
    """The question of a row."""
    return decode_asked(*key_of(row), row.at, row.body)


def is_question(key: QuestionKey) -> Any:
    """The condition for a question's row."""
    of_run, task, index = key
    item = _PLAIN if index is None else index
    return (questions.c.of_run == of_run) & (questions.c.task == task) & (questions.c.item == item)
