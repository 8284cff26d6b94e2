"""Databases that are full, locked, damaged, gone, or of another version: each is told once, with what to do."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres import Postgres
from records_made import asked, begun, done, ended, fact

import attune_ray.store.migrations
from attune_ray.engine import PauseRequested
from attune_ray.errors import StateError, UsageError
from attune_ray.records import AnswerMail, RequestMail
from attune_ray.store import database
from attune_ray.store.archive import Archive
from attune_ray.store.database import database_of
from attune_ray.store.schema import VERSIONS, metadata
from attune_ray.store.sql_journal import SqlJournal

SECRET = "hunter22-correct-horse"  # noqa: S105 - what must not be found


@contextmanager
def raw(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file itself, behind everybody's back."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as connection:
        yield connection


def contents_of(folder: Path) -> dict[str, bytes]:
    """Its files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def kept(url: str, folder: Path) -> None:
    """A run with two facts and a question, left by its coordinator."""
    journal = SqlJournal(url, folder=folder)
    await journal.write([begun(), fact(), done(), asked()])
    await journal.close()


async def test_no_byte_of_a_secret_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the database nor in the files beside it; sealed bodies need their key."""
    monkeypatch.delenv("ATTUNE_STATE_KEY", raising=False)
    journal = SqlJournal(str(tmp_path))
    await journal.write([begun(given={"p": SECRET}, launch={"p": SECRET}, is_secret=True)])
    await journal.write([done(holding={"p": SECRET}, is_secret=True), begun("r2")])
    await journal.write([asked("b", run_id="r2", response_schema={"p": {"type": "string", "secret": True}})])
    Archive(str(tmp_path)).answer(("r2", "b", None), {"p": SECRET})
    await journal.beat()
    await journal.write([ended(result={"p": SECRET}, shown={"p": "***"}, is_secret=True)])
    contents = contents_of(tmp_path)
    assert contents.keys() == {"key", "state.db", "state.db-wal", "state.db-shm"}
    assert [name for name, content in contents.items() if SECRET.encode() in content] == []
    await journal.close()

    (tmp_path / "key").unlink()
    with pytest.raises(StateError, match=r"run r1: .* its key is missing"):
        Archive(str(tmp_path)).history("r1")


async def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Those that SQLite puts beside them too."""
    journal = SqlJournal(str(tmp_path / "a/state"))
    await journal.write([begun()])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
    await journal.close()

    assert modes.pop("state") == 0o700
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_a_write_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    """SQLite is told so for each connection."""
    database = database_of(str(tmp_path)).open()
    with database.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]

    assert pragmas == ["wal", 2]


async def test_a_damaged_fact_is_told_and_the_run_is_left_as_it_is(tmp_path: Path) -> None:
    """Whoever claims it does not keep it."""
    await kept(str(tmp_path), tmp_path)
    with raw(tmp_path) as connection:
        connection.execute("UPDATE facts SET body = x'7b22' WHERE seq = 1")
    journal = SqlJournal(str(tmp_path))
    with pytest.raises(StateError, match="run r1: what is kept of it is damaged"):
        await journal.claim("r1")
    await journal.close()

    with raw(tmp_path) as connection:
        assert connection.execute("SELECT coordinator FROM runs").fetchall() == [(None,)]


async def test_a_missing_fact_is_told(tmp_path: Path) -> None:
    """A history with a hole is none."""
    await kept(str(tmp_path), tmp_path)
    with raw(tmp_path) as connection:
        connection.execute("DELETE FROM facts WHERE seq = 0")
    with pytest.raises(StateError, match="run r1: 2 facts were kept of it, and 1 are there"):
        Archive(str(tmp_path)).history("r1")


async def test_a_locked_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; and is written to when it is free again."""
    monkeypatch.setattr(database, "_LOCK_WAIT_S", 0.05)
    await kept(str(tmp_path), tmp_path)
    journal = SqlJournal(str(tmp_path))
    with raw(tmp_path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="another process has had it locked for too long"):
            await journal.claim("r1")
        connection.execute("ROLLBACK")

    assert len((await journal.claim("r1")).facts) == 2
    await journal.close()


async def test_a_full_disk_is_told_and_what_was_kept_is_there(small_disk: Path) -> None:
    """A write is kept whole or not at all; the run goes on when there is room again."""
    journal = SqlJournal(str(small_disk))
    await journal.write([begun()])
    with pytest.raises(StateError, match="the disk is full: make room"):
        await journal.write([fact(), fact(holding={"x": "y" * 1_000_000})])
    assert (await journal.read("r1")).facts == ()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)  # noqa: S607, ASYNC221
    await journal.write([fact()])
    assert len((await journal.read("r1")).facts) == 1
    await journal.close()


def test_a_read_only_disk_is_told(read_only_disk: Path) -> None:
    """As such."""
    with pytest.raises(StateError, match="it must not be written to"):
        Archive(str(read_only_disk / "state")).database.open()


@pytest.mark.parametrize("content", ["a text", "SQLite format 3\x00 but for the rest"])
async def test_a_file_of_something_else_is_told(tmp_path: Path, content: str) -> None:
    """It is not touched."""
    (tmp_path / "state.db").write_text(content * 1_000)
    journal = SqlJournal(str(tmp_path))
    with pytest.raises(StateError, match="the file is damaged or is something else"):
        await journal.write([begun()])
    await journal.close()

    assert (tmp_path / "state.db").read_text() == content * 1_000


async def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "state").write_text("in the way")
    journal = SqlJournal(str(tmp_path / "state"))
    with pytest.raises(StateError, match=f"the state in {tmp_path}/state cannot be used"):
        await journal.write([begun()])
    await journal.close()


async def test_a_database_from_the_future_is_told(tmp_path: Path) -> None:
    """And nothing of it is changed."""
    await kept(str(tmp_path), tmp_path)
    with raw(tmp_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StateError, match=r"made by a newer version of attune_ray .its tables are 0999"):
        Archive(str(tmp_path)).runs()


async def test_a_database_of_this_version_is_opened_without_alembic(tmp_path: Path) -> None:
    """It takes long to import; so does what seals, and neither is needed for a run without secrets."""
    await kept(str(tmp_path), tmp_path)
    code = (
        f"import sys; from attune_ray.store.archive import Archive; print(len(Archive({str(tmp_path)!r}).runs()), "
        "{'alembic', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: ASYNC221

    assert done.stdout == "1 set()\n"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_migrations_make_the_tables_that_the_code_means(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Column by column, with every index; and their files are numbered as the code says."""
    url = str(tmp_path) if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with database_of(url).open().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    script = ScriptDirectory(str(Path(attune_ray.store.migrations.__file__).parent))

    assert tuple(each.revision for each in script.walk_revisions())[::-1] == VERSIONS


