"""What can be done with runs that are kept: given back, gone on with, repeated in part; and damaged results."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from durable import EFFECTS, FLAG, WORK, answering, durable_engine, effects, outcome

import attune_ray
from attune_ray import Engine, RunResult
from attune_ray.dispatch import spool
from attune_ray.engine import CancelRequested, PauseRequested
from attune_ray.errors import FencedError, StateError, UsageError
from attune_ray.store import DyingJournal, MemoryJournal, MemoryResults

FAN_OUT = """
tasks:
  - name: before
    action: mark.once
    input: {who: before, seen: 4}
    next: [{publish: [{n: "{{ result().seen }}"}], do: check}]
  - name: check
    action: mark.even
    with_items: "{{ range(vars.n) }}"
    input: {x: "{{ item }}"}
    next: [{when: "{{ succeeded() }}", do: after}]
  - {name: after, action: mark.once, input: {who: after, seen: "{{ task.check.results }}"}}
  - {name: beside, action: mark.once, input: {who: beside, seen: 0}}
output_map: {seen: "{{ task.after.seen }}", n: "{{ vars.n }}"}
"""


@pytest.fixture(autouse=True)
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions leave their marks in a file of this test."""
    monkeypatch.setattr(spool, "logs_folder", lambda: tmp_path)
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))
    monkeypatch.setenv(FLAG, str(tmp_path / "flag"))


def ended(engine: Engine, work: Coroutine[Any, Any, RunResult]) -> RunResult:
    """What an engine's work comes to, the engine closed."""
    with engine:
        return asyncio.run(work)


async def until_asked(engine: Engine) -> RunResult:
    """Run, or go on with, the run ``held`` until it asks; then its coordinator is gone."""
    running = asyncio.create_task(engine.arun(WORK, run_id="held"))
    while not engine.questions:
        await asyncio.wait([running], timeout=0.001)
    running.cancel()
    await asyncio.wait([running])
    return RunResult("held")


def test_a_run_of_the_same_id_is_given_back_and_not_run_again() -> None:
    """By any engine on the same store, with all that it was."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    before = ended(first, answering(first, first.arun(WORK, run_id="once")))
    done = effects()
    second = durable_engine(memory.successor(), results)

    again = ended(second, second.arun(WORK, run_id="once"))

    assert outcome(again) == outcome(before)
    assert {name: task.status for name, task in again.tasks.items()} == {
        name: task.status for name, task in before.tasks.items()
    }
    assert again.task("each").stats.n_items == 7
    assert [item["index"] for item in again.task("each").failed_items] == [5]
    assert effects() == done


@pytest.mark.parametrize(
    ("source", "parameters", "told"),
    [(FAN_OUT, {}, "is of another workflow"), (WORK, {"x": 1}, "has other parameters")],
)
def test_an_id_stands_for_one_run_alone(source: str, parameters: dict[str, Any], told: str) -> None:
    """Another workflow or other parameters are a mistake."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    ended(first, answering(first, first.arun(WORK, run_id="once")))
    second = durable_engine(memory.successor(), results)

    with pytest.raises(UsageError, match=told):
        ended(second, second.arun(source, parameters, run_id="once"))


def test_a_run_whose_coordinator_lives_is_not_taken_over() -> None:
    """Nor run twice."""
    memory, results = MemoryJournal(), MemoryResults()
    first, second = durable_engine(memory, results), durable_engine(memory.beside(), results)

    async def both() -> RunResult:
        running = asyncio.create_task(first.arun(WORK, run_id="one"))
        while not first.questions:
            await asyncio.wait([running], timeout=0.001)
        with pytest.raises(FencedError):
            await second.arun(WORK, run_id="one")
        return await answering(first, running)

    with second:
        assert ended(first, both()).status.value == "completed"
    assert effects()["join"] == 1


def test_what_failed_is_repeated_and_what_follows_it(tmp_path: Path) -> None:
    """Items that succeeded are not run again; the new run knows the old one."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    before = ended(first, first.arun(FAN_OUT, run_id="old"))
    assert (before.status.value, before.task("check").stats.n_failed) == ("failed", 2)
    done = effects()
    (tmp_path / "flag").touch()
    second = durable_engine(memory.successor(), results)

    again = ended(second, second.rerun("old", new_id="new"))

    assert again.output == {"seen": [{"x": x} for x in range(4)], "n": 4}
    assert effects() - done == Counter(["even 1", "even 3", "after"])
    assert asyncio.run(memory.read("new")).begun.rerun_of == "old"
    third = durable_engine(memory.successor(), results)
    assert ended(third, third.recall("new")).output == again.output


def test_a_repeated_run_may_die_as_well(tmp_path: Path) -> None:
    """It is a run like any other."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    ended(first, first.arun(FAN_OUT, run_id="old"))
    done = effects()
    (tmp_path / "flag").touch()
    dying = DyingJournal(memory, after=3, keeps=False)
    with pytest.raises(StateError):
        ended(second := durable_engine(dying, results), second.rerun("old", new_id="new"))
    third = durable_engine(memory.successor(), results)

    again = ended(third, third.recover("new"))

    assert again.output["seen"] == [{"x": x} for x in range(4)]
    assert effects() - done == Counter(["even 1", "even 3", "after"])


