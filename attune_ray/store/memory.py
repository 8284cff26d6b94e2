"""A journal and a store of results that last as long as the process: for tests, and the shortest reading of the ports.

Entries go through the codec, as in any other store: what is read is what a database would give back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, assert_never

from attune_ray.engine import ChunkDone, Request, RunStatus, TransitionsEvaluated
from attune_ray.errors import FencedError, ResultLostError, StateError, UsageError
from attune_ray.ports import Inbox, Journal
from attune_ray.records import (
    AnswerMail,
    Asked,
    Entry,
    Fact,
    History,
    Mail,
    QuestionKey,
    RequestMail,
    RunBegun,
    RunEnded,
    root_of,
)
from attune_ray.store.codec import decode_begun, decode_fact, decode_json, decode_result, encode, encode_json, kind_of
from attune_ray.store.refusals import Refusals, has_begun, is_fenced
from attune_ray.store.standing import status_after

__all__ = ["DyingJournal", "JournalAndInbox", "MemoryJournal", "MemoryResults"]


class JournalAndInbox(Journal, Inbox, Protocol):
    """What keeps runs and brings mail for them."""


@dataclass(slots=True)
class _Kept:
    """One run."""

    begun: RunBegun
    facts: list[Fact] = field(default_factory=list)
    ended: RunEnded | None = None
    status: RunStatus = RunStatus.RUNNING
    owner: int | None = None

    @property
    def history(self) -> History:
        return History(self.begun, tuple(self.facts), self.ended)


@dataclass(slots=True)
class _Question:
    asked: Asked
    response: Any = None
    is_answered: bool = False


@dataclass(slots=True)
class _Shared:
    """What all coordinators of one memory share."""

    runs: dict[str, _Kept] = field(default_factory=dict)
    questions: dict[QuestionKey, _Question] = field(default_factory=dict)
    requests: list[RequestMail] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)
    n_coordinators: int = 0


class MemoryJournal:
    """A Journal and an Inbox: one coordinator. ``beside`` and ``successor`` are others, on the same memory."""

    def __init__(self, _shared: _Shared | None = None) -> None:
        self._shared = _shared or _Shared()
        self._shared.n_coordinators += 1
        self._me = self._shared.n_coordinators
        self._delivered: set[QuestionKey] = set()
        self._shared.alive.add(self._me)

    def beside(self) -> "MemoryJournal":
        """Another coordinator, while this one lives."""
        return MemoryJournal(self._shared)

    def successor(self) -> "MemoryJournal":
        """Another coordinator, after this one has died without a word."""
        self._shared.alive.discard(self._me)
        return self.beside()

    def status(self, run_id: str) -> RunStatus:
        """How a run stands."""
        return self._shared.runs[run_id].status

    @property
    def questions(self) -> tuple[Asked, ...]:
        """The open ones, oldest first."""
        return tuple(each.asked for each in self._shared.questions.values() if not each.is_answered)

    def request(self, run_id: str, request: Request) -> None:
        """Ask something of a run, as another process does."""
        self._shared.requests.append(RequestMail(run_id, request))

    def answer(self, key: QuestionKey, response: Any) -> None:
        """Answer an open question, as another process does."""
        question = self._shared.questions[key]
        question.response, question.is_answered = response, True

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep the entries of all runs that are this coordinator's."""
        refused = Refusals()
        for original, entry in refused.each(entries, _reread):
            root = root_of(original.run_id)
            if isinstance(entry, RunBegun) and root not in self._shared.runs:
                self._shared.runs[root] = _Kept(entry, owner=self._me)
            elif isinstance(entry, RunBegun):
                refused.add(root, has_begun(root))
            elif root not in refused and not self._is_mine(root):
                refused.add(root, is_fenced(root))
            elif root not in refused:
                self._keep(entry, self._shared.runs[root])
        refused.raise_any()

    async def flush(self) -> None:
        """Nothing is ever waiting."""

    async def claim(self, run_id: str) -> History:
        """Take over a run of a coordinator that ``successor`` or ``close`` has ended."""
        kept = self._kept(run_id)
        if kept.owner in self._shared.alive - {self._me}:
            raise FencedError(f"the coordinator of run {run_id} lives", frozenset({run_id}))
        if kept.ended is None:
            kept.owner = self._me
        return kept.history

    async def read(self, run_id: str) -> History:
        """All that is kept of a run."""
        return self._kept(run_id).history

    async def close(self) -> None:
        """Let go of the runs that have not ended."""
        self._shared.alive.discard(self._me)
        for kept in self._shared.runs.values():
            if kept.owner == self._me:
                kept.owner = None

    async def beat(self) -> Sequence[Mail]:
        """Requests once, answers once in this coordinator."""
        taken = [mail for mail in self._shared.requests if self._is_mine(root_of(mail.run_id))]
        for mail in taken:
            self._shared.requests.remove(mail)
        answers = [
            AnswerMail(key, question.response)
            for key, question in self._shared.questions.items()
            if question.is_answered and key not in self._delivered and self._is_mine(root_of(key[0]))
        ]
        self._delivered.update(mail.key for mail in answers)
        return [*taken, *answers]

    def _kept(self, run_id: str) -> _Kept:
        kept = self._shared.runs.get(run_id)
        if kept is None:
            raise UsageError(f"there is no run {run_id}")
        return kept

    def _is_mine(self, root: str) -> bool:
        kept = self._shared.runs.get(root)
        return kept is not None and kept.owner == self._me

    def _keep(self, entry: Entry, kept: _Kept) -> None:
        match entry:
            case RunBegun():
                pass
            case Fact():
                kept.facts.append(entry)
                kept.status = status_after(entry) or kept.status
                self._close_questions_of(entry)
            case Asked():
                self._shared.questions.setdefault(entry.key, _Question(entry))
            case RunEnded():
                kept.ended, kept.status, kept.owner = entry, entry.status, None
                self._close([key for key in self._shared.questions if root_of(key[0]) == entry.run_id])
            case _:
                assert_never(entry)

    def _close_questions_of(self, fact: Fact) -> None:
        """A task that has ended asks nothing; of one whose chunk has, those whose answer it was told are over."""
        if isinstance(fact.event, ChunkDone | TransitionsEvaluated):
            has_ended, task = isinstance(fact.event, TransitionsEvaluated), str(fact.event.run)
            asked = [key for key in self._shared.questions if key[:2] == (fact.run_id, task)]
            self._close(key for key in asked if has_ended or key[2] is None or key in self._delivered)

    def _close(self, keys: Iterable[QuestionKey]) -> None:
        for key in list(keys):
            del self._shared.questions[key]
            self._delivered.discard(key)


