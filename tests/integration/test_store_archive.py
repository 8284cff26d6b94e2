"""What other processes see of runs and ask of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from journals import SqlStore
from records_made import asked, begun, done, ended, fact
from sqlalchemy import Engine, event, insert

from attune_ray.engine import CancelRequested, PauseRequested, RunStatus
from attune_ray.errors import UsageError
from attune_ray.records import AnswerMail, History, RequestMail
from attune_ray.store.archive import Archive
from attune_ray.store.schema import runs

N_RUNS = 100_000


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty database."""
    is_file = request.param == "sqlite"
    made = SqlStore(str(tmp_path / "state") if is_file else request.getfixturevalue("postgres_url"), tmp_path)
    yield made
    await made.close()


def moment(number: int) -> str:
    """A later one for a larger number."""
    return (
        f"2026-11-{number // 86_400 + 1:02}T{number // 3_600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z"
    )


async def test_runs_are_listed_newest_first_by_pages(store: SqlStore) -> None:
    """Runs of one moment too: no run is left out between two pages, or listed twice."""
    journal = await store.coordinator()
    ids = [f"r{number}" for number in range(7)]
    await journal.write([begun(run_id, at=moment(number // 3)) for number, run_id in enumerate(ids)])
    listed: list[str] = []
    while page := store.archive.runs(limit=2, before=listed[-1] if listed else None):
        listed += [line.id for line in page]

    assert listed == ids[::-1]
    with pytest.raises(UsageError, match="there is no run nothing"):
        store.archive.runs(before="nothing")


async def test_a_line_tells_what_a_run_came_to(store: SqlStore) -> None:
    """And one that nobody has is interrupted."""
    journal = await store.coordinator()
    await journal.write([begun("r1", rerun_of="r0", title="Patch"), fact(run_id="r1"), fact(run_id="r1/child")])
    await journal.write([begun("r2"), ended("r2", status=RunStatus.FAILED), begun("r3"), fact(PauseRequested(), "r3")])
    assert [(line.id, line.status) for line in store.archive.runs()] == [
        ("r3", "paused"),
        ("r2", "failed"),
        ("r1", "running"),
    ]
    line = store.archive.run("r1")
    assert (line.title, line.n_facts, line.rerun_of, line.ended_at) == ("Patch", 2, "r0", None)
    await journal.close()

    assert [(line.id, line.status) for line in store.archive.runs(status=["interrupted"])] == [
        ("r3", "interrupted"),
        ("r1", "interrupted"),
    ]
    assert [line.id for line in store.archive.runs(status=["failed", "paused"])] == ["r2"]


async def test_a_history_is_read_by_anybody(store: SqlStore) -> None:
    """Without taking the run."""
    journal = await store.coordinator()
    secret = done(holding={"token": "hunter22"}, is_secret=True)
    await journal.write([begun(), secret])

    assert store.archive.history("r1") == History(begun(), (secret,))
    await journal.write([fact()])


async def test_requests_and_answers_reach_the_coordinator(store: SqlStore) -> None:
    """Each once; what nobody asks cannot be answered."""
    journal = await store.coordinator()
    question = asked("a", 2, "r1/child", response_schema={"pin": {"type": "string", "secret": True}})
    await journal.write([begun(), question])
    store.archive.request("r1", CancelRequested(running=True))
    assert store.archive.questions("r1") == [question]
    store.archive.answer(question.key, {"pin": "hunter22"})
    assert store.archive.questions() == []
    with pytest.raises(UsageError, match="asks nothing in task 'a'"):
        store.archive.answer(question.key, {"pin": "other"})

    assert await journal.beat() == [
        RequestMail("r1", CancelRequested(running=True)),
        AnswerMail(question.key, {"pin": "hunter22"}),
    ]


async def test_nothing_is_asked_of_a_run_that_is_not_there_or_has_ended(store: SqlStore) -> None:
    """The caller is told."""
    journal = await store.coordinator()
    await journal.write([begun(), ended()])
    with pytest.raises(UsageError, match="run r1 has ended"):
        store.archive.request("r1", PauseRequested())
    for call in (store.archive.history, store.archive.run, lambda run: store.archive.request(run, PauseRequested())):
        with pytest.raises(UsageError, match="there is no run r9"):
            call("r9")


async def test_runs_are_removed_with_all_that_is_theirs(store: SqlStore) -> None:
    """But for those that somebody has."""
    journal, other = await store.coordinator(), await store.coordinator()
    await journal.write([begun("r1"), fact(run_id="r1"), ended("r1", at=moment(5)), begun("r2"), asked(run_id="r2")])
    await other.write([begun("r3"), fact(run_id="r3")])
    await other.close()
    assert store.archive.ended_before(moment(5)) == []
    assert store.archive.ended_before(moment(6)) == ["r1"]

    assert sorted(store.archive.remove(["r1", "r2", "r3", "r4"])) == ["r1", "r3"]
    assert [line.id for line in store.archive.runs()] == ["r2"]
    assert len(store.archive.questions()) == 1


async def test_a_beginning_is_read_without_its_facts(store: SqlStore) -> None:
    """By whoever wants to know how a run was started; sealed ones too."""
    journal = await store.coordinator()
    first = begun("r1", rerun_of="r0", launch={"folder": "/tmp"}, given={"pin": "hunter22"}, is_secret=True)  # noqa: S108
    await journal.write([first, fact(run_id="r1")])

    assert store.archive.begun("r1") == first
    with pytest.raises(UsageError, match="there is no run r9"):
        store.archive.begun("r9")


async def test_what_a_staying_run_has_repeated_is_not_to_be_removed(store: SqlStore) -> None:
    """Nor what that one has repeated; when the last of them goes, all may."""
    journal = await store.coordinator()
    for number, (run_id, old) in enumerate([("a", None), ("b", "a"), ("c", "b"), ("alone", None)]):
        await journal.write([begun(run_id, rerun_of=old), ended(run_id, at=moment(number))])

    assert store.archive.ended_before(moment(2)) == []
    assert store.archive.ended_before(moment(3)) == ["a", "b", "c"]
    assert store.archive.ended_before(moment(4)) == ["a", "b", "c", "alone"]


def test_where_nothing_was_kept_nothing_is_made(tmp_path: Path) -> None:
    """Looking is free."""
    archive = Archive(str(tmp_path / "state"))

    assert list(archive.runs()) == []
    assert list(archive.questions()) == []
    assert list(archive.remove(["r1"])) == []
    with pytest.raises(UsageError, match="there is no run r1"):
        archive.history("r1")
    assert list(tmp_path.iterdir()) == []


async def test_many_runs_are_listed_by_an_index(store: SqlStore) -> None:
    """By whatever status, on whatever page; how long it takes is measured by a benchmark."""
    statuses = ["completed"] * 98 + ["failed", "running"]
    rows: list[dict[str, Any]] = [
        {
            "id": f"r{number:06}",
            "title": "t",
            "source": "t.yaml",
            "status": statuses[number % 100],
            "begun_at": moment(number),
            "ended_at": None if number % 100 == 99 else moment(number),
            "n_facts": 0,
            "begun_sealed": False,
            "result_sealed": False,
            "begun": b"x" * 500,
        }
        for number in range(N_RUNS)
    ]
    engine = store.archive.database.open()
    with engine.begin() as connection:
        connection.execute(insert(runs), rows)
    seen: list[tuple[str, Any]] = []

    def note(*told: Any) -> None:
        seen.append((told[2], told[3]))

    event.listen(Engine, "before_cursor_execute", note)
    for asked_for in ([], ["failed"], ["interrupted"], ["running"], ["cancelled"], ["completed", "failed"]):
        for before in (None, "r050000"):
            listed = store.archive.runs(status=asked_for, limit=100, before=before)
            assert len(listed) == (0 if asked_for in (["running"], ["cancelled"]) else 100)
    event.remove(Engine, "before_cursor_execute", note)
    if engine.dialect.name == "sqlite":  # PostgreSQL looks at what is in the tables before it takes an index
        with engine.connect() as connection:
            plans = [
                row.detail
                for statement, values in seen
                if "FROM runs" in statement
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
        assert len(plans) >= 12
        assert [plan for plan in plans if plan.startswith("SCAN runs") and "INDEX" not in plan] == []
