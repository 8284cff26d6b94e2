"""Runs managed from other processes: listed, shown, paused, cancelled, answered, exported, removed."""

import re
from pathlib import Path

import orjson
import pytest
from cli_desk import Desk
from sqlalchemy import update

from attune_ray.store.schema import runs


def test_a_run_is_paused_and_goes_on_from_another_process(desk: Desk) -> None:
    """What runs is finished in between; resume does not take it over."""
    running = desk.run("gated.yaml", "r1", "--json")
    desk.until_half("r1")
    code, out, _ = desk.call("pause", "r1")
    assert (code, out) == (0, "run r1 is asked to pause; `attune-ray resume r1` lets it go on\n")
    desk.until_status("r1", "paused")
    assert "is paused already" in desk.call("pause", "r1")[1]
    assert "`attune-ray resume r1` lets it go on" in desk.call("show", "r1")[1]
    desk.open_gate()

    code, out, err = desk.call("resume", "r1")

    assert (code, out) == (0, "")
    assert "run r1 is asked to go on, in its process" in err
    code, out, _ = running.end()
    assert code == 0
    assert orjson.loads(out)["said"] == "8 done"


def test_there_is_nothing_to_resume_of_a_run_that_runs(desk: Desk) -> None:
    """Nor is it taken from its process."""
    desk.run("gated.yaml", "r1")
    desk.until_half("r1")

    code, _, err = desk.call("resume", "r1")

    assert code == 2
    assert "run r1 is running, there is nothing to resume" in err


def test_a_run_is_cancelled_from_another_process(desk: Desk) -> None:
    """At once with --now; without, what runs is let finish, as the workflow says."""
    running = desk.run("gated.yaml", "r1")
    desk.until_half("r1")
    assert desk.call("cancel", "r1")[1] == "run r1 is asked to end\n"
    desk.until_status("r1", "cancelling")
    assert "is being cancelled" in desk.call("pause", "r1")[2]
    assert desk.call("cancel", "r1", "--now")[1] == "run r1 is asked to end, with what runs\n"

    code, out, _ = running.end()

    assert code == 130
    assert "each  cancelled" in out
    assert desk.call("cancel", "r1")[0] == 2


def test_a_dead_run_is_cancelled_though_its_actions_are_gone(desk: Desk) -> None:
    """Nothing of it runs; what had ended is kept, and resume gives that back."""
    desk.interrupted()
    (desk.folder / "acts.py").unlink()

    code, out, _ = desk.call("cancel", "r1")

    assert (code, out) == (0, "run r1 is cancelled; nobody ran it\n")
    assert desk.effects.total() == 4
    code, out, err = desk.call("resume", "r1")
    assert code == 130
    assert "each  cancelled      8       0" in out
    assert "error: Workflow cancelled" in err
    assert desk.call_json("show", "r1", "--json")["tasks"][0]["ended"] == 4


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "interrupted"])
def test_a_dead_run_that_asks_is_cancelled_or_answered(desk: Desk, *, is_live: bool) -> None:
    """An answer that nobody hears yet is kept."""
    running = desk.start("run", "asking.yaml", "--run-id", "r1", "--json")
    running.wait_for("go on?")
    if not is_live:
        running.process.kill()
        running.end()
    shown = desk.call("show", "r1")[1]
    assert "run r1, task approve asks: go on?" in shown
    assert "`attune-ray answer r1 [TASK] RESPONSE` answers" in shown
    for wrong, told in [("maybe", "must be an object"), ('{"okay": true}', "ok: is missing"), ('{"ok": 1}', "boolean")]:
        code, _, err = desk.call("answer", "r1", wrong)
        assert code == 2
        assert told in err
    assert "asks nothing like that; open questions" in desk.call("answer", "r1", "aprove", "{}")[2]

    code, out, _ = desk.call("answer", "r1", "approve", '{"ok": true}')

    assert code == 0
    assert out.startswith("task approve of run r1 is answered")
    assert ("`attune-ray resume r1`" in out) is not is_live
    code, out, _ = running.end() if is_live else desk.call("resume", "r1", "--json")
    assert (code, orjson.loads(out)["said"]) == (0, "true")
    assert "asks nothing any more" in desk.call("answer", "r1", "{}")[2]