def _reread(entry: Entry) -> Entry:
    """What a database would give back."""
    body = encode(entry)
    match entry:
        case RunBegun():
            columns = (entry.run_id, entry.at, entry.title, entry.source, body)
            return decode_begun(*columns, rerun_of=entry.rerun_of, is_secret=entry.is_secret)
        case Fact():
            kind = kind_of(entry.event)
            return decode_fact(entry.run_id, entry.at, kind, body, is_secret=entry.is_secret)
        case RunEnded():
            shown = decode_json(encode_json(entry.shown, entry.run_id), entry.run_id)
            return replace(entry, result=decode_result(entry.run_id, body), shown=shown)
        case Asked():
            return entry


class DyingJournal:
    """A coordinator that dies at a write: this one and all later calls raise StateError.

    Attributes:
        after: the write, 1-based, that it dies at.
        keeps: whether that write is still kept.
        n_writes: writes that were asked for so far; with a large ``after`` it counts them.
    """

    def __init__(self, journal: JournalAndInbox, *, after: int, keeps: bool) -> None:
        self._journal = journal
        self.after = after
        self.keeps = keeps
        self.n_writes = 0

    async def write(self, entries: Sequence[Entry]) -> None:
        """Write, or die before or after it."""
        self.n_writes += 1
        if self.n_writes < self.after:
            await self._journal.write(entries)
            return
        if self.n_writes == self.after and self.keeps:
            await self._journal.write(entries)
        self._check()

    async def flush(self) -> None:
        """Flush, while it lives."""
        self._check()
        await self._journal.flush()

    async def claim(self, run_id: str) -> History:
        """Claim, while it lives."""
        self._check()
        return await self._journal.claim(run_id)

    async def read(self, run_id: str) -> History:
        """Read, while it lives."""
        self._check()
        return await self._journal.read(run_id)

    async def close(self) -> None:
        """Close, while it lives: the dead let go of nothing."""
        if not self._is_dead:
            await self._journal.close()

    async def beat(self) -> Sequence[Mail]:
        """Beat, while it lives."""
        self._check()
        return await self._journal.beat()

    @property
    def _is_dead(self) -> bool:
        return self.n_writes >= self.after

    def _check(self) -> None:
        if self._is_dead:
            raise StateError(f"the journal died at write {self.after}")


class MemoryResults:
    """A ResultStore in a dict; a copy that travels has what was kept before."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def write(self, name: str, content: Any) -> None:
        """Keep a copy."""
        self.kept[_checked(name)] = bytes(content)

    def read(self, name: str) -> Any:
        """What was kept."""
        if _checked(name) not in self.kept:
            raise ResultLostError(f"the results {name} are not in memory any more")
        return memoryview(self.kept[name])

    def remove(self, folder: str) -> None:
        """Forget all below a folder."""
        below = f"{_checked(folder)}/"
        for name in [name for name in self.kept if name.startswith(below)]:
            del self.kept[name]


def _checked(name: str) -> str:
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise StateError(f"results cannot be kept as {name!r}: a name is made of parts like run/task/0-4999")
    return name
