"""One attempt of one item: what it returned, or why it failed, as a row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from attune_ray.actions.output import Output
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.native import as_native
from attune_ray.dispatch.worker.program import Work
from attune_ray.dispatch.worker.results import COUNTED_BYTES, TaskView, lists_in
from attune_ray.dispatch.worker.row_records import FailedRow, RowSink, SavedRows
from attune_ray.dispatch.worker.rows import FAILED, SUCCEEDED, Rows
from attune_ray.dispatch.worker.source_lines import Unreadable
from attune_ray.errors import (
    ActionTimeoutError,
    AttuneError,
    ExpressionError,
    PermanentError,
    TransientError,
    UnstorableResultError,
)
from attune_ray.expression import ItemContext
from attune_ray.values.secrets import Secrets

__all__ = [
    "CANCELLED",
    "Recorder",
    "Summary",
    "cancelled_row",
    "encoded_item",
    "failed_rows",
    "stored_output",
    "summary_of",
]

_FINAL = (PermanentError, ExpressionError, UnstorableResultError)
"""Failures that another attempt cannot mend: the input is rendered once, the result is what it is."""
_MAX_ERROR_CHARACTERS = 2_000
_MAX_SECRETS = 1_000
"""Of all items, that a chunk tells of: a bound of memory. An item's own error is masked by its own in any case."""
CANCELLED: Mapping[str, Any] = {"succeeded": False, "cancelled": True, "error": "Execution cancelled by user"}
"""The stored result object of an attempt that was cancelled."""
_NOTHING: Mapping[Any, Any] = {}


class Summary(NamedTuple):
    """What the coordinator is told of a chunk; its rows stay where they are.

    A named tuple, because C code unpickles it: every chunk's is read by the coordinator.

    Attributes:
        retryable: indexes of failed items that may be tried again.
        retry_after_s: the longest wait that a failed item asked for, or None.
        elapsed_s: seconds that the chunk took in its worker.
        worker: host and process id, as ``host:pid``.
        context_bytes_decoded: encoded bytes of context that this chunk made its process decode.
        secrets: texts that items gave to parameters which are secret.
        n_cached: items whose results were known.
        fresh: digest → stored result object, of the calls of a task with ``cache`` that have succeeded.
        saved: where its rows are kept beyond the life of the cluster, or they themselves, as JSON; None: nowhere.
        lists: of a plain task's result, as of ``lists_in``.
    """

    n_succeeded: int
    n_failed: int
    retryable: tuple[int, ...] = ()
    retry_after_s: float | None = None
    elapsed_s: float = 0.0
    worker: str = ""
    context_bytes_decoded: int = 0
    secrets: tuple[str, ...] = ()
    n_cached: int = 0
    fresh: Mapping[bytes, bytes] = _NOTHING
    saved: bytes | None = None
    lists: Mapping[str, int] = _NOTHING

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"<Summary: {self.n_succeeded} succeeded, {self.n_failed} failed>"


