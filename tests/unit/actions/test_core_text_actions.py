"""core.echo, core.noop and core.sleep: what they write and when they fail."""

import asyncio
import math
import subprocess
import sys
from typing import Any

import pytest

from attune_ray.actions.core import CORE
from attune_ray.actions.output import Output


def run(action: str, **parameters: Any) -> Output:
    """One attempt."""
    return asyncio.run(CORE[action](**parameters))


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("Hello, Attune!", "Hello, Attune!"),
        ("héllo ✓", "héllo ✓"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (None, ""),
        ({"b": [1, "é"], "a": None}, '{"a":null,"b":[1,"é"]}'),
        ("{{ not a template }}", "{{ not a template }}"),
    ],
)
def test_echo_writes_its_message_as_text(message: Any, written: str) -> None:
    """Values that are not text look as a template would show them."""
    assert run("core.echo", message=message) == Output(stdout=written)


def test_echo_without_a_message_writes_nothing() -> None:
    """The message is optional."""
    assert run("core.echo") == Output(stdout="")


def test_noop_succeeds_and_says_so() -> None:
    """No parameters are needed."""
    assert run("core.noop") == Output(stdout="No operation completed successfully\n")


def test_noop_logs_its_message_first() -> None:
    """The message comes on a line of its own."""
    assert run("core.noop", message="hi").stdout == "[NOOP] hi\nNo operation completed successfully\n"


@pytest.mark.parametrize("exit_code", [5, "5", 255])
def test_noop_fails_with_the_exit_code_it_was_given_and_keeps_its_text(exit_code: Any) -> None:
    """A failed attempt still has its stdout."""
    output = run("core.noop", exit_code=exit_code)

    assert (output.exit_code, output.stdout) == (int(exit_code), "No operation completed successfully\n")
    assert output.error == f"Command exited with code {exit_code}"


@pytest.mark.parametrize("exit_code", [-1, "-1", "abc", "", "٣", 1.0, True, None, [1]])
def test_noop_takes_no_exit_code_but_an_integer(exit_code: Any) -> None:
    """The text is Attune's own."""
    expected = Output(stdout="", exit_code=1, error="ERROR: exit_code must be a positive integer\n")

    assert run("core.noop", exit_code=exit_code) == expected


def test_noop_takes_no_exit_code_above_255() -> None:
    """No process can end with one."""
    output = run("core.noop", exit_code=256)

    assert (output.exit_code, output.error) == (1, "ERROR: exit_code must be between 0 and 255\n")


def test_sleep_tells_how_long_it_slept() -> None:
    """Zero seconds are allowed; the message comes first."""
    assert run("core.sleep", seconds=0) == Output(stdout="Slept for 0 seconds\n")
    assert run("core.sleep", seconds="0", message="Now").stdout == "Now\nSlept for 0 seconds\n"


def test_sleep_waits_without_holding_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It awaits asyncio's own sleep, for so many seconds."""
    waited_s: list[float] = []

    async def remember(delay_s: float) -> None:
        waited_s.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", remember)

    assert run("core.sleep", seconds=3600).stdout == "Slept for 3600 seconds\n"
    assert waited_s == [3600]


@pytest.mark.parametrize("seconds", [1.5, -1, "soon", math.nan, False, None])
def test_sleep_takes_no_seconds_but_an_integer(seconds: Any) -> None:
    """The text is Attune's own."""
    expected = Output(stdout="", exit_code=1, error="ERROR: seconds must be a positive integer\n")

    assert run("core.sleep", seconds=seconds) == expected


def test_sleep_takes_no_seconds_above_an_hour() -> None:
    """A wait of a day is a schedule's business."""
    assert run("core.sleep", seconds=3601).error == "ERROR: seconds must be between 0 and 3600\n"


def test_importing_the_core_actions_does_not_load_httpx() -> None:
    """`import attune_ray` must be light: the first request loads it."""
    code = "import attune_ray.actions.core, sys; sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("action", "parameters", "exit_code", "stdout", "stderr"),
    [
        ("core.echo", {"message": "Hello, world"}, 0, "Hello, world", ""),
        ("core.echo", {"message": "ünï ✓"}, 0, "ünï ✓", ""),
        ("core.echo", {"message": 1.5}, 0, "1.5", ""),
        ("core.noop", {"exit_code": 3}, 3, "No operation completed successfully\n", ""),
        ("core.noop", {"exit_code": -2}, 1, "", "ERROR: exit_code must be a positive integer\n"),
        ("core.noop", {"exit_code": "x"}, 1, "", "ERROR: exit_code must be a positive integer\n"),
        ("core.noop", {"exit_code": 999}, 1, "", "ERROR: exit_code must be between 0 and 255\n"),
        ("core.sleep", {"seconds": 0}, 0, "Slept for 0 seconds\n", ""),
        ("core.sleep", {"seconds": 0, "message": "Now"}, 0, "Now\nSlept for 0 seconds\n", ""),
        ("core.sleep", {"seconds": 0.5}, 1, "", "ERROR: seconds must be a positive integer\n"),
    ],
)
async def test_core_actions_speak_like_the_scripts_that_they_replace(
    action: str, parameters: dict[str, Any], exit_code: int, stdout: str, stderr: str
) -> None:
    """The same text and exit code; what was standard error is the error."""
    output = await CORE[action](**parameters)

    assert (output.exit_code, output.stdout) == (exit_code, stdout)
    assert output.error == (stderr or (f"Command exited with code {exit_code}" if exit_code else None))
