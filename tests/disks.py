"""Disks that are full or cannot be written to, where the tests are root's and may mount some."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["disk", "read_only_disk", "small_disk"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    yield _mounted(tmp_path / "disk", "size=256k")
    _unmount(tmp_path / "disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    yield _mounted(tmp_path / "disk", "size=4m")
    _unmount(tmp_path / "disk")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is mounted read-only."""
    yield _mounted(tmp_path / "disk", "ro")
    _unmount(tmp_path / "disk")


def _mounted(folder: Path, options: str) -> Path:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount disks")
    return folder


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607
