"""Runs of the command line that are interrupted, gone on with, and asked for twice: with real processes."""

import contextlib
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import orjson
import pytest
from cli_desk import Desk

STUCK = """
import asyncio
import attune_ray

@attune_ray.action("t.stuck", inline=True)
async def stuck():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
"""
ALL = [{"x": x} for x in range(8)]
ONCE = Counter(map(str, range(8)))


def test_a_killed_run_goes_on_and_no_finished_item_is_done_again(desk: Desk) -> None:
    """From another folder, with the actions that it was started with; the result is that of an undisturbed run."""
    desk.interrupted()
    assert desk.call_json("runs", "--json")[0]["status"] == "interrupted"
    code, out, _ = desk.call("show", "r1")
    assert code == 0
    assert "each  running  4 of 8" in out
    assert "`attune-ray resume r1` goes on with it" in out
    desk.open_gate()
    (desk.folder / "other").mkdir()

    code, out, err = desk.call("resume", "r1", "--json", folder=desk.folder / "other")

    assert code == 0, err
    assert orjson.loads(out) == {"said": "8 done", "all": ALL, "succeeded": True}
    assert "run r1: gated" in err
    assert desk.effects == ONCE
    assert desk.call_json("runs", "--json")[0]["status"] == "completed"


def test_a_run_that_has_ended_is_given_back_by_resume_with_its_exit_code(desk: Desk) -> None:
    """Though its actions are gone."""
    first = desk.run("even.yaml", "r1").end()
    (desk.folder / "acts.py").unlink()

    code, out, err = desk.call("resume", "r1")

    assert first[0] == code == 1
    assert "run r1 has ended, at " in err
    assert "each  failed      12       6" in out
    assert "item 1 1: odd \\x1b[31m" in err


def test_a_run_whose_actions_are_gone_is_shown_but_not_gone_on_with(desk: Desk) -> None:
    """The error names the file."""
    desk.interrupted()
    (desk.folder / "acts.py").unlink()

    assert "4 of 8" in desk.call("show", "r1")[1]
    code, _, err = desk.call("resume", "r1")
    assert code == 2
    assert f"cannot read the actions of {desk.folder / 'acts.py'}" in err
    assert desk.kept.line("r1").status == "interrupted"


@pytest.mark.parametrize(("change", "told"), [("write", "has changed since run r1"), ("unlink", "is gone; its text")])
def test_the_text_that_is_kept_counts_when_the_file_has_changed(desk: Desk, change: str, told: str) -> None:
    """And that is said."""
    desk.interrupted()
    file = desk.folder / "gated.yaml"
    file.unlink() if change == "unlink" else file.write_text("tasks: [{name: other, action: core.noop}]")
    desk.open_gate()

    code, out, err = desk.call("resume", "r1", "--quiet")

    assert code == 0
    assert orjson.loads(out)["all"] == ALL
    assert told in err


def test_a_run_of_the_same_id_is_not_run_twice(desk: Desk) -> None:
    """The result is given back; another workflow or other parameters are refused."""
    desk.open_gate()
    first, again = (desk.run("gated.yaml", "r1", "--json").end() for _ in range(2))

    assert first[:2] == again[:2]
    assert "run r1 has ended" in again[2]
    assert desk.effects == ONCE
    for other in (("even.yaml",), ("gated.yaml", "-p", "x=1")):
        code, _, err = desk.run(other[0], "r1", *other[1:]).end()
        assert code == 2
        assert "take another id" in err


def test_an_interrupted_run_of_the_same_id_is_gone_on_with(desk: Desk) -> None:
    """As by resume."""
    desk.interrupted()
    desk.open_gate()

    code, out, _ = desk.run("gated.yaml", "r1", "--json").end()

    assert code == 0
    assert orjson.loads(out)["all"] == ALL
    assert desk.effects == ONCE


def test_a_live_run_of_the_same_id_is_waited_for(desk: Desk) -> None:
    """Ctrl-C ends only the waiting of one; the other is given what the run came to."""
    running = desk.run("gated.yaml", "r1", "--json")
    desk.until_half("r1")
    impatient, patient = (desk.run("gated.yaml", "r1", "--json") for _ in range(2))
    for attached in (impatient, patient):
        attached.wait_for("waiting for its end")
    impatient.press_ctrl_c()
    assert impatient.end()[0] == 130
    desk.open_gate()

    ended, given = running.end(), patient.end()

    assert ended[:2] == given[:2]
    assert ended[0] == 0
    assert desk.effects == ONCE


