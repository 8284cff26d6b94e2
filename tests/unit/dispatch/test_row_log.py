"""The log of a chunk's rows: what a dead worker has left of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.dispatch.worker import row_log as logs
from attune_ray.dispatch.worker.row_log import RowLog, saved_rows
from attune_ray.dispatch.worker.row_records import FailedRow


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs of these tests alone."""
    found = tmp_path_factory.mktemp("logs", numbered=True)
    monkeypatch.setattr(logs, "logs_folder", lambda: found)
    return found


@given(rows=st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=3000)), max_size=60), cut=st.integers(0))
def test_every_row_that_was_written_whole_is_read(rows: list[tuple[bool, bytes]], cut: int) -> None:
    """Wherever the worker was when it was killed; in the order in which the items ended."""
    log = RowLog(logs.logs_folder() / "one")
    for row, (well, data) in enumerate(rows):
        if well:
            log.succeeded(row, data, row)
        else:
            log.failed(row, FailedRow(None, data, data.hex(), row % 2 == 0, 1.5, ("s",)), row)
    used = log._end  # noqa: SLF001
    path = logs.logs_folder() / "copy"
    kept = 8 + cut % (used - 7)
    content = (logs.logs_folder() / "one").read_bytes()
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    log.close()

    saved = saved_rows("copy", range(100, 100 + len(rows)), attempt=2)

    assert saved is not None
    n_rows = len(saved.rows.status)
    assert n_rows == len(rows) or kept < used
    assert list(saved.rows.index) == list(range(100, 100 + n_rows))
    assert saved.rows.data == [data if well else None for well, data in rows[:n_rows]]
    assert saved.rows.error == [None if well else data.hex() for well, data in rows[:n_rows]]
    assert saved.retryable == tuple(100 + row for row in range(n_rows) if not rows[row][0] and row % 2 == 0)
    assert not path.exists()


def test_rows_may_end_in_any_order(folder: Path) -> None:
    """Their indexes say which they are; how many were begun is told by the worker."""
    log = RowLog(folder / "one")
    log.begun(3)
    log.succeeded(2, b"2", 7)
    log.succeeded(0, b"0", 8)

    saved = saved_rows("one", (5, 6, 9, 11), attempt=1)

    assert saved is not None
    assert (saved.rows.index, saved.rows.duration_us, saved.n_begun) == ((9, 5), [7, 8], 3)


def test_items_in_turn_are_begun_when_the_one_before_has_ended(folder: Path) -> None:
    """Nothing has to be written when one begins."""
    log = RowLog(folder / "one")
    log.in_turn()
    log.succeeded(0, b"0", 1)

    saved = saved_rows("one", range(9), attempt=1)

    assert saved is not None
    assert (saved.n_begun, saved.rows.index) == (2, range(1))


def test_a_worker_that_has_told_what_it_dies_of_blames_no_other_item(folder: Path) -> None:
    """Neither those that were under way, nor the one whose turn it was."""
    log = RowLog(folder / "one")
    log.in_turn()
    log.failed(0, FailedRow(None, b"0", "overran", may_retry=False, retry_after_s=None, secrets=()), 1)
    log.accounted()

    saved = saved_rows("one", range(9), attempt=1)

    assert saved is not None
    assert (saved.blameless, saved.n_begun, saved.rows.index) == (True, None, range(1))


def test_a_log_without_room_says_that_it_does_not_know(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is missing; none is taken for the one that was running."""
    monkeypatch.setattr(logs, "_MOST_BYTES", 128 * 1024)
    log = RowLog(folder / "one")
    log.in_turn()
    log.succeeded(0, b"x", 1)
    log.succeeded(1, b"x" * 200_000, 1)
    log.succeeded(2, b"x", 1)
    log.begun(3)

    saved = saved_rows("one", range(9), attempt=1)

    assert saved is not None
    assert (saved.rows.index, saved.n_begun) == ((0, 2), None)


def test_a_chunk_that_ended_leaves_nothing(folder: Path) -> None:
    """Its rows are told of otherwise."""
    with logs.row_log("one") as log:
        assert log is not None
        log.succeeded(0, b"x", 1)

    assert (saved_rows("one", range(1), attempt=1), list(folder.iterdir())) == (None, [])


def test_a_worker_that_cannot_write_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before there was a log: what its chunk had done is lost with it."""
    monkeypatch.setattr(logs, "logs_folder", lambda: Path("/nowhere/at/all"))

    with logs.row_log("one") as log:
        assert log is None
