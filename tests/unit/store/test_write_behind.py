"""Group commit: few writes for many callers, and each caller told of what is theirs."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from records_made import begun, done, fact

from attune_ray.errors import FencedError, StateError
from attune_ray.records import Entry
from attune_ray.settings import StateSettings
from attune_ray.store import MemoryJournal, WriteBehind
from attune_ray.testing import VirtualLoop

STRICT = StateSettings(level="strict")
RELAXED = StateSettings(level="relaxed", max_age_s=60.0, max_waiting=10)


class WatchedJournal(MemoryJournal):
    """Remembers the size of each write; may fail, or wait at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.errors: list[Exception | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def write(self, entries: Sequence[Entry]) -> None:
        """Write, or fail as the next error says."""
        self.sizes.append(len(entries))
        self.entered.set()
        error = self.errors.pop(0) if self.errors else None
        await self.gate.wait()
        if error is not None:
            raise error
        await super().write(entries)


def on_virtual_time(main: Callable[[], Any]) -> None:
    """Run a test's body where waiting takes no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def started(inner: WatchedJournal, settings: StateSettings, *runs: str) -> WriteBehind:
    """A journal that has these runs already."""
    await inner.write([begun(run) for run in runs])
    inner.sizes.clear()
    inner.entered.clear()
    return WriteBehind(inner, settings)


async def test_a_thousand_writes_at_once_become_a_few() -> None:
    """Each caller waits until its own entry is committed, all of them together."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1")

    await asyncio.gather(*(journal.write([done(chunk=number)]) for number in range(1_000)))

    assert sum(inner.sizes) == 1_000
    assert len(inner.sizes) <= 20
    assert [each.event.chunk for each in (await inner.read("r1")).facts] == list(range(1_000))  # type: ignore[union-attr]


async def test_what_comes_while_a_group_is_written_makes_the_next_one() -> None:
    """A slow disk makes larger groups, not more of them."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1")
    inner.gate.clear()
    first = asyncio.create_task(journal.write([done(chunk=0)]))
    await inner.entered.wait()
    others = [asyncio.create_task(journal.write([done(chunk=number)])) for number in range(1, 8)]
    await asyncio.sleep(0)
    inner.gate.set()
    await asyncio.gather(first, *others)

    assert inner.sizes == [1, 7]


async def test_a_fenced_run_is_told_to_its_own_callers_alone() -> None:
    """Those of the other runs in the group do not hear of it."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1", "r2")
    await inner.successor().claim("r2")

    outcomes = await asyncio.gather(
        journal.write([fact(run_id="r1")]), journal.write([fact(run_id="r2")]), return_exceptions=True
    )

    assert outcomes[0] is None
    assert isinstance(outcomes[1], FencedError)
    assert outcomes[1].run_ids == {"r2"}


async def test_one_write_of_two_runs_keeps_the_one_and_tells_of_the_other() -> None:
    """A caller with both is told of the run that is lost to it."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1", "r2")
    await inner.successor().claim("r2")

    with pytest.raises(FencedError) as caught:
        await journal.write([fact(run_id="r1"), fact(run_id="r2"), fact(run_id="r1/child")])

    assert caught.value.run_ids == {"r2"}
    assert len((await inner.read("r1")).facts) == 2


async def test_an_error_of_the_store_is_told_to_all_who_wait_with_their_own_traceback() -> None:
    """A full disk fails the whole group; nothing of it was kept."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1", "r2")
    inner.errors = [StateError("the disk is full")]

    outcomes = await asyncio.gather(
        *(journal.write([fact(run_id=run)]) for run in ("r1", "r2")), return_exceptions=True
    )

    assert [str(each) for each in outcomes] == ["the disk is full"] * 2
    assert outcomes[0] is not outcomes[1]
    await journal.write([fact(run_id="r1")])  # who was told may try again


