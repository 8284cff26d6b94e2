"""The spool: rows of this process's own chunks, for whoever comes after it."""

from pathlib import Path

import pytest

from attune_ray.dispatch import spool as spools
from attune_ray.dispatch.spool import Spool
from attune_ray.dispatch.worker.row_records import FailedRow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of these tests alone."""
    monkeypatch.setattr(spools, "logs_folder", lambda: tmp_path)
    return tmp_path


def failed(error: str) -> FailedRow:
    """A row that may be tried again."""
    return FailedRow(None, b'"item"', error, may_retry=True, retry_after_s=2.0, secrets=("s",))


def test_a_successor_finds_the_rows_of_a_chunk() -> None:
    """Of that chunk alone, in the order in which they ended."""
    dead, heir = Spool(), Spool()
    one, other = dead.log("run/a/0-3.1"), dead.log("run/b/0-1.1")
    one.succeeded(2, b"22", 5)
    other.succeeded(0, b"99", 1)
    one.failed(0, failed("no"), 6)

    saved = heir.find("run/a/0-3.1", range(10, 13), attempt=2)

    assert saved is not None
    assert (saved.rows.index, saved.rows.data, saved.rows.error) == ((12, 10), [b"22", None], [None, "no"])
    assert (saved.retryable, saved.retry_after_s, saved.rows.item) == ((10,), 2.0, {1: b'"item"'})
    assert heir.find("run/a/3-6.2", range(3), attempt=1) is None


def test_its_own_rows_are_no_legacy() -> None:
    """Whoever lives knows what it has done."""
    spool = Spool()
    spool.log("run/a/0-1.1").succeeded(0, b"1", 1)

    assert spool.find("run/a/0-1.1", range(1), attempt=1) is None


def test_what_was_being_written_is_not_read(folder: Path) -> None:
    """A record that is cut off anywhere ends the file."""
    dead, heir = Spool(), Spool()
    log = dead.log("run/a/0-2.1")
    log.succeeded(0, b"whole", 1)
    (path,) = folder.iterdir()
    n_whole = path.stat().st_size
    log.succeeded(1, b"cut", 1)
    content = path.read_bytes()

    for length in range(n_whole, len(content)):
        path.write_bytes(content[:length])
        saved = heir.find("run/a/0-2.1", range(2), attempt=1)
        assert saved is not None
        assert saved.rows.data == [b"whole"]


def test_the_file_is_emptied_when_no_run_wants_it(folder: Path) -> None:
    """And goes when the process ends as it should; a run that has not ended keeps it."""
    spool = Spool()
    for run in ("one", "two"):
        spool.log(f"{run}/a/0-1.1").succeeded(0, b"1", 1)
    (path,) = folder.iterdir()
    spool.forget("one")
    assert path.stat().st_size > 0
    spool.forget("two")
    assert path.stat().st_size == 0
    spool.close()
    assert not path.exists()

    kept = Spool()
    kept.log("three/a/0-1.1").succeeded(0, b"1", 1)
    kept.close()
    assert Spool().find("three/a/0-1.1", range(1), attempt=1) is not None


def test_a_large_file_is_followed_by_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes when its runs have ended."""
    monkeypatch.setattr(spools, "_MOST_BYTES", 100)
    spool = Spool()
    for run in ("one", "two", "three"):
        spool.log(f"{run}/a/0-1.1").succeeded(0, b"x" * 200, 1)
    assert len(list(folder.iterdir())) == 3
    spool.forget("two")
    assert len(list(folder.iterdir())) == 2
    assert Spool().find("three/a/0-1.1", range(1), attempt=1) is not None
    spool.forget("one")
    spool.forget("three")
    spool.close()
    assert list(folder.iterdir()) == []


def test_a_machine_without_room_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not kept would be done again after a crash."""
    monkeypatch.setattr(spools, "logs_folder", lambda: Path("/nowhere/at/all"))
    spool = Spool()

    spool.log("run/a/0-1.1").succeeded(0, b"1", 1)

    assert spool.find("run/a/0-1.1", range(1), attempt=1) is None
