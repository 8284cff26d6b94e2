"""What goes wrong with a database, told once, as what to do about it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from attune_ray.errors import StateError

__all__ = ["translated"]

# What SQLite, PostgreSQL and the kernel say, in the order in which it is looked for.
_ADVICE: Final = (
    (("is full", "no space left", "disk full"), "the disk is full: make room, then continue the run"),
    (
        ("database is locked", "lock timeout", "database table is locked"),
        "another process has had it locked for too long: end the one that does",
    ),
    (
        ("readonly", "read-only", "permission denied", "permission for"),
        "it must not be written to: check who may, and whether it is mounted read-only",
    ),
    (("password authentication", "does not exist"), "its server does not know this user or database"),
    (
        ("server closed", "terminating connection", "connection is lost", "connection already closed", "shutting down"),
        "its server has gone away: what was written before is safe; continue the run when it is back",
    ),
    (
        ("connection refused", "connection to server", "connection failed", "timeout expired", "failed to resolve"),
        "its server cannot be reached: check that it runs, and its address",
    ),
    (
        ("not a database", "malformed", "disk i/o error"),
        "the file is damaged or is something else: put a copy back, or name another folder",
    ),
    (("unable to open", "not a directory", "is a directory", "file exists"), "its folder or file cannot be used"),
)


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Errors of the database that is shown like this become StateError; its URL must hold no password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        said = _said(error)
        raise StateError(f"the state in {shown} cannot be used: {_advice(said)} ({said})") from error


def _said(error: Exception) -> str:
    """The first line of what the driver or the kernel says."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__


def _advice(said: str) -> str:
    lowered = said.lower()
    found = (advice for signs, advice in _ADVICE if any(sign in lowered for sign in signs))
    return next(found, "the database has refused a statement")
