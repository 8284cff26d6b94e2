"""Ctrl-C once, twice and while Ray starts: the run ends as cancelled, and no process of it remains."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_driver import CommandLine, Start

ACTIONS = """
import asyncio, time, attune_ray

@attune_ray.action("t.nap", inline=True)
async def nap(seconds):
    await asyncio.sleep(seconds)

@attune_ray.action("t.sleep")
def sleep(seconds):
    time.sleep(seconds)
"""
INLINE = "tasks: [{name: wait, action: t.nap, with_items: [1, 3600], input: {seconds: '{{ item }}'}}]\n"
SHORT = """
tasks:
  - {name: wait, action: t.nap, input: {seconds: 1}, next: [{do: [more]}]}
  - {name: more, action: core.noop}
"""
ON_RAY = "tasks: [{name: wait, action: t.sleep, with_items: '{{ range(64) }}', input: {seconds: %d}}]\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a run of a workflow text; whatever happens, its processes are killed after the test."""
    started: list[CommandLine] = []
    (tmp_path / "acts.py").write_text(ACTIONS)

    def run(text: str) -> CommandLine:
        (tmp_path / "wf.yaml").write_text(text)
        started.append(CommandLine(("run", "wf.yaml", "--actions", "acts.py", "--num-cpus", "2"), tmp_path))
        return started[-1]

    yield run
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.end()


def test_one_ctrl_c_lets_running_work_end_and_starts_nothing_more(start: Start) -> None:
    """The task that ran is completed, the one after it never runs."""
    command = start(SHORT)
    command.wait_for("wait: started")
    command.press_ctrl_c()

    code, out, err = command.end()

    assert code == 130
    assert "press Ctrl-C again to stop at once" in err
    assert "wait  completed" in out
    assert "more  not_run" in out
    assert command.left_behind() == []


def test_a_second_ctrl_c_stops_inline_work(start: Start) -> None:
    """An hour's sleep does not end; the run does."""
    command = start(INLINE)
    command.wait_for("wait: started")
    command.press_ctrl_c()
    command.wait_for("cancelling")
    command.press_ctrl_c()

    code, out, _ = command.end()

    assert code == 130
    assert "wait  cancelled" in out


def test_sigterm_cancels_like_ctrl_c(start: Start) -> None:
    """As a service's stop does."""
    command = start(SHORT)
    command.wait_for("wait: started")
    command.process.send_signal(signal.SIGTERM)

    code, _, err = command.end()

    assert code == 130
    assert "error: Workflow cancelled" in err


def test_sigusr1_pauses_and_sigusr2_goes_on(start: Start) -> None:
    """What runs is finished in between, and nothing starts."""
    command = start(SHORT)
    command.wait_for("wait: started")
    command.process.send_signal(signal.SIGUSR1)
    command.wait_for(f"pausing; kill -USR2 {command.process.pid} goes on")
    command.wait_for("paused; what runs is finished, nothing new starts")
    command.wait_for("wait: completed")
    command.process.send_signal(signal.SIGUSR2)

    code, out, err = command.end()

    assert code == 0
    assert err.index("resumed") < err.index("more: started")
    assert "more  completed" in out


def test_a_paused_run_is_cancelled_by_ctrl_c(start: Start) -> None:
    """What was held never starts, and says that it was cut."""
    command = start(SHORT)
    command.wait_for("wait: started")
    command.process.send_signal(signal.SIGUSR1)
    command.wait_for("wait: completed")
    command.press_ctrl_c()

    code, out, _ = command.end()

    assert code == 130
    assert "wait  completed" in out
    assert "more  cancelled" in out


def test_ctrl_c_stops_what_runs_where_the_workflow_says_so(start: Start) -> None:
    """Its ``cancellation_policy`` is ``cancel_running``: the first is enough, and the report is whole."""
    command = start("cancellation_policy: cancel_running\n" + INLINE)
    command.wait_for("wait: started")
    command.press_ctrl_c()

    code, out, err = command.end()

    assert code == 130
    assert "wait  cancelled      2       0" in out
    assert "error: Workflow cancelled" in err


@pytest.mark.ray
def test_one_ctrl_c_ends_a_run_on_ray_with_its_processes(start: Start) -> None:
    """Ray's processes are of the terminal's group as well, and are not to die of the signal before the run ends."""
    command = start(ON_RAY % 1)
    command.wait_for("wait: started")
    assert any("raylet" in told for _, told in command.descendants())
    command.press_ctrl_c()

    code, out, _ = command.end()

    assert code == 130
    assert "wait  cancelled" in out
    assert command.left_behind() == []


@pytest.mark.ray
def test_a_second_ctrl_c_kills_what_runs_on_ray(start: Start) -> None:
    """Items that sleep an hour are stopped with their workers."""
    command = start(ON_RAY % 3600)
    command.wait_for("wait: started")
    command.press_ctrl_c()
    command.wait_for("cancelling")
    command.press_ctrl_c()

    assert command.end()[0] == 130
    assert command.left_behind() == []


@pytest.mark.ray
def test_ctrl_c_while_ray_starts_is_clean(start: Start) -> None:
    """Once: when Ray is there it is ended again."""
    command = start(ON_RAY % 3600)
    command.wait_for("wf.yaml")
    command.press_ctrl_c()

    code, _, err = command.end()

    assert code == 130
    assert "Traceback" not in err
    assert command.left_behind() == []


@pytest.mark.ray
def test_a_third_ctrl_c_while_ray_starts_leaves_nothing(start: Start) -> None:
    """Not even waiting for Ray: all that descends from the command is killed."""
    command = start(ON_RAY % 3600)
    command.wait_for("wf.yaml")
    command.press_ctrl_c()
    command.wait_for("cancelling")
    command.press_ctrl_c()
    command.wait_for("stopping at once")
    command.press_ctrl_c()

    assert command.end()[0] == 130
    assert command.left_behind() == []
