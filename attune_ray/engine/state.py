"""The state of one run: what is known, and what may happen next.

Theory
======

A *run* executes a plan. It owns *task runs*: one per start of a task, numbered from 1 (a task on a cycle starts
more than once). A task run moves through phases, and only ``step`` moves it:

=========  ======================================================  ==========================
phase      what is going on                                        facts that are due
=========  ======================================================  ==========================
DELAYED    its ``delay`` passes                                    TimerFired
PREPARING  ``when`` and the items are looked at by the shell       TaskPrepared, TaskSkipped, TaskNotPrepared
RUNNING    chunks of its items run, or wait for another attempt    ChunkDone, ChunkLost, TimerFired
ENDING     its transitions are evaluated by the shell              TransitionsEvaluated
ENDED      nothing: any further report of it is late, and ignored  —
=========  ======================================================  ==========================

A plain task is a fan-out of one item, so retries, crashes and timeouts have one home.

**Arrivals.** When a task run ends, each ``do`` of a fired transition is an *arrival* at a target. A target starts
when it has the arrivals it needs (one, or ``join`` many from distinct tasks). Every task run belongs to a
*generation* and hands it on: entry tasks are of generation 0, and a run that comes round a cycle to a task from which
it descends (its *lineage*) arrives there in the next one. Per generation a task starts at most once; so a second
arrival changes nothing, a join fires once a round, and a loop turns, with all that hangs on it, as often as its
conditions let it. The arrival of a task that can run but once lasts: it counts for every later generation too.

**Invariants** (``RunState.validate``)

* items of a fan-out are each in exactly one place: not handed out, in flight, waiting, or counted as ended;
* the widths of the chunks in flight never sum to more than ``concurrency``;
* a live run is in ``live``, an ended one is not; a finished run has none.
"""

from collections import deque
from dataclasses import dataclass, field

from attune_ray.engine.events import (
    ChunkDone,
    ChunkLost,
    Event,
    Outcome,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
)
from attune_ray.engine.status import Phase, RunStatus, TaskStatus
from attune_ray.errors import EngineError
from attune_ray.plan import Chunk, ChunkId, Plan, PlanTask, Shape
from attune_ray.plan.chunks import widths

__all__ = ["DUE", "FanOut", "RunState", "TaskRun", "TaskState"]

DUE: dict[Phase, tuple[type[Event], ...]] = {
    Phase.DELAYED: (TimerFired,),
    Phase.PREPARING: (TaskPrepared, TaskSkipped, TaskNotPrepared),
    Phase.RUNNING: (ChunkDone, ChunkLost, TimerFired),
    Phase.ENDING: (TransitionsEvaluated,),
    Phase.ENDED: (),
}
_STORY_LENGTH = 64


@dataclass(slots=True)
class FanOut:
    """The items of one task run: who has them, and how many have ended.

    Memory is O(chunks in flight + items waiting for another attempt), whatever the number of items.
    """

    n_items: int
    shape: Shape
    free_widths: list[int] = field(init=False)
    next_index: int = 0
    in_flight: dict[ChunkId, Chunk] = field(default_factory=dict)
    ready: deque[Chunk] = field(default_factory=deque)
    """Chunks to be sent before new ones: split after a crash, or due for another attempt."""
    waiting: dict[ChunkId, Chunk] = field(default_factory=dict)
    """Chunks whose delay before another attempt passes."""
    n_chunks: int = 0
    n_succeeded: int = 0
    n_failed: int = 0
    n_left_out: int = 0
    """Items that ``on_item_error: stop`` or a cancellation kept from running."""
    timed_out: bool = False
    stopped: bool = False
    lane_s: float = 0.0
    """Seconds that lanes have worked on ``measured_items`` items."""
    measured_items: int = 0
    largest_chunk: int = 0

    def __post_init__(self) -> None:
        """All lanes are free, the widest to be taken first."""
        self.free_widths = sorted(widths(self.shape))

    @property
    def item_s(self) -> float | None:
        """Mean seconds of a lane per item so far."""
        return self.lane_s / self.measured_items if self.measured_items else None

    @property
    def is_over(self) -> bool:
        """Whether every item has ended or was left out."""
        return self.n_succeeded + self.n_failed + self.n_left_out == self.n_items


