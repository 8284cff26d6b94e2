"""Facts that reach the engine: one per chunk, never one per item; none carries a value of the workflow."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

from attune_ray.actions import Nature
from attune_ray.plan import ChunkId, Items, Shape

__all__ = [
    "CancelRequested",
    "ChunkDone",
    "ChunkLost",
    "Event",
    "Outcome",
    "PauseRequested",
    "Request",
    "ResumeRequested",
    "RunStarted",
    "TaskNotPrepared",
    "TaskPrepared",
    "TaskRunId",
    "TaskSkipped",
    "TimerFired",
    "TransitionsEvaluated",
]

Outcome = Literal["succeeded", "failed", "timed_out"]


class TaskRunId(NamedTuple):
    """One run of a task; a task on a cycle has several, numbered from 1."""

    task: str
    number: int

    def __str__(self) -> str:
        """``name`` for the first run, ``name#3`` for a later one."""
        return self.task if self.number == 1 else f"{self.task}#{self.number}"


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run begins."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A delay is over: the task's own (``chunk`` None), or that before another attempt of a chunk."""

    run: TaskRunId
    chunk: ChunkId | None


@dataclass(frozen=True, slots=True)
class TaskSkipped:
    """The task's ``when`` is false."""

    run: TaskRunId


@dataclass(frozen=True, slots=True)
class TaskNotPrepared:
    """The task cannot run: a template, an unknown action or a placement is wrong."""

    run: TaskRunId
    error: str


@dataclass(frozen=True, slots=True)
class TaskPrepared:
    """The task may run: ``n_items`` items (1 for a plain task), as wide as ``shape`` allows.

    Attributes:
        only: the items that are to run; all others have succeeded in an earlier run. None: all are.
    """

    run: TaskRunId
    n_items: int
    shape: Shape
    nature: Nature = "work"
    only: Items | None = None


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """A chunk has ended; its results are stored.

    Attributes:
        n_succeeded, n_failed: items; the chunk's items beyond their sum, its last ones, were not started: its time was
            up, or ``on_item_error: stop`` ended it. A child run that was cancelled is neither.
        retryable: indexes of the failed items that may be tried again.
        retry_after_s: the wait that an action asked for, or None.
        elapsed_s: seconds from the first item's start to the last one's end.
        timed_out: a plain task's attempt that ended as ``timeout`` (an unanswered question).
    """

    run: TaskRunId
    chunk: ChunkId
    _: KW_ONLY
    n_succeeded: int
    n_failed: int = 0
    retryable: tuple[int, ...] = ()
    retry_after_s: float | None = None
    elapsed_s: float = 0.0
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class ChunkLost:
    """The worker that ran a chunk died, or was killed; what some of its items had come to may be stored.

    Attributes:
        ended: items that had ended and are stored; ``n_succeeded``, ``n_failed``, ``retryable`` and ``retry_after_s``
            are of them, as of ChunkDone.
        running: items that were under way: one of them has killed the worker; None: not known.
        blameless: none of the others has: the worker has ended itself because of one that had ended, or the
            coordinator had died, and the chunk with it. What had not ended is sent again.
    """

    run: TaskRunId
    chunk: ChunkId
    reason: str
    ended: Items = ()
    running: Items | None = None
    n_succeeded: int = 0
    n_failed: int = 0
    retryable: tuple[int, ...] = ()
    retry_after_s: float | None = None
    blameless: bool = False


@dataclass(frozen=True, slots=True)
class TransitionsEvaluated:
    """Which transitions of an ended task fire, by their places in ``next``."""

    run: TaskRunId
    fired: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Somebody wants nothing new to start; what runs is finished."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Somebody wants a paused run to go on."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end; ``running``: also what runs now."""

    running: bool


Request = PauseRequested | ResumeRequested | CancelRequested
Event = (
    RunStarted
    | TimerFired
    | TaskSkipped
    | TaskNotPrepared
    | TaskPrepared
    | ChunkDone
    | ChunkLost
    | TransitionsEvaluated
    | Request
)
