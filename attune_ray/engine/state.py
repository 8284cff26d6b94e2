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

**Arrivals.** When a task run ends, each ``do`` of a fired transition is an *arrival* at a target. A target gathers
arrivals in *rounds*, and starts in a round when it has the arrivals it needs (one, or ``join`` many from distinct
tasks), at most once. So the first arrival wins and later ones change nothing, a join fires once a round, and a loop
turns, with all that hangs on it, as often as its conditions let it. A round is an *entry* and a *turn*:

* An arrival from the target's own cycle keeps its entry, and its turn is the one after the latest turn of the target
  from which it *descends*; or the one after that of an earlier arrival of its task from which it descends. A turn
  that is not above the target's latest of the same entry is over.
* An arrival from anywhere else is of turn 0 in an entry of its own. Entries are counted per target: the task runs
  that hang on one cycle hand on its turn (their *generation*), and the first generation that arrives is the first
  entry, whatever its number. So what one loop brings after three turns and another after five, meets at a join.

An arrival *lasts*: it counts in every round that is brought by a cycle behind which its own task is not. So a join of
a loop and of a task that runs but once starts in every round of the loop.

**Requests.** Somebody may ask the run to pause, to resume, or to be cancelled, at any moment, before its begin too:

=========== ======== =========================================== ===========================================
request     status   what starts                                 what runs
=========== ======== =========================================== ===========================================
pause       PAUSED   nothing                                     ends, is recorded, publishes
resume      RUNNING  what was held, in its order                 goes on
cancel      CANCEL-  nothing, ever again; what was held,         work: ends, unless ``running``; waiting: is
            LING     delayed or due again is cut                 cut; child runs: are asked the same themselves
=========== ======== =========================================== ===========================================

What a pause keeps back stands in the state: a task run's first order, or that after its delay, in its ``held``; chunks
among the ``ready`` ones of their fan-out, whose lanes stay free. Timers run on, and make ready what they make ready.
So a run that is resumed goes on as one whose answers came late. A task run that a cancellation has *cut* ends at once,
as CANCELLED, and its transitions are not evaluated; what was not started of it has neither succeeded nor failed.

**Invariants** (``RunState.validate``)

* items of a fan-out are each in exactly one place: not handed out, in flight, waiting, or counted as ended;
* the widths of the chunks in flight never sum to more than ``concurrency``, and each lane is either free or in flight;
* a task run that is live waits for a fact, or for the end of a pause: unless the run is paused, no order is held, and
  no lane is free while there is something to send, unless a ``rate_limit`` waits for its tick (``pace.py``);
* a live run is in ``live``, an ended one is not; a finished run has none, so a run that holds an order is not finished.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attune_ray.actions import Nature
from attune_ray.engine.commands import PrepareTask, StartTimer
from attune_ray.engine.events import (
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Event,
    Outcome,
    PauseRequested,
    Request,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
)
from attune_ray.engine.pace import Pace
from attune_ray.engine.status import Phase, RunStatus, TaskStatus
from attune_ray.errors import EngineError
from attune_ray.plan import Chunk, ChunkId, Plan, PlanTask, Shape
from attune_ray.plan.chunks import widths

__all__ = ["DUE", "FanOut", "Round", "RunState", "TaskRun", "TaskState"]

DUE: dict[Phase, tuple[type[Event], ...]] = {
    Phase.DELAYED: (TimerFired,),
    Phase.PREPARING: (TaskPrepared, TaskSkipped, TaskNotPrepared),
    Phase.RUNNING: (ChunkDone, ChunkLost, TimerFired),
    Phase.ENDING: (TransitionsEvaluated,),
    Phase.ENDED: (),
}
_STORY_LENGTH = 64
_ENDED = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}


@dataclass(slots=True)
class FanOut:
    """The items of one task run: who has them, and how many have ended.

    Memory is O(chunks in flight + items waiting for another attempt), whatever the number of items.
    """

    n_items: int
    shape: Shape
    nature: Nature = "work"
    pace: Pace | None = None
    """What its ``rate_limit`` lets start; None: it has none."""
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


class Round(NamedTuple):
    """Where a start of a task stands among its starts; see *Arrivals* above."""

    entry: int
    turn: int


@dataclass(slots=True)
class TaskRun:
    """One run of a task.

    Attributes:
        round, generation: see *Arrivals* above.
        descent: tasks of its own cycle from which it descends, and the latest turn of each.
        outcome: how it has ended, from its phase ENDING on.
        held: the order that a pause keeps back.
    """

    id: TaskRunId
    phase: Phase
    round: Round
    generation: Round
    descent: Mapping[str, int]
    fan_out: FanOut | None = None
    outcome: Outcome | None = None
    held: StartTimer | PrepareTask | None = None