def test_one_of_several_questions_is_named(desk: Desk) -> None:
    """By the item that asks; a text that is no JSON is a text."""
    (desk.folder / "many.yaml").write_text(
        "tasks: [{name: who, action: core.ask, with_items: [a, b], input: {prompt: 'who is {{ item }}?'}}]\n"
        "output_map: {said: '{{ task.who.results }}'}\n"
    )
    running = desk.start("run", "many.yaml", "--run-id", "r1", "--json")
    for word in "ab":
        running.wait_for(f"who is {word}?")

    code, _, err = desk.call("answer", "r1", "nobody")
    assert code == 2
    assert "asks that several times, say which; open questions:\n" in err
    assert "task who --index 1 asks: who is b?" in err
    assert desk.call("answer", "r1", "who", "Ada", "--index", "0")[0] == 0
    assert desk.call("answer", "r1", '["Bob"]')[0] == 0

    code, out, _ = running.end()
    assert code == 0
    assert [one["response"] for one in orjson.loads(out)["said"]] == ["Ada", ["Bob"]]


def test_runs_are_listed_by_pages(desk: Desk) -> None:
    """And by how they stand; the command for the next page is said."""
    for number in range(3):
        desk.start("run", "asking.yaml", "--run-id", f"r{number}", "--quiet").wait_for("go on?")
    desk.call("cancel", "r1", "--now")
    desk.until_status("r1", "cancelled")

    code, out, err = desk.call("runs", "--limit", "2")

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["r2", "r1"]
    assert "there are more: `attune-ray runs --before r1`" in err
    assert [run["id"] for run in desk.call_json("runs", "--before", "r1", "--json")] == ["r0"]
    running = desk.call_json("runs", "--status", "running", "--status", "paused", "--json")
    assert [run["id"] for run in running] == ["r2", "r0"]
    assert running[0].keys() == {"id", "title", "source", "status", "begun_at", "ended_at", "seconds", "rerun_of"}
    assert desk.call("runs", "--status", "odd")[0] == 2


def test_where_nothing_was_kept_nothing_is_listed(desk: Desk) -> None:
    """And nothing is made."""
    assert desk.call("runs") == (0, "", "no run is kept\n")
    for verb in ("show", "resume", "pause", "cancel", "export"):
        code, _, err = desk.call(verb, "r1")
        assert (code, err) == (
            2,
            f"error: there is no run r1 in {desk.state} (attune-ray runs lists those that there are)\n",
        )
    assert not Path(desk.state).exists()


def test_a_shown_run_names_its_failed_items(desk: Desk) -> None:
    """The first five, or all; harmless to a terminal."""
    desk.run("even.yaml", "r1").end()

    code, out, _ = desk.call("show", "r1")
    assert code == 0
    assert "task each: 6 of 12 item(s) failed" in out
    assert out.count("odd \\x1b[31m") == 5
    assert "  and 1 more" in out
    assert '"error": "Workflow failed: 1 task(s) failed: each"' in out
    assert desk.call("show", "r1", "--all")[1].count("odd \\x1b") == 6
    shown = desk.call_json("show", "r1", "--json")
    assert shown["status"] == "failed"
    assert [item["index"] for item in shown["tasks"][0]["failed_items"]] == [1, 3, 5, 7, 9]


HIDDEN = """
parameters: {pin: {type: string, secret: true}}
tasks:
  - {name: each, action: core.echo, with_items: [1, 2], input: {message: "{{ parameters.pin }} {{ keystore.token }}"}}
output_map: {said: "{{ parameters.pin }} {{ keystore.token }}", each: "{{ task.each.results }}"}
"""


