"""One attempt of one item, as a row: what it returned, why it failed, and whether it may be tried again."""

from typing import Any

import pytest

from attune_ray.actions import Output, action
from attune_ray.actions.python import from_function
from attune_ray.dispatch.worker.attempt import Recorder, failed_rows
from attune_ray.dispatch.worker.encoding import decode, decode_all
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.program import Program, Work, open_work
from attune_ray.errors import (
    ActionTimeoutError,
    EvaluationError,
    PermanentError,
    TransientError,
    UnstorableResultError,
)
from attune_ray.expression import ItemContext, WorkflowContext


@action("unit.any")
def takes_any(**given: Any) -> dict[str, Any]:
    """What it was given."""
    return given


CONTEXT = WorkflowContext(parameters={}, variables={}, tasks={}, system={}, now="", seed="")


def program(**changes: Any) -> Program:
    """A fan-out over two items, unless it is said otherwise."""
    told: dict[str, Any] = {
        "task": "t",
        "action": "unit.any",
        "input": {"x": "{{ item }}"},
        "given": None,
        "with_items": "{{ [1, 2] }}",
        "batch_size": None,
        "on_error": None,
        "retries": 0,
        "timeout_s": None,
        "grace_s": 1.0,
        "stops_on_error": False,
        "now": "",
        "seed": "",
    }
    return Program(**{**told, **changes})


def work_of(**changes: Any) -> Work:
    """The same, opened."""
    made = from_function(takes_any)
    assert made is not None
    return open_work(program(**changes), made, EncodedItems.of([1, 2]), lambda _: CONTEXT)


def recorder(attempt: int = 1, **changes: Any) -> Recorder:
    """For the two items."""
    return Recorder.of(work_of(**changes), range(2), attempt)


def plain(**changes: Any) -> Recorder:
    """For a plain task."""
    return Recorder.of(work_of(with_items=None, input={"x": 1}, **changes), range(1), 1)


def scope(item: int = 1, index: int = 0) -> ItemContext:
    """Of an item."""
    return CONTEXT.for_item(item, index)


def test_what_an_item_returns_is_its_data() -> None:
    """In the row of the item, whatever the order of ending."""
    found = recorder()

    found.returned(1, scope(2, 1), {"a": 1}, 5)
    found.returned(0, scope(1, 0), None, 6)

    assert decode_all(found.rows.data) == [None, {"a": 1}]
    assert (found.rows.status, found.rows.duration_us) == ([0, 0], [6, 5])
    assert (found.summary(elapsed_s=1, worker="w").n_succeeded, found.n_failed) == (2, 0)


def test_what_a_plain_task_returns_is_stored_with_its_circumstances() -> None:
    """As the view needs it."""
    found = plain()

    found.returned(0, scope(), [1], 2_500)

    assert found.rows.value(0) == {"data": [1], "exit_code": 0, "duration_ms": 2, "succeeded": True}


@pytest.mark.parametrize(
    ("output", "stored"),
    [
        (Output(stdout="text"), {"stdout": "text", "exit_code": 0, "duration_ms": 0, "succeeded": True}),
        (Output(data=[1]), {"data": [1], "exit_code": 0, "duration_ms": 0, "succeeded": True}),
        (Output(data={"k": 1}, stdout="t"), {"data": {"k": 1}, "exit_code": 0, "duration_ms": 0, "succeeded": True}),
        (
            Output(stdout="so far", exit_code=3),
            {
                "stdout": "so far",
                "exit_code": 3,
                "duration_ms": 0,
                "succeeded": False,
                "error": "Command exited with code 3",
            },
        ),
        (Output(error="no"), {"exit_code": 0, "duration_ms": 0, "succeeded": False, "error": "no"}),
    ],
)
def test_an_output_is_stored_as_a_program_s(output: Output, stored: dict[str, Any]) -> None:
    """Text and exit code, success or not."""
    found = plain()

    found.returned(0, scope(), output, 0)

    assert decode(found.rows.data[0]) == stored
    assert found.n_failed == int(not stored["succeeded"])


