"""The states of a run, of a task and of one run of a task."""

import enum

__all__ = ["Phase", "RunStatus", "TaskStatus"]


class RunStatus(enum.StrEnum):
    """How a run stands; each is equal to its own text."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskStatus(enum.StrEnum):
    """How a task's latest run ended, as people read it; NOT_RUN: none has started."""

    NOT_RUN = "not_run"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class Phase(enum.Enum):
    """Where one run of a task stands; the table of moves is in ``state.py``."""

    DELAYED = "delayed"
    PREPARING = "preparing"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
