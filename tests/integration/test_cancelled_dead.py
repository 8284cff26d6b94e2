"""A run whose coordinator is dead is cancelled without being run, wherever it stood."""

import asyncio
from pathlib import Path

import pytest
from durable import EFFECTS, WORK, answering, durable_engine, effects

from attune_ray import RunResult
from attune_ray.bootstrap import State
from attune_ray.bootstrap.kept import cancel, tell_again
from attune_ray.cli.telling import NOTHING
from attune_ray.engine import TaskStatus
from attune_ray.errors import FencedError, StateError
from attune_ray.settings import StateSettings
from attune_ray.store import DyingJournal, MemoryJournal, MemoryResults, WriteBehind
from attune_ray.values.keeping import Keeping

NEVER = 10**6


@pytest.fixture(autouse=True)
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions leave their marks in a file of this test."""
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))


def run_until(after: int, memory: MemoryJournal, results: MemoryResults, *, keeps: bool) -> DyingJournal:
    """Run the workflow with everything until its journal dies."""
    dying = DyingJournal(memory, after=after, keeps=keeps)
    engine = durable_engine(dying, results, inline_bytes=0)
    try:
        with engine:
            asyncio.run(answering(engine, engine.arun(WORK, run_id="dead")))
    except StateError:
        assert after != NEVER
    return dying


def cancelled(memory: MemoryJournal, results: MemoryResults) -> RunResult:
    """Cancel it, by a process that knows none of its actions."""
    state = State(
        journal=WriteBehind(memory, StateSettings()),
        inbox=memory,
        keeping=Keeping(results=results, inline_bytes=0),
    )
    return asyncio.run(cancel(state, "dead", NOTHING))


@pytest.mark.parametrize("keeps", [False, True], ids=["before", "after"])
def test_a_run_that_died_at_any_write_is_cancelled(*, keeps: bool) -> None:
    """Nothing more is done, what had ended is kept, and whoever asks again is given that back."""
    n_writes = run_until(NEVER, MemoryJournal(), MemoryResults(), keeps=keeps).n_writes
    for after in range(1 if keeps else 2, n_writes):
        memory, results = MemoryJournal(), MemoryResults()
        run_until(after, memory, results, keeps=keeps)
        done = effects()
        history = asyncio.run(memory.read("dead"))
        if history.ended is not None:  # it wrote less often than the undisturbed run
            continue
        before = tell_again(history, NOTHING, results).result

        found = cancelled(memory := memory.successor(), results)

        assert (found.status.value, found.result["error"]) == ("cancelled", "Workflow cancelled"), f"write {after}"
        assert effects() == done
        assert ended_of(found) >= ended_of(before)
        assert TaskStatus.RUNNING not in {task.status for task in found.tasks.values()}
        heir = durable_engine(memory.successor(), results, inline_bytes=0)
        with heir:
            again = asyncio.run(heir.recover("dead"))
        assert (again.status, again.result) == (found.status, found.result)
        assert effects() == done


def ended_of(result: RunResult) -> set[str]:
    """Tasks that have completed."""
    return {name for name, task in result.tasks.items() if task.status is TaskStatus.COMPLETED}


def test_a_run_that_has_ended_stays_as_it_was() -> None:
    """Whoever was too late is told what it came to."""
    memory, results = MemoryJournal(), MemoryResults()
    run_until(NEVER, memory, results, keeps=True)

    assert cancelled(memory.successor(), results).status.value == "completed"


def test_lost_results_do_not_keep_a_run_from_being_cancelled() -> None:
    """Nothing that would read them starts any more."""
    memory, results = MemoryJournal(), MemoryResults()
    run_until(12, memory, results, keeps=True)
    results.kept.clear()

    assert cancelled(memory.successor(), results).status.value == "cancelled"


def test_a_run_whose_coordinator_lives_is_not_ended_by_others() -> None:
    """It is to be asked."""
    memory, results = MemoryJournal(), MemoryResults()
    engine = durable_engine(memory, results)

    async def beside() -> None:
        running = asyncio.create_task(engine.arun(WORK, run_id="dead"))
        while not engine.questions:
            await asyncio.wait([running], timeout=0.001)
        other = memory.beside()
        state = State(journal=other, inbox=other, keeping=Keeping(results=results, inline_bytes=0))
        with pytest.raises(FencedError):
            await cancel(state, "dead", NOTHING)
        await answering(engine, running)

    with engine:
        asyncio.run(beside())
