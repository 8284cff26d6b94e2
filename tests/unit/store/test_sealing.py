"""What is sealed can be read with its key alone, and whoever has not got it is told what to do."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from attune_ray.errors import StateError
from attune_ray.store.sealing import Sealer


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment has."""
    monkeypatch.delenv("ATTUNE_STATE_KEY", raising=False)


def test_what_is_sealed_shows_nothing_and_is_unsealed(tmp_path: Path) -> None:
    """By another process too: the key is in the folder, for its owner alone."""
    sealed = Sealer(tmp_path / "state").seal(b"hunter22")

    assert b"hunter22" not in sealed
    assert Sealer(tmp_path / "state").unseal(sealed) == b"hunter22"
    assert stat.S_IMODE((tmp_path / "state/key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["key"]


def test_the_key_of_the_environment_goes_before_that_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no file is made."""
    monkeypatch.setenv("ATTUNE_STATE_KEY", Fernet.generate_key().decode())
    sealed = Sealer(tmp_path).seal(b"hunter22")

    assert Sealer(tmp_path / "elsewhere").unseal(sealed) == b"hunter22"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    """No other one is made in its place."""
    sealed = Sealer(tmp_path).seal(b"hunter22")
    (tmp_path / "key").unlink()
    with pytest.raises(StateError, match=r"its key is missing: put it back into .*/key, or into .* ATTUNE_STATE_KEY"):
        Sealer(tmp_path).unseal(sealed)

    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where it is from."""
    sealed = Sealer(tmp_path).seal(b"hunter22")
    monkeypatch.setenv("ATTUNE_STATE_KEY", Fernet.generate_key().decode())
    with pytest.raises(StateError, match="with the key in ATTUNE_STATE_KEY: it was sealed with another one"):
        Sealer(tmp_path).unseal(sealed)


@pytest.mark.parametrize("key", ["short", "ä" * 44, "=" * 44])
def test_what_is_no_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Before anything is sealed with it; the error does not show it."""
    monkeypatch.setenv("ATTUNE_STATE_KEY", key)
    with pytest.raises(StateError, match="the key in ATTUNE_STATE_KEY is none") as caught:
        Sealer(tmp_path).seal(b"hunter22")

    assert key not in str(caught.value)


def test_a_folder_that_cannot_hold_a_key_is_told(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StateError, match="the key of runs with secrets cannot be read or made"):
        Sealer(tmp_path / "state").seal(b"x")
