"""Brings a database to the version of ``schema.py``; imports Alembic, so it is imported only where there is a need."""

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """Apply what is missing of ``versions``, within the transaction that is open."""
    script = ScriptDirectory(str(Path(__file__).parent))

    def missing(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - as Alembic's documentation of `fn` has it

    with EnvironmentContext(Config(), script, fn=missing) as environment:
        environment.configure(connection=connection, transactional_ddl=False)
        environment.run_migrations()