@dataclass(slots=True)
class TaskRun:
    """One run of a task.

    Attributes:
        generation, lineage: see *Arrivals* above; the lineage names tasks of the same cycle only.
    """

    id: TaskRunId
    phase: Phase
    generation: int
    lineage: frozenset[str]
    fan_out: FanOut | None = None
    outcome: Outcome | None = None
    error: str | None = None
    was_cancelled: bool = False


@dataclass(slots=True)
class TaskState:
    """What a run knows of one task.

    Attributes:
        n_runs: how often it has started; ``generation``: of its latest start, -1 before the first.
        arrivals: generation → inbound tasks that have arrived in it and have not started it yet, with their lineage.
        lasting: inbound tasks that run once at most and have arrived: they count for every generation.
        missing: tasks whose data it still waits for.
    """

    status: TaskStatus = TaskStatus.NOT_RUN
    n_runs: int = 0
    generation: int = -1
    arrivals: dict[int, dict[str, frozenset[str]]] = field(default_factory=dict)
    lasting: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RunState:
    """Everything the engine knows of a run; only ``step`` changes it.

    Attributes:
        unhandled: failed tasks whose end started nothing.
        limit_hit: the run reached its number of task runs; nothing more starts.
    """

    plan: Plan
    max_task_runs: int = 10_000
    max_crashes: int = 3
    status: RunStatus = RunStatus.RUNNING
    tasks: dict[str, TaskState] = field(init=False)
    live: dict[TaskRunId, TaskRun] = field(default_factory=dict)
    unhandled: set[str] = field(default_factory=set)
    n_task_runs: int = 0
    limit_hit: bool = False
    cancelling: bool = False
    story: deque[Event] = field(default_factory=lambda: deque(maxlen=_STORY_LENGTH))

    def __post_init__(self) -> None:
        """No task has run."""
        self.tasks = {name: TaskState(missing=set(task.waits_for)) for name, task in self.plan.tasks.items()}

    def plan_of(self, run: TaskRunId) -> PlanTask:
        """The plan's part for a task run."""
        return self.plan.tasks[run.task]

    def validate(self) -> None:
        """Check the invariants; for tests.

        Raises:
            EngineError: one of them is broken.
        """
        for run in self.live.values():
            _check(run.phase is not Phase.ENDED, run, "is live and has ended")
            if run.fan_out is not None:
                _validate_fan_out(run, run.fan_out)
        if self.status is not RunStatus.RUNNING and self.live:
            raise EngineError(f"the run is {self.status.value} with live task runs: {list(self.live)}")


def _validate_fan_out(run: TaskRun, fan_out: FanOut) -> None:
    held = [*fan_out.in_flight.values(), *fan_out.ready, *fan_out.waiting.values()]
    n_held = sum(len(chunk.items) for chunk in held)
    n_ended = fan_out.n_succeeded + fan_out.n_failed + fan_out.n_left_out
    not_handed_out = 0 if fan_out.stopped else fan_out.n_items - fan_out.next_index
    _check(n_held + n_ended + not_handed_out == fan_out.n_items, run, "has lost or doubled items")
    indexes = [index for chunk in held for index in chunk.items]
    _check(len(indexes) == len(set(indexes)), run, "holds an item twice")
    if fan_out.shape.width is not None:
        width = sum(chunk.width for chunk in fan_out.in_flight.values())
        _check(width <= fan_out.shape.width, run, f"runs {width} items at once of {fan_out.shape.width}")


def _check(holds: bool, run: TaskRun, story: str) -> None:  # noqa: FBT001  an assertion reads condition first
    if not holds:
        raise EngineError(f"{run.id} {story}: {run}")
