"""What every journal and its inbox promise, whatever keeps the entries."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from journals import BehindStore, MemoryStore, SqlStore, Store
from records_made import asked, begun, done, ended, fact

from attune_ray.engine import (
    CancelRequested,
    ChunkLost,
    PauseRequested,
    ResumeRequested,
    RunStatus,
    TaskRunId,
    TransitionsEvaluated,
)
from attune_ray.errors import FencedError, StateError, UsageError
from attune_ray.records import AnswerMail, History, RequestMail
from attune_ray.settings import StateSettings

A = TaskRunId("a", 1)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def plain_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store, as it is."""
    match request.param:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqlStore(str(tmp_path / "state"), tmp_path)
        case _:
            return SqlStore(request.getfixturevalue("postgres_url"), tmp_path)


@pytest.fixture(params=["plain", "strict", "relaxed"])
async def store(request: pytest.FixtureRequest, plain_store: Store) -> AsyncIterator[Store]:
    """Each store, as it is and behind group commit."""
    level = request.param
    yield plain_store if level == "plain" else BehindStore(plain_store, StateSettings(level=level))
    await plain_store.close()


async def test_a_history_is_what_was_written_in_its_order(store: Store) -> None:
    """Beginning, facts of the run and of its children, end: nothing is lost, changed or told twice."""
    journal = await store.coordinator()
    first = begun(given={"x": [1, None]}, launch={"actions": ["a.py"]}, rerun_of="r0")
    lost = ChunkLost(A, 3, "it died", ended=range(2, 5), running=(7, 9))
    facts = [fact(), fact(lost, "r1/child[3]/a"), done(holding={"rows": {"x": 1.5}}), done(chunk=1)]
    await journal.write([first, facts[0]])
    await journal.write(facts[1:3])
    await journal.write([facts[3], ended()])

    assert await journal.read("r1") == History(first, tuple(facts), ended())


async def test_a_thousand_facts_in_one_write_keep_their_order(store: Store) -> None:
    """So do those of several runs that are written together."""
    journal = await store.coordinator()
    await journal.write([begun("r1"), begun("r2")])
    facts = [done(chunk=number, run_id=f"r{number % 2 + 1}") for number in range(1_000)]
    await journal.write(facts)

    assert (await journal.read("r1")).facts == tuple(facts[::2])
    assert (await journal.read("r2")).facts == tuple(facts[1::2])


async def test_what_is_secret_is_read_as_it_was_written(store: Store) -> None:
    """Whatever is done to it in between."""
    journal = await store.coordinator()
    first = begun(given={"password": "hunter22"}, is_secret=True)
    secret = done(holding={"token": "hunter22"}, is_secret=True)
    last = ended(result={"token": "hunter22"}, shown={"token": "***"}, is_secret=True)
    await journal.write([first, secret, done(chunk=1), last])

    assert await journal.read("r1") == History(first, (secret, done(chunk=1)), last)


async def test_nothing_may_be_written_at_all(store: Store) -> None:
    """An empty write is none."""
    journal = await store.coordinator()
    await journal.write([])
    await journal.flush()


async def test_there_is_no_run_that_nobody_began(store: Store) -> None:
    """Whoever reads or claims one has the wrong id."""
    journal = await store.coordinator()
    for call in (journal.read, journal.claim):
        with pytest.raises(UsageError, match="there is no run r9"):
            await call("r9")


async def test_a_run_begins_once(store: Store) -> None:
    """A second beginning fails, with what follows it; the first run is as it was, and other runs are kept."""
    journal = await store.coordinator()
    await journal.write([begun()])
    with pytest.raises(StateError, match="r1 has begun already") as caught:
        await journal.write([begun(title="other"), begun("r2"), fact(run_id="r2"), fact(run_id="r1")])

    assert caught.value.run_ids == {"r1"}
    assert await (await store.coordinator()).read("r1") == History(begun())
    assert await (await store.coordinator()).read("r2") == History(begun("r2"), (fact(run_id="r2"),))