@dataclass(slots=True)
class Recorder:
    """Collects the rows of a chunk; rows may come in any order."""

    work: Work
    rows: Rows
    attempt: int
    is_fan_out: bool
    retryable: list[int] = field(default_factory=list)
    retry_after_s: float | None = None
    n_succeeded: int = 0
    n_failed: int = 0
    is_stopped: bool = False
    secrets: set[str] = field(default_factory=set, repr=False)
    lists: Mapping[str, int] = field(default_factory=dict)
    log: RowSink | None = None

    @classmethod
    def of(cls, work: Work, indexes: range | tuple[int, ...], attempt: int) -> Self:
        """An empty recorder, with room for every item."""
        n_rows = len(indexes)
        rows = Rows(
            index=indexes,
            attempt=attempt,
            status=[FAILED] * n_rows,
            data=[None] * n_rows,
            error=[None] * n_rows,
            duration_us=[0] * n_rows,
        )
        return cls(work, rows, attempt, work.program.is_fan_out)

    def returned(self, row: int, scope: ItemContext, value: Any, duration_us: int) -> None:
        """An action returned."""
        rows = self.rows
        if self.work.takes_secrets:
            self.learn(scope)
        try:
            if not self.is_fan_out or type(value) is Output:
                self._record_output(row, scope, value, duration_us)
                return
            data = rows.data[row] = encode(value)
        except UnstorableResultError as error:
            self.failed(row, scope, error, duration_us)
            return
        rows.status[row] = SUCCEEDED
        rows.duration_us[row] = duration_us
        self.n_succeeded += 1
        if self.log is not None:
            self.log.succeeded(row, data, duration_us)

    def failed(self, row: int, scope: ItemContext, error: BaseException, duration_us: int) -> None:
        """An action raised, or its attempt overran."""
        stored = _stored_failure(error, duration_us)
        stored["error"] = self._shown(stored["error"], scope)
        self._fail(row, scope, stored, duration_us, error)

    def overran(self, row: int, scope: ItemContext, duration_us: int) -> None:
        """An attempt overran its timeout."""
        told = f"Execution timed out after {self.work.program.timeout_s:g} seconds"
        self.failed(row, scope, ActionTimeoutError(told), duration_us)

    def accounted(self) -> None:
        """The process is about to end itself because of items that overran and were told of."""
        if self.log is not None:
            self.log.accounted()

    def _record_output(self, row: int, scope: ItemContext, value: Any, duration_us: int) -> None:
        native = None if self.work.program.is_fan_out or isinstance(value, Output) else as_native(value)
        output = value if isinstance(value, Output) else Output(data=value if native is None else None)
        stored = stored_output(output, duration_us, is_python=not isinstance(value, Output))
        if output.exit_code != 0 or output.error is not None:
            stored["error"] = self._shown(stored["error"], scope)
            self._fail(row, scope, stored, duration_us, None)
            return
        text_or_data = output.stdout if output.data is None else output.data
        encoded = encode(text_or_data) if self.work.program.is_fan_out else _encoded(stored)
        self.rows.data[row] = encoded
        self.rows.native = native
        if not self.work.program.is_fan_out and len(encoded) <= COUNTED_BYTES:
            self.lists = lists_in(stored)
        self._succeed(row, duration_us)

    def _succeed(self, row: int, duration_us: int) -> None:
        """A row whose data is there has ended well."""
        data = self.rows.data[row]
        self.rows.status[row] = SUCCEEDED
        self.rows.duration_us[row] = duration_us
        self.n_succeeded += 1
        if self.log is not None and data is not None and self.rows.native is None:
            self.log.succeeded(row, data, duration_us)

    def _fail(
        self, row: int, scope: ItemContext, stored: dict[str, Any], duration_us: int, error: BaseException | None
    ) -> None:
        may_retry = not isinstance(error, _FINAL) and self._matches_on_error(scope, stored)
        delay_s = error.delay_s if isinstance(error, TransientError) and may_retry else None
        if may_retry:
            self.retryable.append(self.rows.index[row])
        if delay_s is not None:
            self.retry_after_s = max(self.retry_after_s or 0.0, delay_s)
        if not self.work.program.is_fan_out:
            self.rows.data[row] = encode(stored)
        elif (item := encoded_item(scope.item)) is not None:
            self.rows.item[row] = item
        self.rows.status[row] = FAILED
        self.rows.error[row] = stored["error"]
        self.rows.duration_us[row] = duration_us
        self.n_failed += 1
        is_final = not may_retry or self.attempt > self.work.program.retries
        self.is_stopped |= is_final and self.work.program.stops_on_error
        if self.log is not None:
            item, secrets = self.rows.item.get(row), tuple(self.secrets)
            failed = FailedRow(self.rows.data[row], item, stored["error"], may_retry, delay_s, secrets)
            self.log.failed(row, failed, duration_us)

    def learn(self, scope: ItemContext) -> Secrets:
        """What the action takes as secrets for an item; the coordinator is told, since results may hold them."""
        own = self.work.secrets_of(scope)
        if len(self.secrets) < _MAX_SECRETS:
            self.secrets |= own.texts
        return own

    def _shown(self, error: str, scope: ItemContext) -> str:
        """An error text as rows keep it: without secrets, valid Unicode, and not too long."""
        own = self.learn(scope)
        return _storable(own.mask(self.work.program.secrets.mask(error)))

    def _matches_on_error(self, scope: ItemContext, stored: dict[str, Any]) -> bool:
        """Whether ``retry.on_error`` lets a failed attempt be tried again; a condition that errors does not."""
        if self.work.on_error is None:
            return True
        scope.result, scope.outcome = TaskView.of(stored), "failed"
        try:
            return bool(self.work.on_error.render(scope))
        except ExpressionError as error:
            stored["error"] += f" (retry.on_error: {error})"
            return False
        finally:  # the next item may be seen through the same context
            del scope.result
            scope.outcome = None

    def ended_rows(self) -> Rows:
        """The rows of the items that were started; they are the first ones, since items start in order."""
        return self.rows.first(self.n_succeeded + self.n_failed)

    def summary(self, *, elapsed_s: float, worker: str) -> Summary:
        """What the coordinator is told."""
        return Summary(
            n_succeeded=self.n_succeeded,
            n_failed=self.n_failed,
            retryable=tuple(self.retryable),
            retry_after_s=self.retry_after_s,
            elapsed_s=elapsed_s,
            worker=worker,
            secrets=tuple(self.secrets),
            lists=self.lists,
        )


