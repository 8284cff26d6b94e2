"""What every store of results promises, wherever it keeps them."""

import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from s3 import S3, running_s3

from attune_ray.errors import ResultLostError, StateError
from attune_ray.ports import ResultStore
from attune_ray.store import FileResults, MemoryResults

NAME = "20261121-013054-9f3a1c/check/0-4999"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A service with a bucket."""
    with running_s3() as service:
        service.make_bucket("kept")
        yield service


@pytest.fixture(params=["memory", "folder", "url", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ResultStore:
    """Each store, empty; the one behind a URL is a filesystem of Arrow's that lives in memory."""
    match request.param:
        case "memory":
            return MemoryResults()
        case "folder":
            return FileResults(str(tmp_path / "results"))
        case "s3":
            return FileResults(request.getfixturevalue("s3").uri(f"kept/{secrets.token_hex(8)}"))
        case _:
            return FileResults(f"mock:///{secrets.token_hex(8)}")


def test_what_is_kept_is_read(store: ResultStore) -> None:
    """Bytes, or anything that is a buffer."""
    contents = [b"abc", bytearray(b"x" * 100_000), memoryview(b"view"), pa.py_buffer(b"arrow"), b""]
    for number, content in enumerate(contents):
        store.write(f"{NAME}-{number}", content)

    assert [bytes(store.read(f"{NAME}-{number}")) for number in range(5)] == [bytes(content) for content in contents]


def test_a_name_is_kept_once(store: ResultStore) -> None:
    """What is written later takes its place; who reads the old one may go on."""
    store.write(NAME, b"old")
    old = store.read(NAME)
    store.write(NAME, b"newer")

    assert bytes(store.read(NAME)) == b"newer"
    assert bytes(old) == b"old"


def test_what_nobody_kept_is_lost(store: ResultStore) -> None:
    """The error says which."""
    store.write(NAME, b"x")
    for name in ("nothing", f"{NAME}0", "20261121-013054-9f3a1c/check/1"):
        with pytest.raises(ResultLostError, match=name):
            store.read(name)


def test_a_folder_is_removed_with_all_in_it_and_nothing_else(store: ResultStore) -> None:
    """Names that begin alike are another folder's."""
    for name in ("r1/a/0", "r1/b[3]/c/0", "r11/a/0", "r2/a/0"):
        store.write(name, b"x")
    store.remove("r1")
    store.remove("r1")

    for name in ("r1/a/0", "r1/b[3]/c/0"):
        with pytest.raises(ResultLostError):
            store.read(name)
    assert [bytes(store.read(name)) for name in ("r11/a/0", "r2/a/0")] == [b"x", b"x"]


def test_names_may_hold_anything(store: ResultStore) -> None:
    """Whatever tasks are called; no two names are one."""
    names = ["r/ä b/0", "r/%C3%A4 b/0", "r/.hidden/0", "r/%2Ehidden/0", "r/a\\b/0", "r/a:b?*/0", "r/\n\x00/0", "r/~/0"]
    names += [f"r/{'x' * 300}{end}/0" for end in "ab"] + [f"r/{'ü' * 250}/0", "r/...", "r/a[1]#2/0"]
    for number, name in enumerate(names):
        store.write(name, str(number).encode())

    assert [bytes(store.read(name)) for name in names] == [str(number).encode() for number in range(len(names))]


@pytest.mark.parametrize("name", ["", "/", "/etc/passwd", "../x", "r/../../x", "r/./x", "r//x", "r/x/"])
def test_no_name_leads_elsewhere(store: ResultStore, name: str) -> None:
    """Absolute ones and those that climb are none."""
    for call in (lambda: store.write(name, b"x"), lambda: store.read(name), lambda: store.remove(name)):
        with pytest.raises(StateError, match="a name is made of parts"):
            call()


def test_a_store_travels(store: ResultStore) -> None:
    """Workers write, the coordinator reads."""
    store.write(NAME, b"here")
    travelled = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own

    assert bytes(travelled.read(NAME)) == b"here"
