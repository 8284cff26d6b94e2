"""A disk that is full in the midst of a run: the run is interrupted, and goes on when there is room again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from durable import EFFECTS, WORK, answering, durable_engine, effects, outcome

from attune_ray import Engine, RunResult
from attune_ray.dispatch import spool
from attune_ray.errors import StateError
from attune_ray.store.results import FileResults
from attune_ray.store.sql_journal import SqlJournal

LAST = "last"


@pytest.fixture(autouse=True)
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions leave their marks in a file of this test."""
    monkeypatch.setattr(spool, "logs_folder", lambda: tmp_path)
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects"))


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "junk").open("wb", buffering=0) as junk:
        try:
            while junk.write(b"x" * 1024):
                pass
        except OSError:
            return


async def asked(engine: Engine, fills: Callable[[], None]) -> RunResult:
    """Run until the question, then the disk is full; only then it is answered."""
    running = asyncio.create_task(engine.arun(WORK, run_id="full"))
    while not engine.questions and not running.done():
        await asyncio.wait([running], timeout=0.001)
    fills()
    return await answering(engine, running)


@pytest.mark.parametrize("full", ["journal", "results"])
def test_a_run_goes_on_when_there_is_room_again(disk: Path, tmp_path: Path, full: str) -> None:
    """What had ended when its disk was full is not done again."""
    state, results = (disk, tmp_path) if full == "journal" else (tmp_path, disk)

    def engine() -> Engine:
        journal = SqlJournal(str(state), silence_s=0.05, folder=state)
        return durable_engine(journal, FileResults(str(results / "results")), inline_bytes=0)

    with pytest.raises(StateError) as told, engine() as first:
        asyncio.run(asked(first, lambda: fill(disk)))
    assert "full" in str(told.value) or "No space" in str(told.value)
    before = effects()
    (disk / "junk").unlink()

    with engine() as second:
        again = asyncio.run(answering(second, second.recover("full")))

    assert outcome(again)[0] == "completed"
    assert {name for name, n in (effects() - before).items() if n} <= {LAST}
    assert effects()[LAST] == 1