def test_who_waits_goes_on_where_the_other_dies(desk: Desk) -> None:
    """The run is asked for once more, and done once."""
    running = desk.run("gated.yaml", "r1")
    desk.until_half("r1")
    waiting = desk.run("gated.yaml", "r1", "--json")
    waiting.wait_for("waiting for its end")
    os.kill(running.process.pid, signal.SIGKILL)
    running.end()
    desk.open_gate()

    code, out, _ = waiting.end()

    assert code == 0
    assert orjson.loads(out)["all"] == ALL
    assert desk.effects == ONCE


def test_a_third_ctrl_c_says_how_to_go_on(desk: Desk) -> None:
    """The run was stopped where it stood: it is interrupted, not cancelled."""
    (desk.folder / "stuck.py").write_text(STUCK)
    (desk.folder / "stuck.yaml").write_text("tasks: [{name: a, action: t.stuck}]")
    command = desk.start("run", "stuck.yaml", "--actions", "stuck.py", "--run-id", "r1", "--quiet")
    command.wait_for("run r1: stuck.yaml")
    for said in ("cancelling", "stopping at once"):
        command.press_ctrl_c()
        command.wait_for(said)
    command.press_ctrl_c()

    code, _, err = command.end()

    assert code == 130
    assert "run r1 is interrupted; `attune-ray resume r1` goes on with it" in err
    assert desk.kept.line("r1").status == "interrupted"


def test_what_failed_is_repeated_as_a_new_run(desk: Desk) -> None:
    """Its report names both; asked for twice under one id it is done once."""
    assert desk.run("even.yaml", "old").end()[0] == 1
    (desk.folder / "t_flag").touch()

    code, out, err = desk.call("rerun", "old", "--failed", "--run-id", "new", "--json")
    again = desk.call("rerun", "old", "--failed", "--run-id", "new", "--json")

    assert code == again[0] == 0
    assert orjson.loads(out)["all"] == list(range(12))
    assert again[1] == out
    assert "what failed of run old is repeated" in err
    assert "run new: even" in err
    assert desk.effects == Counter(map(str, range(12)))
    assert desk.call_json("runs", "--json")[0]["rerun_of"] == "old"


def test_a_run_is_repeated_from_a_task_on(desk: Desk) -> None:
    """One of both must be said."""
    desk.open_gate()
    desk.run("gated.yaml", "old").end()

    code, out, _ = desk.call("rerun", "old", "--from", "end", "--quiet")

    assert code == 0
    assert orjson.loads(out)["said"] == "8 done"
    assert desk.effects == ONCE
    assert desk.call("rerun", "old")[0] == 2
    assert "did you mean `old`?" in desk.call("rerun", "odl", "--failed")[2]


def test_a_state_that_cannot_be_used_is_told_in_one_line(desk: Desk) -> None:
    """Exit code 75, and no traceback."""
    (desk.folder / "file").touch()

    code, out, err = desk.call("run", "asking.yaml", "--state", "file")

    assert (code, out) == (75, "")
    assert err.startswith(
        f"error: the state in {desk.folder / 'file'} cannot be used: its folder or file cannot be used"
    )
    assert err.count("\n") == 1


def test_a_run_whose_state_is_lost_meanwhile_says_how_to_go_on(desk: Desk) -> None:
    """Exit code 75: what was kept before is safe."""
    command = desk.run("gated.yaml", "r1")
    desk.until_half("r1")
    with contextlib.closing(sqlite3.connect(Path(desk.state) / "state.db")) as connection:
        connection.execute("ALTER TABLE facts RENAME TO gone")
    desk.open_gate()

    code, _, err = command.end()

    assert code == 75
    assert "run r1 is interrupted; `attune-ray resume r1` goes on with it" in err
    assert "Traceback" not in err


def test_nothing_is_kept_where_that_is_said(desk: Desk) -> None:
    """Then no id can be asked for again."""
    assert desk.call("run", "asking.yaml", "--durability", "off", "--run-id", "r1")[0] == 2
    desk.open_gate()
    code, _, _ = desk.call("run", "gated.yaml", "--actions", "acts.py", "--durability", "off")

    assert code == 0
    assert not Path(desk.state).exists()