async def test_of_two_that_begin_a_run_at_once_one_does(store: Store) -> None:
    """The other is told, and what else it wrote is kept."""
    journals = [await store.coordinator() for _ in range(2)]
    await asyncio.gather(*(journal.read("r0") for journal in journals), return_exceptions=True)  # both are open
    writes = [journal.write([begun(), begun(f"own{number}")]) for number, journal in enumerate(journals)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType", "StateError"]
    for number, journal in enumerate(journals):
        await journal.write([fact(run_id=f"own{number}")])


async def test_two_beginnings_of_one_run_at_once_are_both_refused(store: Store) -> None:
    """Which of the two it should be is not ours to say."""
    journal = await store.coordinator()
    with pytest.raises(StateError, match="r1 has begun already"):
        await journal.write([begun(), begun(), begun("r2")])

    await journal.write([fact(run_id="r2")])


async def test_what_is_no_json_is_told_and_nothing_of_its_run_is_kept(store: Store) -> None:
    """The error names the run that it is of; others in the same write are kept."""
    journal = await store.coordinator()
    await journal.write([begun("r1"), begun("r2")])
    with pytest.raises(StateError, match="no JSON") as caught:
        await journal.write([fact(run_id="r1"), fact(run_id="r2"), fact(run_id="r1/b", holding={"x": object()})])

    assert caught.value.run_ids == {"r1"}
    other = await store.coordinator()
    assert [len((await other.read(run)).facts) for run in ("r1", "r2")] == [0, 1]


async def test_a_run_whose_coordinator_lives_is_not_given_away(store: Store) -> None:
    """It goes on with the one that has it."""
    journal, other = await store.coordinator(), await store.coordinator()
    await journal.write([begun()])
    with pytest.raises(FencedError) as caught:
        await other.claim("r1")
    assert caught.value.run_ids == {"r1"}
    with pytest.raises(FencedError):
        await other.write([fact()])

    await journal.write([fact()])
    assert (await other.read("r1")).facts == (fact(),)


async def test_its_own_run_may_be_claimed_by_a_coordinator(store: Store) -> None:
    """It has it already."""
    journal = await store.coordinator()
    await journal.write([begun(), fact()])

    assert await journal.claim("r1") == History(begun(), (fact(),))


async def test_the_run_of_a_dead_coordinator_goes_on_with_another(store: Store) -> None:
    """Where the dead one wakes up again, nothing more is kept of what it does."""
    dead, heir = await store.coordinator(), await store.coordinator()
    await dead.write([begun(), fact()])
    await store.kill(dead)
    assert await heir.claim("r1") == History(begun(), (fact(),))
    await heir.write([done(chunk=0)])

    with pytest.raises(FencedError) as caught:
        await dead.write([done(chunk=7)])
    assert caught.value.run_ids == {"r1"}
    await heir.write([done(chunk=1)])
    assert (await heir.read("r1")).facts == (fact(), done(chunk=0), done(chunk=1))


async def test_a_lost_run_takes_no_other_with_it(store: Store) -> None:
    """What the same write says of the runs that a coordinator still has is kept."""
    journal, heir = await store.coordinator(), await store.coordinator()
    await journal.write([begun("r1"), begun("r2")])
    await store.kill(journal)
    await heir.claim("r1")
    with pytest.raises(FencedError) as caught:
        await journal.write([fact(run_id="r1"), fact(run_id="r2"), begun("r3"), ended("r1"), fact(run_id="r3")])

    assert caught.value.run_ids == {"r1"}
    assert [len((await heir.read(run)).facts) for run in ("r1", "r2", "r3")] == [0, 1, 1]


async def test_of_two_that_claim_at_once_one_wins(store: Store) -> None:
    """The other is told that the run is taken."""
    dead, *heirs = [await store.coordinator() for _ in range(3)]
    await dead.write([begun()])
    await store.kill(dead)
    outcomes = await asyncio.gather(*(heir.claim("r1") for heir in heirs), return_exceptions=True)

    assert sorted(type(each).__name__ for each in outcomes) == ["FencedError", "History"]


async def test_a_closed_journal_lets_go_of_its_runs(store: Store) -> None:
    """Another takes them over at once; closing again does nothing."""
    journal, heir = await store.coordinator(), await store.coordinator()
    await journal.write([begun(), fact()])
    await journal.close()
    await journal.close()

    assert (await heir.claim("r1")).facts == (fact(),)


async def test_a_run_that_has_ended_can_be_claimed_but_not_written_to(store: Store) -> None:
    """There is nothing to go on with."""
    journal, other = await store.coordinator(), await store.coordinator()
    await journal.write([begun(), fact(), ended()])

    assert (await other.claim("r1")).ended == ended()
    for each in (journal, other):
        with pytest.raises(FencedError):
            await each.write([fact()])


async def test_listings_say_how_a_run_stands(store: Store) -> None:
    """Requests show when the run has heeded them; those of a child run are not about the run above it."""
    journal = await store.coordinator()
    steps = [
        ([begun()], "running"),
        ([fact(PauseRequested())], "paused"),
        ([fact(ResumeRequested()), fact(PauseRequested(), "r1/child")], "running"),
        ([fact(PauseRequested()), fact(CancelRequested(running=True))], "cancelling"),
        ([ended(status=RunStatus.CANCELLED)], "cancelled"),
    ]
    for entries, status in steps:
        await journal.write(entries)
        assert store.status("r1") == status


async def test_requests_are_delivered_once_in_their_order(store: Store) -> None:
    """To the coordinator that has the run; a successor does not hear of them again."""
    journal, heir = await store.coordinator(), await store.coordinator()
    await journal.write([begun("r1"), begun("r2")])
    requests = [PauseRequested(), ResumeRequested(), CancelRequested(running=True), CancelRequested(running=False)]
    for each in requests:
        store.request("r1", each)

    assert await heir.beat() == []
    assert await journal.beat() == [RequestMail("r1", each) for each in requests]
    assert await journal.beat() == []
    await store.kill(journal)
    await heir.claim("r1")
    assert await heir.beat() == []


async def test_a_request_waits_for_a_coordinator(store: Store) -> None:
    """What was asked of a run that nobody had is heeded by whoever takes it over."""
    journal, heir = await store.coordinator(), await store.coordinator()
    await journal.write([begun()])
    await journal.close()
    store.request("r1", PauseRequested())
    await heir.claim("r1")

    assert await heir.beat() == [RequestMail("r1", PauseRequested())]


async def test_an_answer_comes_once_in_a_coordinator_and_again_after_a_restart(store: Store) -> None:
    """For as long as the question is open: the task may not have ended before the crash."""
    journal, heir = await store.coordinator(), await store.coordinator()
    question = asked("a", 3, "r1/child", response_schema={"ok": {"type": "boolean"}}, assigned_to=["ops"])
    await journal.write([begun(), question])
    assert store.questions() == [question.key]
    store.answer(question.key, {"ok": True})

    assert await journal.beat() == [AnswerMail(question.key, {"ok": True})]
    assert await journal.beat() == []
    await store.kill(journal)
    await heir.claim("r1")
    await heir.write([question])  # asked again: it is the same question
    assert await heir.beat() == [AnswerMail(question.key, {"ok": True})]


async def test_the_end_of_its_chunk_closes_the_question_of_a_plain_task(store: Store) -> None:
    """Answered or not: it may have timed out. Those of other tasks and runs stay."""
    journal = await store.coordinator()
    others = [asked("b"), asked("a", run_id="r1/child"), asked("a#2")]
    await journal.write([begun(), asked("a"), *others])
    await journal.write([done("a")])

    assert store.questions() == [each.key for each in others]


async def test_a_question_may_be_asked_again_when_it_was_closed(store: Store) -> None:
    """Another attempt of its task is another question; the old answer is not taken for the new one's."""
    journal = await store.coordinator()
    await journal.write([begun(), asked()])
    store.answer(asked().key, 1)
    await journal.beat()
    await journal.write([done(), asked()])

    assert store.questions() == [asked().key]
    assert await journal.beat() == []
    store.answer(asked().key, 2)
    assert await journal.beat() == [AnswerMail(asked().key, 2)]


async def test_the_end_of_a_chunk_closes_the_questions_of_items_whose_answers_were_told(store: Store) -> None:
    """Which item it was of is not known; an answer that nobody has heard yet is never lost for it."""
    journal, heir = await store.coordinator(), await store.coordinator()
    await journal.write([begun(), *(asked(index=index) for index in range(3))])
    store.answer(("r1", "a", 0), "told")
    await journal.beat()
    store.answer(("r1", "a", 1), "not yet")
    await journal.write([done()])
    await store.kill(journal)
    await heir.claim("r1")

    assert await heir.beat() == [AnswerMail(("r1", "a", 1), "not yet")]
    assert store.questions() == [("r1", "a", 2)]


async def test_a_task_that_has_ended_asks_nothing_more(store: Store) -> None:
    """All questions of its items are closed with it."""
    journal = await store.coordinator()
    await journal.write([begun(), *(asked(index=index) for index in range(3)), asked("b", 0)])
    await journal.write([fact(TransitionsEvaluated(A, ()))])

    assert store.questions() == [("r1", "b", 0)]


async def test_the_end_of_a_run_closes_its_questions(store: Store) -> None:
    """Those of its children too."""
    journal = await store.coordinator()
    await journal.write([begun("r1"), begun("r2"), asked(), asked("b", 1, "r1/child"), asked(run_id="r2")])
    await journal.write([ended("r1")])

    assert store.questions() == [("r2", "a", None)]
