"""The first tables."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    _runs()
    _facts()
    _questions()
    _requests()


def _runs() -> None:
    op.create_table(
        "coordinators",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("namespace", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("start_ticks", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_coordinators"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("rerun_of", sa.String),
        sa.Column("coordinator", sa.String),
        sa.Column("begun_at", sa.String, nullable=False),
        sa.Column("ended_at", sa.String),
        sa.Column("n_facts", sa.Integer, nullable=False),
        sa.Column("begun_sealed", sa.Boolean, nullable=False),
        sa.Column("result_sealed", sa.Boolean, nullable=False),
        sa.Column("shown", sa.String),
        sa.Column("begun", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_begun_at_id", "runs", ["begun_at", "id"])
    op.create_index("ix_runs_status_begun_at_id", "runs", ["status", "begun_at", "id"])
    op.create_index("ix_runs_coordinator", "runs", ["coordinator"])


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id", ondelete="CASCADE")


def _facts() -> None:
    op.create_table(
        "facts",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("of_run", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_facts"),
        _of_run("facts"),
    )


def _questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("of_run", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("item", sa.Integer, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("answered_at", sa.String),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_questions"),
        sa.UniqueConstraint("of_run", "task", "item", name="uq_questions_of_run_task_item"),
        _of_run("questions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_questions_run_id", "questions", ["run_id"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("taken_at", sa.String),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        _of_run("requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_run_id", "requests", ["run_id"])
