"""The journal that dies, for tests of recovery."""

import pytest
from records_made import begun, fact

from attune_ray.errors import StateError
from attune_ray.testing import DyingJournal, MemoryJournal


@pytest.mark.parametrize(("after", "keeps", "n_kept"), [(1, True, 1), (2, False, 1), (2, True, 2), (3, False, 2)])
async def test_a_journal_dies_before_or_after_a_write(after: int, keeps: bool, n_kept: int) -> None:  # noqa: FBT001
    """That write, and every call after it, fails; the dead one lets go of nothing."""
    inner = MemoryJournal()
    journal = DyingJournal(inner, after=after, keeps=keeps)
    entries = [[begun()], [fact()], [fact()]]
    for entry in entries[: after - 1]:
        await journal.write(entry)
    for entry in entries[after - 1 :]:
        with pytest.raises(StateError, match=f"died at write {after}"):
            await journal.write(entry)
    for call in (journal.flush(), journal.claim("r1"), journal.read("r1"), journal.beat()):
        with pytest.raises(StateError):
            await call
    await journal.close()

    assert journal.n_writes == 3
    assert len((await inner.successor().claim("r1")).facts) == n_kept - 1


async def test_a_journal_that_does_not_die_counts_its_writes() -> None:
    """So a test learns how many there are to die at."""
    inner = MemoryJournal()
    journal = DyingJournal(inner, after=100, keeps=True)
    await journal.write([begun(), fact()])
    await journal.write([fact()])
    await journal.flush()

    assert journal.n_writes == 2
    assert await journal.read("r1") == await inner.read("r1")
    assert await journal.beat() == []
    await journal.close()