async def test_no_entry_is_kept_behind_one_of_its_run_that_was_lost() -> None:
    """What waits behind a failed write fails too: a history with a hole is none."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1", "r2")
    inner.errors = [StateError("r1 cannot be kept", frozenset({"r1"}))]
    inner.gate.clear()
    first = asyncio.create_task(journal.write([done("a", run_id="r1")]))
    await inner.entered.wait()
    behind = [asyncio.create_task(journal.write([done("b", run_id=run)])) for run in ("r1", "r2")]
    await asyncio.sleep(0)
    inner.gate.set()
    outcomes = await asyncio.gather(first, *behind, return_exceptions=True)

    assert [str(each) for each in outcomes] == ["r1 cannot be kept", "r1 cannot be kept", "None"]
    assert [len((await inner.read(run)).facts) for run in ("r1", "r2")] == [0, 1]


def test_a_relaxed_write_returns_at_once_and_is_committed_in_time() -> None:
    """Not before the time is up, and not after it."""

    async def body() -> None:
        inner = WatchedJournal()
        journal = await started(inner, RELAXED, "r1")
        await journal.write([fact()])
        await asyncio.sleep(59.0)
        assert inner.sizes == []
        await journal.write([fact()])
        await asyncio.sleep(1.5)
        assert inner.sizes == [2]
        await journal.close()

    on_virtual_time(body)


async def test_a_relaxed_write_waits_where_too_many_do() -> None:
    """Then the whole buffer is committed before it returns."""
    inner = WatchedJournal()
    journal = await started(inner, RELAXED, "r1")
    for number in range(9):
        await journal.write([done(chunk=number)])
    assert inner.sizes == []
    await journal.write([done(chunk=9)])

    assert inner.sizes == [10]


async def test_flush_read_and_close_commit_what_waits() -> None:
    """Nobody waits for the age then."""
    inner = WatchedJournal()
    journal = await started(inner, RELAXED, "r1")
    await journal.write([fact()])
    await journal.flush()
    assert inner.sizes == [1]
    await journal.write([fact()])
    assert len((await journal.read("r1")).facts) == 2
    await journal.write([fact()])
    await journal.close()

    assert inner.sizes == [1, 1, 1]


async def test_the_error_of_a_relaxed_write_is_told_by_each_later_one_of_its_run() -> None:
    """Others go on; the run itself goes on when it is claimed again."""
    inner = WatchedJournal()
    journal = await started(inner, RELAXED, "r1", "r2")
    inner.errors = [StateError("r1 cannot be kept", frozenset({"r1"}))]
    await journal.write([fact(run_id="r1")])
    await journal.write([fact(run_id="r2")])
    with pytest.raises(StateError, match="r1 cannot be kept"):
        await journal.flush()

    await journal.write([fact(run_id="r2")])
    for _ in range(2):
        with pytest.raises(StateError, match="r1 cannot be kept"):
            await journal.write([fact(run_id="r1")])
    assert (await journal.claim("r1")).facts == ()
    await journal.write([fact(run_id="r1")])
    await journal.flush()
    assert len((await inner.read("r1")).facts) == 1


async def test_closing_tells_what_no_write_could() -> None:
    """An error does not vanish with the journal, and the journal is closed all the same."""
    inner = WatchedJournal()
    journal = await started(inner, RELAXED, "r1")
    inner.errors = [StateError("the disk is full")]
    await journal.write([fact()])
    with pytest.raises(StateError, match="the disk is full"):
        await journal.close()

    await inner.beside().claim("r1")  # it was let go of
    await journal.close()


async def test_the_entries_of_a_caller_that_gave_up_are_kept() -> None:
    """A cancelled wait takes nothing back; an error of it is told later."""
    inner = WatchedJournal()
    journal = await started(inner, STRICT, "r1")
    inner.errors = [None, StateError("the disk is full")]
    for _ in range(2):
        inner.gate.clear()
        inner.entered.clear()
        caller = asyncio.create_task(journal.write([fact()]))
        await inner.entered.wait()
        caller.cancel()
        await asyncio.wait([caller])
        assert caller.cancelled()
        inner.gate.set()
        await asyncio.wait([journal._writer])  # type: ignore[list-item]  # noqa: SLF001

    with pytest.raises(StateError, match="the disk is full"):
        await journal.write([fact()])
    assert len((await inner.read("r1")).facts) == 1
