"""Packs on Ray: the example pack, scripts in fan-outs, timeouts, retries, and workers that die."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine
from attune_ray.packs import Pack, load_config, load_pack
from attune_ray.values.formats import Runner

PACK = Path(__file__).parents[2] / "workflows" / "packs" / "examples_pack"
pytestmark = pytest.mark.ray
Write = Callable[[dict[str, str]], Pack]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a pack of shell scripts, name → text, each an action with JSON output."""

    def written(scripts: dict[str, str]) -> Pack:
        actions = tmp_path / "pack" / "actions"
        actions.mkdir(parents=True)
        (tmp_path / "pack" / "pack.yaml").write_text("ref: my\n")
        for name, text in scripts.items():
            (actions / f"{name}.sh").write_text(text)
            (actions / f"{name}.yaml").write_text(
                f"runner_type: sh\nentry_point: {name}.sh\nparameter_format: dotenv\noutput_format: json\n"
            )
        return load_pack(tmp_path / "pack")

    return written


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return False


def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait for the world to get there."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_workflow_of_the_example_pack_runs(make_ray_engine: Callable[..., Engine]) -> None:
    """By its reference, with its own defaults; a fan-out of scripts feeds a script."""
    pack = load_pack(PACK)
    engine = make_ray_engine(pack.source)

    result = engine.run(pack.workflows["examples_pack.report"], {"paths": ["/", "/usr"]})

    assert (result.status.value, result.warnings) == ("completed", [])
    assert result.output["fullest"]["path"] in {"/", "/usr"}
    assert result.output["host"] == os.uname().nodename
    assert result.task("summary").result["stderr_log"] == "2 file systems\n"
    assert load_config(pack) == {"greeting": "Disk report"}
    assert {action.spec.runner for action in pack.source.actions} == set(Runner)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_the_nodejs_action_of_the_example_pack_runs(make_ray_engine: Callable[..., Engine]) -> None:
    """It reads its parameters from a file and writes text."""
    engine = make_ray_engine(load_pack(PACK).source)

    result = engine.run("tasks: [{name: r, action: examples_pack.render, input: {fullest: {path: /, percent: 3}}}]")

    assert result.task("r").result["stdout"] == "# Report\n\nFullest: / (3 %)\n"


def test_parameters_that_do_not_fit_fail_their_item_alone(make_ray_engine: Callable[..., Engine]) -> None:
    """With all problems; the other items go on."""
    engine = make_ray_engine(load_pack(PACK).source)

    result = engine.run(
        "tasks: [{name: s, action: examples_pack.summarise, with_items: [1, [], x], tolerate: 2,"
        " retry: {count: 3}, input: {usages: '{{ item }}', warn_at: '{{ 101 if item == 1 else 50 }}'}}]"
    ).task("s")

    assert result.results == [None, {"fullest": None, "alarming": []}, None]
    assert [failed["error"].split("\n") for failed in result.failed_items] == [
        [
            "examples_pack.summarise: parameters.usages: must be of type array; it is an integer",
            "examples_pack.summarise: parameters.warn_at: must be at most 100",
        ],
        ["examples_pack.summarise: parameters.usages: must be of type array; it is a string"],
    ]