async def test_two_that_open_a_new_database_at_once_make_it_once(postgres_url: str, tmp_path: Path) -> None:
    """One waits for the other."""
    code = "import sys; from attune_ray.store.archive import Archive; print(len(Archive(sys.argv[1]).runs()))"
    for url in (postgres_url, str(tmp_path)):
        (tmp_path / "state.db").touch()
        opening = [
            subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
            for _ in range(4)
        ]
        assert [each.communicate()[0] for each in opening] == ["0\n"] * 4


async def test_a_server_that_goes_away_and_comes_back_is_used_again(postgres: Postgres, postgres_url: str) -> None:
    """What was written meanwhile was refused; nothing that was kept is lost."""
    journal = SqlJournal(postgres_url)
    await journal.write([begun(), fact()])
    postgres.stop()
    try:
        for sign in ("has gone away", "cannot be reached"):
            with pytest.raises(StateError, match=f"its server {sign}"):
                await journal.write([fact()])
    finally:
        postgres.start()
    await journal.write([fact()])

    assert len((await journal.read("r1")).facts) == 2
    await journal.close()


async def test_a_password_is_not_shown(postgres: Postgres) -> None:
    """Neither where the server is not, nor where it refuses, nor where the address is none."""
    nowhere = f"postgresql://me:{SECRET}@/db?host=/nowhere"
    refused = f"postgresql://nobody_here:{SECRET}@/postgres?host={postgres.folder}&password={SECRET}"
    for url in (nowhere, refused):
        journal = SqlJournal(url)
        with pytest.raises(StateError, match=r"the state in postgresql.* cannot be used: its server") as caught:
            await journal.write([begun()])
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
        await journal.close()
    for wrong in (f"mysql://me:{SECRET}@host/db", f"://me:{SECRET}@host"):
        with pytest.raises(UsageError) as usage:
            SqlJournal(wrong)
        assert SECRET not in str(usage.value)


async def test_texts_that_a_column_cannot_hold_are_kept_as_their_escapes(postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL has no zero bytes in texts, UTF-8 no half characters."""
    for url in (postgres_url, str(tmp_path)):
        journal = SqlJournal(url)
        await journal.write([begun(title="a\0b", source="caf\udce9.yaml"), asked(prompt="a\0b")])
        found = (await journal.read("r1")).begun
        assert (found.title, found.source) == ("a\\x00b", "caf\\udce9.yaml")
        assert [each.prompt for each in Archive(url).questions()] == ["a\0b"]
        await journal.close()


async def test_an_answer_that_cannot_be_read_holds_no_request_back(tmp_path: Path) -> None:
    """The request comes first; the answer is told of then, and comes when its key is there again."""
    journal = SqlJournal(str(tmp_path))
    archive = Archive(str(tmp_path))
    await journal.write([begun(), asked(response_schema={"p": {"type": "string", "secret": True}})])
    archive.answer(asked().key, {"p": SECRET})
    archive.request("r1", PauseRequested())
    (tmp_path / "key").rename(tmp_path / "away")
    assert await journal.beat() == [RequestMail("r1", PauseRequested())]
    with pytest.raises(StateError, match="its key is missing"):
        await journal.beat()
    (tmp_path / "away").rename(tmp_path / "key")
    assert await journal.beat() == [AnswerMail(asked().key, {"p": SECRET})]
    await journal.close()


async def test_a_beat_writes_only_when_there_is_a_need(tmp_path: Path) -> None:
    """The disk is spared: many beats a second are looks for mail, and a fifth of the silence is soon enough."""
    n_beats = []
    for silence_s in (600.0, 0.0):
        journal = SqlJournal(str(tmp_path), silence_s=silence_s)
        await journal.write([begun(f"r{silence_s}")])
        for _ in range(4):
            await journal.beat()
        with raw(tmp_path) as connection:
            n_beats += connection.execute("SELECT beat FROM coordinators").fetchall()
        await journal.close()

    assert n_beats == [(0,), (4,)]


async def test_errors_show_no_values(tmp_path: Path) -> None:
    """A statement that fails is told without what it was to keep."""
    await kept(str(tmp_path), tmp_path)
    journal = SqlJournal(str(tmp_path))
    await journal.claim("r1")
    with raw(tmp_path) as connection:
        connection.execute("DROP TABLE facts")
    with pytest.raises(StateError) as caught:
        await journal.write([fact(holding={"p": SECRET})])
    await journal.close()

    assert SECRET not in f"{caught.value} {caught.value.__cause__}"
    assert isinstance(caught.value.__cause__, sa.exc.SQLAlchemyError)
