"""Orders that the engine gives to the shell; each is answered by one event, except where it says otherwise."""

from dataclasses import dataclass

from attune_ray.engine.events import Outcome, TaskRunId
from attune_ray.engine.status import RunStatus
from attune_ray.plan import Chunk, ChunkId

__all__ = [
    "CancelChunk",
    "Command",
    "CutTask",
    "EvaluateTransitions",
    "FailChunk",
    "FinishRun",
    "PrepareTask",
    "StartTimer",
    "SubmitChunk",
]


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Answer with TimerFired after ``delay_s`` seconds."""

    run: TaskRunId
    chunk: ChunkId | None
    delay_s: float


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """Look at ``when``, open the items, find out how wide: TaskPrepared, TaskSkipped or TaskNotPrepared."""

    run: TaskRunId


@dataclass(frozen=True, slots=True)
class SubmitChunk:
    """Run a chunk and store its results: ChunkDone or ChunkLost."""

    run: TaskRunId
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class FailChunk:
    """Store that the chunk's only item failed because workers died under it: ChunkDone."""

    run: TaskRunId
    chunk: Chunk
    reason: str


@dataclass(frozen=True, slots=True)
class CancelChunk:
    """Stop a chunk that runs; its ChunkDone or ChunkLost comes all the same."""

    run: TaskRunId
    chunk: ChunkId


@dataclass(frozen=True, slots=True)
class CutTask:
    """A cancellation has ended a task run: drop its timers and its preparation, keep what it has done. No answer."""

    run: TaskRunId


@dataclass(frozen=True, slots=True)
class EvaluateTransitions:
    """A task has ended: close its result, then answer with TransitionsEvaluated."""

    run: TaskRunId
    outcome: Outcome
    error: str | None


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Nothing can run any more: the run has ended like this, for this reason; the last command of a run."""

    status: RunStatus
    error: str | None


Command = StartTimer | PrepareTask | SubmitChunk | FailChunk | CancelChunk | CutTask | EvaluateTransitions | FinishRun
