"""Opening the database that runs are kept in, and bringing its tables to this version."""

import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from attune_ray.errors import StateError, UsageError
from attune_ray.store.faults import translated
from attune_ray.store.schema import VERSIONS
from attune_ray.store.sealing import Sealer

__all__ = ["Database", "database_of"]

_LOCK_WAIT_S: Final = 30
_CONNECT_WAIT_S: Final = 10
_UPGRADE_LOCK: Final = 0x61747475  # "attu": one number for all who bring a PostgreSQL database up to date


@dataclass(frozen=True, slots=True)
class Database:
    """Where runs are kept.

    Attributes:
        url: for the driver; holds the password.
        shown: its address, without a password.
        file: of SQLite; None: it is on a server.
    """

    url: URL = field(repr=False)
    shown: str
    file: Path | None
    sealer: Sealer

    def exists(self) -> bool:
        """Whether there is anything to be read; a server's is asked for when it is."""
        return self.file is None or self.file.exists()

    def open(self) -> Engine:
        """An engine over tables of this version; a connection of it lasts as long as it is used.

        Raises:
            StateError: it cannot be opened, or a newer version has made it.
            UsageError: the driver is missing.
        """
        with translated(self.shown):
            if self.file is not None:
                _make_file(self.file)
            engine = _engine(self.url)
            _check_version(engine, self.shown)
            return engine


def database_of(url: str, folder: Path = Path(".attune")) -> Database:
    """The database of a setting: a folder for SQLite, or the URL of one in PostgreSQL (its key is in ``folder``).

    Raises:
        UsageError: it is neither.
    """
    if "://" not in url:
        file = Path(url) / "state.db"
        return Database(URL.create("sqlite", database=str(file)), url, file, Sealer(Path(url)))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UsageError("the address of the state is no URL of a database") from None  # it may hold a password
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise UsageError(f"runs are kept in a folder or in postgresql://…, not in {parsed.drivername}://")
    shown = parsed.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
    parsed = parsed.set(drivername="postgresql+psycopg")
    return Database(parsed, shown.render_as_string(hide_password=True), None, Sealer(folder))


def _make_file(file: Path) -> None:
    """An empty file for its owner alone: SQLite gives those that it puts beside it the same mode."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


def _engine(url: URL) -> Engine:
    # Values stay out of errors: they may be secrets.
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": _LOCK_WAIT_S})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": _CONNECT_WAIT_S, "application_name": "attune_ray"},
        )
    except ModuleNotFoundError as error:
        raise UsageError("PostgreSQL needs its driver: pip install 'attune-ray[postgres]'") from error
    event.listen(engine, "connect", _set_up_postgres)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that writes takes its lock first: one that reads before it writes could not wait for it."""
    writes = not connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgres(connection: Any, _: Any) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET lock_timeout = '{_LOCK_WAIT_S}s'")
    connection.commit()


def _check_version(engine: Engine, shown: str) -> None:
    """Bring the tables to this version, if they are not."""
    with engine.connect().execution_options(reads=True) as connection, connection.begin():
        version = _version(connection)
    if version == VERSIONS[-1]:
        return
    with engine.begin() as connection:  # one process at a time: others find them made
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        version = _version(connection)
        if version is not None and version not in VERSIONS:
            raise StateError(
                f"the state in {shown} was made by a newer version of attune_ray (its tables are {version}, this one "
                f"knows {VERSIONS[-1]}): use that version, or another folder"
            )
        if version != VERSIONS[-1]:
            from attune_ray.store.migrations import upgrade  # noqa: PLC0415 - Alembic takes 0.1 s to import

            upgrade(connection)


def _version(connection: Connection) -> str | None:
    """What ``alembic_version`` says, read without Alembic."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