def test_a_run_is_repeated_from_a_task_on(tmp_path: Path) -> None:
    """With the earlier context: what came before it and beside it is not run again."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    ended(first, first.arun(FAN_OUT, run_id="old"))
    done = effects()
    (tmp_path / "flag").touch()
    second = durable_engine(memory.successor(), results)

    again = ended(second, second.rerun("old", from_task="check"))

    assert again.output == {"seen": [{"x": x} for x in range(4)], "n": 4}
    assert effects() - done == Counter(["even 0", "even 1", "even 2", "even 3", "after"])


@pytest.mark.parametrize(
    ("run_id", "from_task", "told"),
    [
        ("old", "nowhere", "has no task 'nowhere'; its tasks: before, check, after, beside"),
        ("old", "after", "'after' did not start in run old"),
        ("good", None, "run good has no failed task"),
        ("none", None, "there is no run none"),
    ],
)
def test_what_cannot_be_repeated_is_told(tmp_path: Path, run_id: str, from_task: str | None, told: str) -> None:
    """And what could be."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results)
    ended(first, first.arun(FAN_OUT, run_id="old"))
    (tmp_path / "flag").touch()
    second = durable_engine(memory.successor(), results)
    ended(second, second.arun(FAN_OUT, run_id="good"))
    third = durable_engine(memory.successor(), results)

    with pytest.raises(UsageError, match=told):
        ended(third, third.rerun(run_id, from_task=from_task))


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_results_are_made_again(damage: str) -> None:
    """The checksum tells; the chunk is run again, once: whoever comes later has its results as well."""
    memory, results = MemoryJournal(), MemoryResults()
    first = durable_engine(memory, results, inline_bytes=0)
    ended(first, until_asked(first))
    done = effects()
    name = next(name for name in results.kept if "/each/" in name)
    content = results.kept.pop(name)
    if damage != "gone":
        results.kept[name] = content[:-9] if damage == "cut" else content[:-9] + b"X" + content[-8:]
    second = durable_engine(memory := memory.successor(), results, inline_bytes=0)
    ended(second, until_asked(second))
    third = durable_engine(memory.successor(), results, inline_bytes=0)

    again = ended(third, answering(third, third.recover("held")))

    assert list(again.task("each").results) == [0, 1, 2, 3, 4, None, 6]
    assert effects() - done == Counter([*(f"each {x}" for x in range(7)), "last"])


def test_other_processes_pause_cancel_and_answer() -> None:
    """Through the store: the coordinator looks there for what is asked of its runs."""
    memory, results = MemoryJournal(), MemoryResults()
    engine = durable_engine(memory, results)

    async def answered() -> RunResult:
        running = asyncio.create_task(engine.arun(WORK, run_id="mail"))
        while not memory.questions:
            await asyncio.wait([running], timeout=0.001)
        memory.answer(memory.questions[0].key, {"ok": True})
        return await running

    assert ended(engine, answered()).status.value == "completed"

    memory = MemoryJournal()
    engine = durable_engine(memory, results)

    async def cancelled() -> RunResult:
        running = asyncio.create_task(engine.arun(WORK, run_id="mail"))
        while not memory.questions:
            await asyncio.wait([running], timeout=0.001)
        memory.request("mail", PauseRequested())
        while memory.status("mail").value != "paused":
            await asyncio.wait([running], timeout=0.001)
        memory.request("mail", CancelRequested(running=True))
        return await running

    assert ended(engine, cancelled()).status.value == "cancelled"


def test_an_answer_that_came_while_nobody_ran_is_not_lost() -> None:
    """The question is asked again, and has its answer."""
    memory, results = MemoryJournal(), MemoryResults()
    engine = durable_engine(memory, results)
    ended(engine, until_asked(engine))
    memory.answer(memory.questions[0].key, {"ok": True})
    heir = durable_engine(memory.successor(), results)

    assert ended(heir, heir.recover("held")).task("last").status.value == "completed"


def test_a_paused_run_goes_on_when_it_is_recovered() -> None:
    """Whoever goes on with it wants it to run."""
    memory, results = MemoryJournal(), MemoryResults()
    engine = durable_engine(memory, results)

    async def until_paused() -> None:
        running = asyncio.create_task(engine.arun(WORK, run_id="held"))
        while not engine.questions:
            await asyncio.wait([running], timeout=0.001)
        engine.pause("held")
        while memory.status("held").value != "paused":
            await asyncio.wait([running], timeout=0.001)
        running.cancel()
        await asyncio.wait([running])

    with engine:
        asyncio.run(until_paused())
    heir = durable_engine(memory.successor(), results)

    assert ended(heir, answering(heir, heir.recover("held"))).status.value == "completed"
    assert effects()["join"] == 1


def test_a_thousand_tasks_that_end_at_once_are_written_together() -> None:
    """In one run, and in a thousand: a handful of transactions."""
    tasks = [{"name": f"t{n}", "action": "mark.meet", "input": {"n_tasks": 1_000, "name": "one"}} for n in range(1_000)]
    counted = DyingJournal(MemoryJournal(), after=10**6, keeps=True)
    engine = durable_engine(counted, MemoryResults())
    assert ended(engine, engine.arun(json.dumps({"tasks": tasks}))).status.value == "completed"
    assert counted.n_writes <= 20

    one = {"tasks": [{"name": "t", "action": "mark.meet", "input": {"n_tasks": 1_000, "name": "many"}}]}
    counted = DyingJournal(MemoryJournal(), after=10**6, keeps=True)
    engine = durable_engine(counted, MemoryResults())
    workflow = attune_ray.load(json.dumps(one))

    async def many() -> RunResult:
        results = await asyncio.gather(*(engine.arun(workflow) for _ in range(1_000)))
        assert all(result.status.value == "completed" for result in results)
        return results[0]

    ended(engine, many())
    assert counted.n_writes <= 20