@pytest.mark.parametrize(("output", "data"), [(Output(stdout="text"), "text"), (Output(data=[1], stdout="t"), [1])])
def test_an_item_s_output_is_its_data_or_else_its_text(output: Output, data: object) -> None:
    """As ``results`` lists it."""
    found = recorder()

    found.returned(0, scope(), output, 0)

    assert decode_all(found.rows.data)[0] == data


@pytest.mark.parametrize("make", [plain, recorder])
def test_an_output_that_cannot_be_stored_fails_its_attempt(make: Any) -> None:
    """Once, with the path in what the action gave."""
    for output in (Output(data={"a": {1}}), {"a": {1}}):
        found = make()
        found.returned(0, scope(), output, 0)
        assert (found.n_succeeded, found.n_failed, found.retryable) == (0, 1, [])
        assert found.rows.error[0] == "result.a: a value of type set cannot be stored; return JSON values"


def test_an_error_text_of_a_program_is_made_storable() -> None:
    """Half characters are replaced, and it is not too long."""
    found = plain()

    found.returned(0, scope(), Output(exit_code=1, error="\ud800" + "x" * 5_000), 0)

    assert found.rows.error[0] == "?" + "x" * 1_999
    found.rows.to_batch()


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ValueError("no"), [0]),
        (TransientError("busy"), [0]),
        (ActionTimeoutError("late"), [0]),
        (PermanentError("never"), []),
        (EvaluationError("no value"), []),
        (UnstorableResultError("a set"), []),
    ],
)
def test_only_what_another_attempt_may_mend_is_tried_again(error: Exception, retryable: list[int]) -> None:
    """The input is rendered once, so its faults stay."""
    found = recorder(retries=1)

    found.failed(0, scope(), error, 1)

    assert (found.retryable, found.n_failed, found.rows.status[0]) == (retryable, 1, 1)


def test_the_longest_wait_that_is_asked_for_counts() -> None:
    """One wait for all items of a chunk."""
    found = recorder()

    found.failed(0, scope(), TransientError("busy", delay_s=3), 1)
    found.failed(1, scope(), TransientError("busy", delay_s=1), 1)

    assert found.summary(elapsed_s=0, worker="").retry_after_s == 3


def test_on_error_decides_by_the_failed_attempt() -> None:
    """``result()`` is its view; a condition that errors does not let it be tried again, and says so."""
    found = recorder(on_error="{{ failed() and 'busy' in result().error and item == 1 }}", retries=1)
    found.failed(0, scope(1, 0), ValueError("busy"), 1)
    found.failed(1, scope(2, 1), ValueError("busy"), 1)
    assert found.retryable == [0]

    found = recorder(on_error="{{ result().missing }}", retries=1)
    found.failed(0, scope(), ValueError("busy"), 1)
    assert found.retryable == []
    assert (found.rows.error[0] or "").startswith("ValueError: busy (retry.on_error: ")


def test_a_chunk_stops_at_an_item_that_failed_for_good() -> None:
    """Not at one that will be tried again."""
    again = recorder(stops_on_error=True, retries=1)
    again.failed(0, scope(), ValueError("no"), 1)
    assert again.is_stopped is False

    for last in (recorder(attempt=2, stops_on_error=True, retries=1), recorder(stops_on_error=True)):
        last.failed(0, scope(), ValueError("no"), 1)
        assert last.is_stopped is True

    assert [len(last.ended_rows().status), last.ended_rows().failures()] == [1, [(0, "ValueError: no", b"1")]]


def test_a_timeout_is_told_apart() -> None:
    """By ``timed_out`` in the view of a plain task."""
    found = plain()

    found.failed(0, scope(), ActionTimeoutError("late"), 1)

    assert decode(found.rows.data[0])["timed_out"] is True


@pytest.mark.parametrize("is_fan_out", [True, False])
def test_items_that_were_given_up_have_rows(*, is_fan_out: bool) -> None:
    """All for one reason."""
    summary, rows = failed_rows((3, 5), "gone", attempt=2, is_fan_out=is_fan_out)

    assert (summary.n_succeeded, summary.n_failed) == (0, 2)
    assert rows.failures() == [(3, "gone", None), (5, "gone", None)]
    assert [rows.value(0), rows.value(1)] == [None if is_fan_out else {"succeeded": False, "error": "gone"}] * 2
    rows.to_batch()