def stored_output(output: Output, duration_us: int, *, is_python: bool) -> dict[str, Any]:
    """The stored result object of an attempt that ended by itself (LANGUAGE §5)."""
    succeeded = output.exit_code == 0 and output.error is None
    stored: dict[str, Any] = {"exit_code": output.exit_code, "duration_ms": duration_us // 1000, "succeeded": succeeded}
    if is_python or output.data is not None:
        stored["data"] = output.data
    if output.stdout is not None and "data" not in stored and (succeeded or output.stdout):
        stored["stdout"] = output.stdout
    if succeeded and output.stderr_log is not None:
        stored["stderr_log"] = output.stderr_log
    if not is_python and isinstance(output.data, dict) and "queue_ack" in output.data:
        stored["queue_ack"] = output.data["queue_ack"]
    if not succeeded:
        stored["error"] = output.error or f"Command exited with code {output.exit_code}"
    return stored


def _encoded(stored: dict[str, Any]) -> bytes:
    try:
        return encode(stored)
    except UnstorableResultError:
        encode(stored.get("data"))  # its error tells the path in what the action returned
        raise


def _stored_failure(error: BaseException, duration_us: int) -> dict[str, Any]:
    text = _text_of(error) if isinstance(error, AttuneError) else f"{type(error).__name__}: {_text_of(error)}"
    stored = {"exit_code": 1, "duration_ms": duration_us // 1000, "succeeded": False, "error": text}
    if isinstance(error, ActionTimeoutError):
        stored["timed_out"] = True
    return stored


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  an action's error may be of any class, and its text may raise anything
        return "(its text cannot be read)"


def _storable(text: str) -> str:
    return text[:_MAX_ERROR_CHARACTERS].encode("utf-8", "replace").decode()


def encoded_item(item: Any) -> bytes | None:
    """An item as failed rows keep it; None: it could not be read itself, or is rows of a table without a JSON form."""
    try:
        return None if isinstance(item, Unreadable) else encode(item)
    except UnstorableResultError:
        return None


def summary_of(saved: SavedRows) -> Summary:
    """What the coordinator is told of a chunk that did not end by itself."""
    return Summary(
        n_succeeded=saved.rows.status.count(SUCCEEDED),
        n_failed=saved.rows.status.count(FAILED),
        retryable=saved.retryable,
        retry_after_s=saved.retry_after_s,
        secrets=saved.secrets,
    )


def failed_rows(
    indexes: range | tuple[int, ...], error: str, *, attempt: int = 1, is_fan_out: bool, items: Iterable[Any] = ()
) -> tuple[Summary, Rows]:
    """The rows of items that failed without having run to an end, all for one reason.

    Args:
        items: those of the indexes, where they are known.
    """
    n_rows = len(indexes)
    stored = None if is_fan_out else encode({"succeeded": False, "error": error})
    rows = Rows(
        index=indexes,
        attempt=attempt,
        status=[FAILED] * n_rows,
        data=[stored] * n_rows,
        error=[error] * n_rows,
        duration_us=[0] * n_rows,
        item={row: told for row, item in enumerate(items) if (told := encoded_item(item)) is not None},
    )
    return Summary(n_succeeded=0, n_failed=n_rows), rows


def cancelled_row(data: Any = None) -> Rows:
    """The row of a plain task that was cancelled; ``data``: what it had come to."""
    stored = {**CANCELLED, **({} if data is None else {"data": data})}
    error: str = CANCELLED["error"]
    return Rows(index=(0,), attempt=1, status=[FAILED], data=[encode(stored)], error=[error], duration_us=[0])
