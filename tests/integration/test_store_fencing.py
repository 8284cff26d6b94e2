"""Two coordinators and one run, with real processes: one alone may write, whatever becomes of the other."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from coordinator_process import coordinator_process
from records_made import fact

from attune_ray.errors import FencedError
from attune_ray.store.archive import Archive
from attune_ray.store.sql_journal import SqlJournal

LONG_S = 600.0
Open = Callable[[float], SqlJournal]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the run is kept."""
    return str(tmp_path / "state") if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def journal_of(url: str) -> AsyncIterator[Open]:
    """Makes coordinators that wait so long for a sign of life of others."""
    async with AsyncExitStack() as stack:

        def make(silence_s: float) -> SqlJournal:
            journal = SqlJournal(url, silence_s=silence_s)
            stack.push_async_callback(journal.close)
            return journal

        yield make


def say(process: "subprocess.Popen[str]") -> str:
    """Have it write a fact; what came of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("write\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


async def test_the_run_of_a_killed_process_is_taken_over_at_once(url: str, journal_of: Open) -> None:
    """Its process can be looked for: nobody waits for a beat."""
    with coordinator_process(url, LONG_S) as process:
        assert say(process) == "kept"
        process.kill()
        process.wait()
        history = await journal_of(LONG_S).claim("r1")

    assert len(history.facts) == 2


async def test_a_process_that_nobody_has_waited_for_is_dead_too(url: str, journal_of: Open) -> None:
    """A zombie is still in the list of processes, and writes no more."""
    with coordinator_process(url, LONG_S) as process:
        process.kill()
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        await journal_of(LONG_S).claim("r1")


async def test_the_run_of_a_living_process_is_refused(url: str, journal_of: Open) -> None:
    """As soon as its next beat is seen; the error says where it is."""
    with coordinator_process(url, 1.0) as process:
        with pytest.raises(FencedError, match=f"process {process.pid} on .*, which lives"):
            await journal_of(20.0).claim("r1")
        assert say(process) == "kept"


async def test_a_stopped_process_that_wakes_up_is_refused(url: str, journal_of: Open) -> None:
    """It was silent for too long; what it wants to write then is not kept."""
    with coordinator_process(url, 0.5) as process:
        process.send_signal(signal.SIGSTOP)
        heir = journal_of(0.5)
        assert len((await heir.claim("r1")).facts) == 1
        process.send_signal(signal.SIGCONT)
        assert say(process) == "FencedError"
        await heir.write([fact()])

    assert len((await heir.read("r1")).facts) == 2


async def test_of_many_that_claim_at_once_one_wins(url: str, journal_of: Open) -> None:
    """Each with a connection of its own."""
    with coordinator_process(url, LONG_S) as process:
        process.kill()
        process.wait()
    heirs = [journal_of(1.0) for _ in range(5)]
    beating = asyncio.gather(*map(_beat, heirs))
    outcomes = await asyncio.gather(*(heir.claim("r1") for heir in heirs), return_exceptions=True)
    beating.cancel()

    assert sorted(type(each).__name__ for each in outcomes) == ["FencedError"] * 4 + ["History"]


async def test_waiting_for_a_sign_of_life_does_not_block_the_loop(url: str, journal_of: Open) -> None:
    """Other runs go on meanwhile."""
    with coordinator_process(url, LONG_S) as process:
        process.send_signal(signal.SIGSTOP)
        claim = asyncio.create_task(journal_of(0.5).claim("r1"))
        n_turns = 0
        while not claim.done():
            await asyncio.sleep(0.01)
            n_turns += 1

    assert len((await claim).facts) == 1
    assert n_turns >= 10


def test_a_run_of_a_dead_process_is_listed_as_interrupted(url: str) -> None:
    """Without waiting for a beat; while it lives, it runs."""
    archive = Archive(url, silence_s=LONG_S)
    with coordinator_process(url, LONG_S) as process:
        assert [(line.id, line.status, line.n_facts) for line in archive.runs()] == [("r1", "running", 1)]
        process.kill()
        process.wait()

    assert [line.status for line in archive.runs()] == ["interrupted"]
    assert [line.id for line in archive.runs(status=["interrupted"])] == ["r1"]
    assert archive.runs(status=["running"]) == []


async def _beat(journal: SqlJournal) -> None:
    while True:
        await journal.beat()
        await asyncio.sleep(0.02)
