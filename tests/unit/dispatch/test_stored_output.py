"""The stored result object of an attempt, as expressions see it."""

from typing import Any

import pytest

from attune_ray.actions import Output
from attune_ray.dispatch.worker.attempt import CANCELLED, stored_output
from attune_ray.dispatch.worker.results import TaskView

OK = {"exit_code": 0, "duration_ms": 2, "succeeded": True}


@pytest.mark.parametrize(
    ("output", "stored"),
    [
        (Output(stdout="hi\n"), {**OK, "stdout": "hi\n"}),
        (Output(stdout=""), {**OK, "stdout": ""}),
        (Output(data={"a": 1}, stdout='{"a":1}\n'), {**OK, "data": {"a": 1}}),
        (Output(data=[], stdout="[]"), {**OK, "data": []}),
        (Output(stdout="hi\n", stderr_log="hm\n"), {**OK, "stdout": "hi\n", "stderr_log": "hm\n"}),
        (Output(data={"queue_ack": {"v": 1}}), {**OK, "data": {"queue_ack": {"v": 1}}, "queue_ack": {"v": 1}}),
        (
            Output(stdout='{"a":1}\n', exit_code=1),
            {**OK, "exit_code": 1, "succeeded": False, "stdout": '{"a":1}\n', "error": "Command exited with code 1"},
        ),
        (
            Output(stdout="", exit_code=2, error="one\ntwo\n"),
            {**OK, "exit_code": 2, "succeeded": False, "error": "one\ntwo\n"},
        ),
    ],
)
def test_a_program_leaves_data_or_text_and_why_it_failed(output: Output, stored: dict[str, Any]) -> None:
    """Text is left out where it was read as data, and where a failed one has written none."""
    assert stored_output(output, 2_500, is_python=False) == stored


def test_what_a_function_returns_is_its_data_and_nothing_else() -> None:
    """Also where it looks like more."""
    assert stored_output(Output(data={"queue_ack": 1}), 0, is_python=True) == {
        **OK,
        "duration_ms": 0,
        "data": {"queue_ack": 1},
    }


def test_an_object_in_the_text_of_a_failed_script_can_be_named() -> None:
    """Although it is no data."""
    view = TaskView.of(stored_output(Output(stdout='{"a":1}\n', exit_code=1), 0, is_python=False))

    assert (view["a"], view["succeeded"], "data" in view) == (1, False, False)


def test_a_cancelled_attempt_says_so() -> None:
    """In Attune's words."""
    assert CANCELLED == {"succeeded": False, "cancelled": True, "error": "Execution cancelled by user"}
