"""Whatever a script writes, its outcome is stored or told, and no pattern of anybody takes for ever."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.actions.pipes import MAX_BYTES, Captured
from attune_ray.actions.process import Ended
from attune_ray.actions.script import outcome
from attune_ray.dispatch.worker.attempt import stored_output
from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.expression import WorkflowContext, compile_expression
from attune_ray.values.formats import OutputFormat

DATA_LIKE = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b":", b",", b"1", b"-", b"\n", b"&a ", b"*a", b"!!x ", b"\xff", b"\0"]
    ),
    max_size=40,
).map(b"".join)


def captured(name: str, content: bytes) -> Captured:
    """What a stream brought, in pieces."""
    found = Captured(name)
    for start in range(0, len(content), 64 * 1024):
        found.add(content[start : start + 64 * 1024])
    return found


@given(
    st.binary(max_size=200) | DATA_LIKE,
    st.binary(max_size=200),
    st.integers(-64, 255),
    st.sampled_from(list(OutputFormat)),
)
def test_any_output_has_an_outcome_that_can_be_stored(out: bytes, err: bytes, code: int, form: OutputFormat) -> None:
    """Binary, half a character, half a document; any exit code or signal."""
    ended = Ended(returncode=code, stdout=captured("stdout", out), stderr=captured("stderr", err))

    stored = stored_output(outcome(ended, form), 0, is_python=False)

    assert stored["succeeded"] is (code == 0)
    assert decode(encode(stored)) == stored


@pytest.mark.parametrize("form", list(OutputFormat))
@pytest.mark.parametrize(
    "unit",
    [
        b"[",
        b"{",
        b'{"a":',
        b"- ",
        b"&a [*a, ",
        b'"',
        b"1,",
        b"a: ",
        b"\x80",
        b'{"a": [1, 2, 3, 4, 5, 6, 7]}\n',
        b"? ",
        b"!!python/x ",
    ],
)
def test_ten_mebibytes_of_anything_are_read_or_left(unit: bytes, form: OutputFormat) -> None:
    """Neither the stack nor the memory is used up."""
    content = (unit * (MAX_BYTES // len(unit) + 1))[:MAX_BYTES]

    found = outcome(Ended(returncode=0, stdout=captured("stdout", content), stderr=captured("stderr", b"")), form)

    assert found.error is None
    assert found.stdout is not None
    assert len(found.stdout) <= MAX_BYTES


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(.*)*x", "^(a{0,50}){0,20}$", "((((a*)*)*)*)*c"])
def test_a_pattern_that_explodes_elsewhere_ends_on_a_mebibyte(pattern: str) -> None:
    """RE2 is linear in the text."""
    text = "a" * 1_048_576 + "!"
    scope = WorkflowContext(
        parameters={"pattern": pattern, "text": text}, variables={}, tasks={}, system={}, now="", seed=""
    ).for_task()

    assert compile_expression("match(parameters.pattern, parameters.text)").render(scope) is False


def test_noise_is_text_in_every_format() -> None:
    """A mebibyte of random bytes."""
    noise = random.Random(1).randbytes(1_048_576)  # noqa: S311  no secret

    for form in OutputFormat:
        found = outcome(Ended(returncode=0, stdout=captured("stdout", noise), stderr=captured("stderr", noise)), form)
        assert found.stdout is not None
        assert found.stderr_log is not None
