"""Results in local folders: on the disk, mapped, for their owner alone; and what is told when they cannot be kept."""

import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from attune_ray.errors import StateError, UsageError
from attune_ray.store import FileResults


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask; and no draft is left."""
    FileResults(str(tmp_path / "a" / "results")).write("r1/check/0", b"x")
    found = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}

    assert found == {
        "a": 0o700,
        "a/results": 0o700,
        "a/results/r1": 0o700,
        "a/results/r1/check": 0o700,
        "a/results/r1/check/0": 0o600,
    }


def test_local_results_are_mapped(tmp_path: Path) -> None:
    """Reading a file allocates nothing for its content."""
    store = FileResults(str(tmp_path))
    store.write("r1/a/0", b"x" * 5_000_000)
    before = pa.total_allocated_bytes()
    found = store.read("r1/a/0")

    assert isinstance(found, pa.Buffer)
    assert found.size == 5_000_000
    assert pa.total_allocated_bytes() == before


def test_a_relative_folder_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have a current folder of their own."""
    monkeypatch.chdir(tmp_path)
    store = FileResults("results")
    monkeypatch.chdir("/")
    store.write("r1/a/0", b"x")

    assert (tmp_path / "results/r1/a/0").read_bytes() == b"x"
    assert FileResults(f"file://{tmp_path}/results") == store


def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk: Path) -> None:
    """Half a file is never there."""
    store = FileResults(str(small_disk))
    store.write("r1/a/0", b"whole")
    with pytest.raises(StateError, match=r"the results r1/a/0 cannot be kept in .*No space left on device"):
        store.write("r1/a/0", b"x" * 1_000_000)

    assert bytes(store.read("r1/a/0")) == b"whole"
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["0"]


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(StateError, match=r"cannot be kept in .*/results"):
        FileResults(str(tmp_path / "results")).write("r1/a/0", b"x")


def test_credentials_in_an_address_are_not_shown() -> None:
    """Neither by the store nor by its errors."""
    store = FileResults("nowhere://key:s3cr3t@bucket/folder")
    with pytest.raises(UsageError) as caught:
        store.write("r1/a/0", b"x")

    assert "s3cr3t" not in f"{caught.value!r}{store!r}"


def test_arrow_is_imported_when_results_are_read() -> None:
    """Neither the module nor a write to a folder needs it."""
    code = (
        "import sys, tempfile; from attune_ray.store import FileResults; "
        "FileResults(tempfile.mkdtemp()).write('a', b'x'); print('pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "False\n"