def test_every_item_has_its_own_key_and_each_attempt_its_own_id(
    make_ray_engine: Callable[..., Engine], write: Write, tmp_path: Path
) -> None:
    """The key is the same when an item is tried again."""
    told = tmp_path / "told"
    pack = write({"fail": f'echo "$ATTUNE_EXEC_ID $ATTUNE_IDEMPOTENCY_KEY" >> {told}; exit 1'})

    result = make_ray_engine(pack.source).run(
        "tasks: [{name: t, action: my.fail, with_items: [a, b, c], retry: {count: 1}}]"
    )

    attempts = dict(line.split() for line in told.read_text().splitlines())
    assert set(attempts) == {f"{result.id}/t/{index}/{attempt}" for index in range(3) for attempt in (1, 2)}
    keys = [[attempts[f"{result.id}/t/{index}/{attempt}"] for index in range(3)] for attempt in (1, 2)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 3


def test_a_script_is_told_of_the_permission_sets_that_its_task_names(
    make_ray_engine: Callable[..., Engine], write: Write
) -> None:
    """As a JSON list; where there are none, the variable is not there."""
    pack = write({"told": 'printf "[%s, \\"%s\\"]" "${ATTUNE_PERMISSION_SET_REFS:-null}" "$ATTUNE_ACTION"'})

    result = make_ray_engine(pack.source).run("""
tasks:
  - {name: some, action: my.told, with_items: [1, 2], permission_set_refs: [net.read, 'net.wri"te']}
  - {name: one, action: my.told, permission_set_ref: net.read}
  - {name: none, action: my.told}
""")

    assert list(result.task("some").results) == [[["net.read", 'net.wri"te'], "my.told"]] * 2
    found = {name: result.task(name).result or {} for name in ("one", "none")}
    assert {name: view["data"] for name, view in found.items()} == {
        "one": [["net.read"], "my.told"],
        "none": [None, "my.told"],
    }


def test_hostile_items_arrive_as_they_are(make_ray_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """Through templates, Ray, the pipe and back."""
    (tmp_path / "actions").mkdir()
    (tmp_path / "pack.yaml").write_text("ref: my\n")
    (tmp_path / "actions" / "echo.yaml").write_text("runner_type: sh\nentry_point: echo.sh\noutput_format: json\n")
    (tmp_path / "actions" / "echo.sh").write_text("cat\n")
    items = ["{{ 7*7 }}", "{% raw %}", "$(touch pwned)", "'; exit 1; '", "a\nb", "\0", "\x1b[31m", "__class__", "✓"]

    result = make_ray_engine(load_pack(tmp_path).source).run(
        "tasks: [{name: t, action: my.echo, with_items: '{{ parameters.items }}', input: {value: '{{ item }}'}}]",
        {"items": items},
    )

    assert result.task("t").results == [{"value": item} for item in items]


def test_a_promise_of_concurrency_is_kept_and_used(make_ray_engine: Callable[..., Engine], write: Write) -> None:
    """Scripts wait for each other's company, and never are more than they may be."""
    pack = write({"nap": "sleep 0.2; echo null"})

    began = time.monotonic()
    result = make_ray_engine(pack.source).run(
        "tasks: [{name: t, action: my.nap, with_items: '{{ range(40) }}', concurrency: 20}]"
    )

    assert result.status.value == "completed"
    assert time.monotonic() - began < 5  # one after the other they would take eight


def test_a_script_that_overruns_ends_with_all_that_it_has_started(
    make_ray_engine: Callable[..., Engine], write: Write, tmp_path: Path
) -> None:
    """Its item has failed, the next one runs in the same worker."""
    pack = write({"hang": f"echo $$ >> {tmp_path}/pids; (sleep 60 & echo $! >> {tmp_path}/pids; wait)"})

    result = make_ray_engine(pack.source).run(
        "tasks: [{name: t, action: my.hang, timeout: 0.5, next: [{do: n}]}, {name: n, action: core.noop}]"
    )

    stored = result.task("t").result
    assert (stored["error"], stored["timed_out"]) == ("Execution timed out after 0.5 seconds", True)
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        until(lambda pid=pid: not lives(pid))


def test_scripts_end_when_their_run_is_cancelled(
    make_ray_engine: Callable[..., Engine], write: Write, tmp_path: Path
) -> None:
    """Their worker is killed; they are not left behind."""
    pids = tmp_path / "pids"
    pack = write({"hang": f"(sleep 60 & echo $! >> {pids}; wait)"})
    engine = make_ray_engine(pack.source)

    async def run() -> Any:
        running = asyncio.create_task(engine.arun("tasks: [{name: t, action: my.hang, with_items: [1, 2, 3]}]"))
        async with asyncio.timeout(30):
            while not pids.exists() or len(pids.read_text().split()) < 3:  # noqa: ASYNC110  no event tells of it
                await asyncio.sleep(0.02)
        engine.cancel(running=True)
        return await running

    result = asyncio.run(run())

    assert result.status.value == "cancelled"
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not lives(pid))


TRAPS = """
trap 'head -c 300000 /dev/zero; echo cleaned > {folder}/$$.ended; exit 0' TERM
echo $$ >> {folder}/pids
while :; do sleep 0.1; done
"""
DEAF = """
trap '' TERM
echo $$ >> {folder}/pids
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize("text", [TRAPS, DEAF], ids=["one that tidies up", "one that is deaf"])
def test_scripts_of_a_cancelled_run_are_asked_to_end_before_they_are_killed(
    make_ray_engine: Callable[..., Engine], write: Write, tmp_path: Path, text: str
) -> None:
    """SIGTERM, though their worker is killed under them; SIGKILL for those that do not heed it."""
    pids = tmp_path / "pids"
    pack = write({"hang": text.format(folder=tmp_path)})
    engine = make_ray_engine(pack.source)

    async def run() -> Any:
        running = asyncio.create_task(engine.arun("tasks: [{name: t, action: my.hang, with_items: [1, 2]}]"))
        async with asyncio.timeout(30):
            while not pids.exists() or len(pids.read_text().split()) < 2:  # noqa: ASYNC110  no event tells of it
                await asyncio.sleep(0.02)
        engine.cancel(running=True)
        return await running

    assert asyncio.run(run()).status.value == "cancelled"
    started = list(map(int, pids.read_text().split()))
    for pid in started:
        until(lambda pid=pid: not lives(pid))
    assert sorted(tmp_path.glob("*.ended")) == sorted(tmp_path / f"{pid}.ended" for pid in started if text is TRAPS)


@pytest.mark.ray
def test_a_workflow_of_a_pack_runs_by_its_reference_on_the_command_line(tmp_path: Path) -> None:
    """``--pack`` makes actions and workflows known; the pack's config is there for templates."""
    folder = tmp_path / "tools"
    (folder / "actions" / "workflows").mkdir(parents=True)
    (folder / "pack.yaml").write_text("ref: tools\nversion: 1.0.0\nconfig: {greeting: Hello}\n")
    (folder / "actions" / "say.yaml").write_text(
        "name: say\nrunner_type: shell\nentry_point: say.sh\nparameter_format: json\n"
        "parameters: {text: {type: string, required: true}}\n"
    )
    (folder / "actions" / "say.sh").write_text("#!/bin/sh\ncat\n")
    (folder / "actions" / "greet.yaml").write_text(
        "name: greet\nworkflow_file: workflows/greet.workflow.yaml\nparameters: {who: {type: string, default: world}}\n"
    )
    (folder / "actions" / "workflows" / "greet.workflow.yaml").write_text(
        "tasks:\n  - {name: say, action: tools.say, input: {text: '{{ config.greeting }} {{ parameters.who }}'}}\n"
        "output_map: {said: '{{ task.say.stdout }}'}\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "attune_ray", "run", "tools.greet", "--pack", str(folder), "-p", "who=Ada", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(json.loads(told.stdout)["said"]) == {"text": "Hello Ada"}
