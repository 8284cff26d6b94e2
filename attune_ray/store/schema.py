"""The tables that runs are kept in, alike in SQLite and PostgreSQL.

What listings show stands in columns; what is large or may be secret stands in bodies (``codec.py``, ``sealing.py``),
behind all columns, so that a listing does not read it.

A change of these tables is a new file in ``migrations/versions`` and a new last one of ``VERSIONS``.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

__all__ = ["VERSIONS", "coordinators", "facts", "metadata", "questions", "requests", "runs"]

VERSIONS: Final = ("0001",)
"""Of the tables, oldest first; the last one is what this code reads and writes."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _column(name: str, kind: Any = String, *, null: bool = False) -> "Column[Any]":
    return Column(name, kind, nullable=null)


def _run_id(*, key: bool = False) -> "Column[str]":
    """A run that was asked for; what belongs to it goes with it."""
    return Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=key, nullable=False)


# Who writes: one row per coordinator that has begun or claimed a run. ``beat`` grows while it lives; ``at`` is when it
# last did, by its own clock. The process is known by machine (boot), namespace, number and the tick it started at.
coordinators = Table(
    "coordinators",
    metadata,
    Column("id", String, primary_key=True),
    _column("host"),
    _column("boot"),
    _column("namespace"),
    _column("pid", Integer),
    _column("start_ticks", BigInteger),
    _column("beat", BigInteger),
    _column("at"),
)

# ``coordinator`` names the one that may write; null: nobody has it. ``n_facts`` is also the number of the next fact.
runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    _column("title"),
    _column("source"),
    _column("status"),
    _column("rerun_of", null=True),
    _column("coordinator", null=True),
    _column("begun_at"),
    _column("ended_at", null=True),
    _column("n_facts", Integer),
    _column("begun_sealed", Boolean),
    _column("result_sealed", Boolean),
    _column("shown", null=True),
    _column("begun", LargeBinary),
    _column("result", LargeBinary, null=True),
)
Index(None, runs.c.begun_at, runs.c.id)
Index(None, runs.c.status, runs.c.begun_at, runs.c.id)
Index(None, runs.c.coordinator)

# ``run_id`` is the run that was asked for, ``of_run`` the one that the fact is of: itself, or a child.
facts = Table(
    "facts",
    metadata,
    _run_id(key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _column("of_run"),
    _column("at"),
    _column("kind"),
    _column("is_sealed", Boolean),
    _column("body", LargeBinary),
)

# The open ones: who closes one removes it. ``item`` is -1 for a plain task: null would differ from itself.
questions = Table(
    "questions",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    _column("of_run"),
    _column("task"),
    _column("item", Integer),
    _column("at"),
    _column("answered_at", null=True),
    _column("is_sealed", Boolean),
    _column("body", LargeBinary),
    _column("response", LargeBinary, null=True),
    UniqueConstraint("of_run", "task", "item"),
    sqlite_autoincrement=True,  # a coordinator remembers by number which answers it has heard
)
Index(None, questions.c.run_id)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    _column("at"),
    _column("kind"),
    _column("taken_at", null=True),
    _column("body", LargeBinary),
    sqlite_autoincrement=True,
)
Index(None, requests.c.run_id)