def test_secrets_are_masked_in_all_that_is_said_of_a_run(desk: Desk) -> None:
    """Also when the keystore has changed since: then items are hidden, and an export is refused."""
    keystore = desk.folder / "keys.yaml"
    keystore.write_text("token: hunter22\n")
    (desk.folder / "secret.yaml").write_text(HIDDEN)
    desk.call("run", "secret.yaml", "-p", "pin=open-sesame", "--keystore", "keys.yaml", "--run-id", "r1")
    told = [
        desk.call(*verb)[1:] for verb in (["show", "r1"], ["show", "r1", "--json"], ["export", "r1"], ["resume", "r1"])
    ]
    keystore.write_text("token: another1\n")
    told += [desk.call("show", "r1", "--json")[1:], desk.call("resume", "r1")[1:]]

    assert [word for word in ("hunter22", "open-sesame") for out, err in told if word in out + err] == []
    code, _, err = desk.call("export", "r1")
    assert code == 2
    assert "the secrets of run r1 cannot be masked" in err
    exported = desk.call_json("export", "r1", "--with-secrets")
    assert exported["result"]["said"] == "open-sesame hunter22"
    kept = b"".join(path.read_bytes() for path in Path(desk.state).glob("state.db*"))
    assert [word for word in (b"hunter22", b"open-sesame", b"another1") if word in kept] == []


def test_a_run_is_exported_whole(desk: Desk) -> None:
    """Each item once, with its last attempt."""
    desk.run("even.yaml", "r1").end()
    code, _, err = desk.call("export", "r1", "--output", "run.json")
    document = orjson.loads((desk.folder / "run.json").read_bytes())

    assert (code, err) == (0, "run r1 is in run.json\n")
    assert document.keys() == {"run", "tasks", "variables", "result"}
    assert document["run"]["text"] == (desk.folder / "even.yaml").read_text()
    assert (document["run"]["status"], document["run"]["rerun_of"]) == ("failed", None)
    each, end = document["tasks"]
    assert [row["index"] for row in each["results"]] == list(range(12))
    assert each["results"][0] | {"seconds": 0} == {
        "index": 0,
        "status": "completed",
        "data": 0,
        "error": None,
        "attempt": 1,
        "seconds": 0,
    }
    assert each["results"][1]["error"] == "odd \x1b[31m"
    assert (end["status"], end["results"]) == ("not_run", [])
    assert desk.call("export", "r1", "--output", "nowhere/run.json")[0] == 2


BIG = """
tasks:
  - {name: each, action: t.even, with_items: "{{ range(4) }}", input: {x: "{{ item }}"}}
  - {name: text, action: core.echo, with_items: [1, 2], input: {message: "{{ range(9000) }}"}}
"""


def test_old_runs_are_removed_with_their_results(desk: Desk) -> None:
    """But for those that a younger run has repeated."""
    (desk.folder / "big.yaml").write_text(BIG)
    results = Path(desk.state) / "results"
    for run_id in ("old", "lonely"):
        desk.run("big.yaml", run_id).end()
    (desk.folder / "t_flag").touch()
    assert desk.call("rerun", "old", "--failed", "--run-id", "young", "--quiet")[0] == 0
    assert {path.name for path in results.iterdir()} >= {"old", "lonely"}
    desk.start("run", "asking.yaml", "--run-id", "live", "--quiet").wait_for("go on?")
    assert desk.call("gc", "--older-than", "1d")[1] == "0 runs removed\n"
    assert re.fullmatch(
        r"3 runs would be removed, .* of results\n", desk.call("gc", "--older-than", "0s", "--dry-run")[1]
    )

    make_older(desk, "old", "lonely")
    code, out, _ = desk.call("gc", "--older-than", "1d")

    assert code == 0
    assert re.fullmatch(r"1 run removed, \d+\.\d KiB of results\n", out)
    assert [run["id"] for run in desk.call_json("runs", "--json")] == ["live", "young", "old"]
    assert {path.name for path in results.iterdir()} >= {"old"}
    assert not (results / "lonely").exists()
    assert "--older-than odd: write a number and d, h, m or s" in desk.call("gc", "--older-than", "odd")[2]
    assert desk.call("gc", "--older-than", "0s")[1].startswith("2 runs removed")


def make_older(desk: Desk, *run_ids: str) -> None:
    """Have runs ended long ago."""
    engine = desk.kept.archive.database.open()
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id.in_(run_ids)).values(ended_at="2020-01-01T00:00:00.000000Z"))
