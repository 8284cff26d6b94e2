"""Group commit over any journal: entries that wait together are written together.

What is kept of a run is always a beginning of what was written for it: when a write fails, so do those of the same
run that are waiting behind it; and a run of which entries were lost that nobody waited for is not written to any more,
until it is claimed again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attune_ray.errors import StateError
from attune_ray.ports import Journal
from attune_ray.records import Entry, History
from attune_ray.settings import StateSettings
from attune_ray.store.refusals import by_run, joined

__all__ = ["WriteBehind"]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Entries of one run from one call of ``write``; what became of them (None: nobody waits for it)."""

    run_id: str
    entries: tuple[Entry, ...]
    done: asyncio.Future[None] | None


class WriteBehind:
    """A Journal that gathers what is written to another one; of one event loop at a time.

    ``strict``: ``write`` returns when its entries are committed. ``relaxed``: at once, unless ``max_waiting`` entries
    wait already; a crash loses what was written in the last ``max_age_s``.
    """

    def __init__(self, journal: Journal, settings: StateSettings) -> None:
        self._journal = journal
        self._settings = settings
        self._waiting: list[_Batch] = []
        self._n_waiting = 0
        self._oldest_s = 0.0
        self._hurry = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._lost: dict[str, Exception] = {}
        self._untold: set[str] = set()

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep entries. An error that an earlier write could not tell is told by the next one of its run."""
        parts = by_run(entries)
        self._raise_lost(parts)
        n_waiting = self._n_waiting + len(entries)
        if self._settings.level == "relaxed" and n_waiting < self._settings.max_waiting:
            self._add([_Batch(run_id, tuple(part), None) for run_id, part in parts.items()])
        else:
            await self._commit(parts)

    async def flush(self) -> None:
        """Wait until everything is committed; raises what relaxed writes could not tell, once."""
        await self._commit_waiting()
        self._raise_lost(set(self._untold))
        await self._journal.flush()

    async def claim(self, run_id: str) -> History:
        """Take over a run. What was lost of it before is forgotten: who claims it begins with what is kept."""
        await self._commit_waiting()
        history = await self._journal.claim(run_id)
        self._lost.pop(run_id, None)
        self._untold.discard(run_id)
        return history

    async def read(self, run_id: str) -> History:
        """All that is kept of a run, and what has been waiting to be."""
        await self._commit_waiting()
        return await self._journal.read(run_id)

    async def close(self) -> None:
        """Commit what waits, and close the journal whatever comes of it."""
        try:
            await self._commit_waiting()
            self._raise_lost(set(self._untold))
        finally:
            await self._journal.close()

    async def _commit_waiting(self) -> None:
        """Wait for what was written before; what others write meanwhile is not waited for."""
        if self._waiting or (self._writer is not None and not self._writer.done()):
            await self._commit({"": []})

    async def _commit(self, parts: dict[str, list[Entry]]) -> None:
        """Add batches and wait for them. A caller that is cancelled is told by its next write."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[None]] = [loop.create_future() for _ in parts]
        self._add(
            [_Batch(run_id, tuple(part), done) for (run_id, part), done in zip(parts.items(), futures, strict=True)]
        )
        self._hurry.set()
        errors = [each for each in await asyncio.gather(*futures, return_exceptions=True) if each is not None]
        if errors:
            raise _one(errors)

    def _add(self, batches: list[_Batch]) -> None:
        if not self._waiting:
            self._oldest_s = asyncio.get_running_loop().time()
        self._waiting += batches
        self._n_waiting += sum(len(batch.entries) for batch in batches)
        if self._writer is None or self._writer.done():
            self._hurry = asyncio.Event()  # of the loop that runs now: an engine may be used in one after the other
            self._writer = asyncio.create_task(self._write_groups())

    async def _write_groups(self) -> None:
        """Write group after group, until nothing waits."""
        while self._waiting:
            if self._settings.level == "relaxed":
                await self._gather_more()
            group, self._waiting, self._n_waiting = self._waiting, [], 0
            self._hurry.clear()
            try:
                await self._write_group(group)
            finally:  # where this task is cancelled, so are those who wait for it
                for batch in group:
                    if batch.done is not None:
                        batch.done.cancel()

    async def _gather_more(self) -> None:
        try:
            async with asyncio.timeout_at(self._oldest_s + self._settings.max_age_s):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _write_group(self, group: list[_Batch]) -> None:
        entries = [entry for batch in group for entry in batch.entries]
        try:
            if entries:
                await self._journal.write(entries)
        except Exception as error:  # noqa: BLE001 - told to each who waits, or to the next who writes
            failed = {batch.run_id for batch in group if batch.entries}
            if isinstance(error, StateError) and error.run_ids:
                failed &= error.run_ids
            behind = [batch for batch in self._waiting if batch.run_id in failed]
            self._waiting = [batch for batch in self._waiting if batch.run_id not in failed]
            self._n_waiting -= sum(len(batch.entries) for batch in behind)
            self._tell_of(error, [batch for batch in [*group, *behind] if batch.run_id in failed])
        for batch in group:
            if batch.done is not None and not batch.done.done():
                batch.done.set_result(None)

    def _tell_of(self, error: Exception, batches: list[_Batch]) -> None:
        for batch in batches:
            if batch.done is None or batch.done.done():
                self._lost.setdefault(batch.run_id, _of_run(error, batch.run_id))
                self._untold.add(batch.run_id)
            else:
                batch.done.set_exception(_of_run(error, batch.run_id))

    def _raise_lost(self, runs: Iterable[str]) -> None:
        errors = [self._lost[run_id] for run_id in runs if run_id in self._lost]
        self._untold.difference_update(runs)
        if errors:
            raise _one(errors)


def _of_run(error: Exception, run_id: str) -> Exception:
    """An error of a whole group, as one of one run: each who waits gets a traceback of their own."""
    if not isinstance(error, StateError):
        return error
    own = type(error)(str(error), frozenset({run_id}) if error.run_ids else frozenset())
    own.__cause__ = error
    return own


def _one(errors: Sequence[BaseException]) -> BaseException:
    """What a caller is told; an error that is none of the store's goes before the others."""
    states = [error for error in errors if isinstance(error, StateError)]
    return joined(states) if len(states) == len(errors) else next(e for e in errors if not isinstance(e, StateError))