def test_runs_are_kept_beside_the_workflow_where_nothing_is_said(desk: Desk) -> None:
    """In the folder ``.attune``."""
    desk.open_gate()
    desk.state = ""
    desk.call("run", "gated.yaml", "--actions", "acts.py", "--run-id", "r1", "--durability", "relaxed")

    assert (desk.folder / ".attune" / "state.db").exists()
    assert desk.call_json("runs", "--json")[0]["id"] == "r1"


def test_runs_in_postgresql_are_gone_on_with(desk: Desk, postgres_url: str) -> None:
    """Its results are in the folder that the run was started in."""
    desk.state = postgres_url
    desk.interrupted()
    desk.open_gate()
    (desk.folder / "other").mkdir()

    code, out, err = desk.call("resume", "r1", "--json", folder=desk.folder / "other")

    assert code == 0, err
    assert orjson.loads(out)["all"] == ALL
    assert desk.effects == ONCE


@pytest.mark.ray
def test_a_killed_run_on_ray_goes_on(desk: Desk) -> None:
    """Items whose workers die with their coordinator run again, those that had ended do not."""
    file = desk.folder / "gated.yaml"
    file.write_text(file.read_text().replace("t.gated", "t.gated_on_ray").replace("    concurrency: 2\n", ""))
    command = desk.run("gated.yaml", "r1", "--num-cpus", "2")
    desk.until(lambda: desk.effects.total() == 4)
    os.kill(command.process.pid, signal.SIGKILL)
    command.end()
    for pid, _ in command.descendants():  # what Ray's own end leaves for a while
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    desk.open_gate()

    code, out, err = desk.call("resume", "r1", "--json")

    assert code == 0, err
    assert orjson.loads(out)["all"] == ALL
    assert desk.effects == ONCE


PACK = {
    "pack.yaml": (
        "ref: tools\nversion: 1.0.0\nconfig: {greeting: Hello}\n"
        "conf_schema: {greeting: {type: string}, token: {type: string, secret: true, default: hunter22}}\n"
    ),
    "actions/greet.yaml": (
        "name: greet\nworkflow_file: workflows/greet.workflow.yaml\n"
        "parameters: {who: {type: string}, pin: {type: string, secret: true, default: open-sesame}}\n"
    ),
    "actions/workflows/greet.workflow.yaml": (
        "tasks:\n"
        "  - {name: sure, action: core.ask, input: {prompt: 'sure?'}, next: [{do: say}]}\n"
        "  - name: say\n    action: core.echo\n"
        "    input: {message: '{{ config.greeting }} {{ parameters.who }} {{ parameters.pin }} {{ config.token }}'}\n"
        "output_map: {said: '{{ task.say.stdout }}'}\n"
    ),
}


def test_a_workflow_of_a_pack_goes_on_as_it_was(desk: Desk) -> None:
    """By the pack that it is in, whose file may have changed; where the pack is gone its secrets are not shown."""
    for name, text in PACK.items():
        (desk.folder / "tools" / name).parent.mkdir(parents=True, exist_ok=True)
        (desk.folder / "tools" / name).write_text(text)
    (desk.folder / "other").mkdir()
    started = ("run", "tools.greet", "--pack", "tools", "-p", "who=Ada", "--run-id", "r1")
    command = desk.start(*started)
    command.wait_for("sure?")
    command.process.kill()
    command.end()
    workflow = desk.folder / "tools" / "actions" / "workflows" / "greet.workflow.yaml"
    workflow.write_text(workflow.read_text().replace("core.echo", "core.noop"))
    assert desk.call("answer", "r1", "yes")[0] == 0

    code, out, err = desk.call("resume", "r1", "--json", folder=desk.folder / "other")

    assert code == 0, err
    assert orjson.loads(out) == {"said": "Hello Ada *** ***", "succeeded": True}
    assert f"{workflow} has changed since run r1 was started" in err
    assert desk.call(*started, "--json")[1] == out
    (desk.folder / "tools" / "pack.yaml").unlink()
    assert "hunter22" not in desk.call("show", "r1", "--json")[1]
    assert "the secrets of run r1 cannot be masked" in desk.call("export", "r1")[2]