@dataclass(slots=True)
class TaskState:
    """What a run knows of one task.

    Attributes:
        n_runs: how often it has started.
        latest: entry → the latest turn in which it has started.
        arrivals: round that is open → the task runs that have arrived in it, by their tasks.
        arrived: inbound tasks that have arrived in any round.
        entries: the cycles that an inbound task is behind → generation → entry.
        turns: entry and task of its cycle → turns of this task's latest arrival: of its run, and of the round.
        missing: tasks whose data it still waits for.
    """

    status: TaskStatus = TaskStatus.NOT_RUN
    n_runs: int = 0
    latest: dict[int, int] = field(default_factory=dict)
    arrivals: dict[Round, dict[str, TaskRun]] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    entries: dict[frozenset[str], dict[Round, int]] = field(default_factory=dict)
    turns: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RunState:
    """Everything the engine knows of a run; only ``step`` changes it.

    Attributes:
        has_begun: RunStarted was told.
        unhandled: tasks whose latest run failed and started nothing.
        limit_hit: the run reached its number of task runs; nothing more starts.
        cancelling, stopping: the run is to end; ``stopping``: so is what runs now.
    """

    plan: Plan
    max_task_runs: int = 10_000
    max_crashes: int = 3
    status: RunStatus = RunStatus.RUNNING
    has_begun: bool = False
    tasks: dict[str, TaskState] = field(init=False)
    live: dict[TaskRunId, TaskRun] = field(default_factory=dict)
    unhandled: set[str] = field(default_factory=set)
    n_task_runs: int = 0
    limit_hit: bool = False
    stopping: bool = False
    story: deque[Event] = field(default_factory=lambda: deque(maxlen=_STORY_LENGTH))

    def __post_init__(self) -> None:
        """No task has run."""
        self.tasks = {name: TaskState(missing=set(task.waits_for)) for name, task in self.plan.tasks.items()}

    def plan_of(self, run: TaskRunId) -> PlanTask:
        """The plan's part for a task run."""
        return self.plan.tasks[run.task]

    @property
    def paused(self) -> bool:
        """Whether nothing may start for now."""
        return self.status is RunStatus.PAUSED

    @property
    def cancelling(self) -> bool:
        """Whether nothing may start any more, since somebody wants so."""
        return self.status in {RunStatus.CANCELLING, RunStatus.CANCELLED}

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.status in _ENDED

    @property
    def request(self) -> Request | None:
        """What somebody has asked for and is still to be done: what a child run that starts now is to be told."""
        if self.paused:
            return PauseRequested()
        return CancelRequested(self.stopping) if self.cancelling else None

    def validate(self) -> None:
        """Check the invariants; for tests.

        Raises:
            EngineError: one of them is broken.
        """
        for name, run in self.live.items():
            _check(name == run.id and run.phase is not Phase.ENDED, run, "is live and has ended")
            _check((run.phase is Phase.ENDING) == (run.outcome is not None), run, "has an outcome before its end")
            _check(run.held is None or self.paused, run, "is held by no pause")
            if run.fan_out is not None:
                _validate_fan_out(run, run.fan_out)
                _check(self.paused or not _is_idle(run.fan_out), run, "is idle")
                _check(run.phase is Phase.ENDING or not run.fan_out.is_over, run, "runs without items")
        if self.has_ended and self.live:
            raise EngineError(f"the run is {self.status.value} with live task runs: {list(self.live)}")


def _validate_fan_out(run: TaskRun, fan_out: FanOut) -> None:
    held = [*fan_out.in_flight.values(), *fan_out.ready, *fan_out.waiting.values()]
    n_held = sum(len(chunk.items) for chunk in held)
    n_ended = fan_out.n_succeeded + fan_out.n_failed + fan_out.n_left_out
    not_handed_out = 0 if fan_out.stopped else fan_out.n_items - fan_out.next_index
    _check(n_held + n_ended + not_handed_out == fan_out.n_items, run, "has lost or doubled items")
    indexes = [index for chunk in held for index in chunk.items]
    _check(len(indexes) == len(set(indexes)), run, "holds an item twice")
    lanes = sorted(fan_out.free_widths + [chunk.width for chunk in fan_out.in_flight.values()])
    _check(lanes == sorted(widths(fan_out.shape)), run, "has lost or doubled lanes")
    if fan_out.shape.width is not None:
        width = sum(chunk.width for chunk in fan_out.in_flight.values())
        _check(width <= fan_out.shape.width, run, f"runs {width} items at once of {fan_out.shape.width}")


def _is_idle(fan_out: FanOut) -> bool:
    has_more = bool(fan_out.ready) or (fan_out.next_index < fan_out.n_items and not fan_out.stopped)
    waits_for_tick = fan_out.pace is not None and fan_out.pace.is_spent and fan_out.pace.is_ticking
    return has_more and bool(fan_out.free_widths) and not waits_for_tick


def _check(holds: bool, run: TaskRun, story: str) -> None:  # noqa: FBT001  an assertion reads condition first
    if not holds:
        raise EngineError(f"{run.id} {story}: {run}")
