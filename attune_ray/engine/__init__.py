"""③ Event → Commands, pure."""

from attune_ray.engine.commands import (
    CancelChunk,
    Command,
    EvaluateTransitions,
    FailChunk,
    FinishRun,
    PrepareTask,
    StartTimer,
    SubmitChunk,
)
from attune_ray.engine.events import (
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Event,
    Outcome,
    RunStarted,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
)
from attune_ray.engine.state import RunState
from attune_ray.engine.status import RunStatus, TaskStatus
from attune_ray.engine.step import step

__all__ = [
    "CancelChunk",
    "CancelRequested",
    "ChunkDone",
    "ChunkLost",
    "Command",
    "EvaluateTransitions",
    "Event",
    "FailChunk",
    "FinishRun",
    "Outcome",
    "PrepareTask",
    "RunStarted",
    "RunState",
    "RunStatus",
    "StartTimer",
    "SubmitChunk",
    "TaskNotPrepared",
    "TaskPrepared",
    "TaskRunId",
    "TaskSkipped",
    "TaskStatus",
    "TimerFired",
    "TransitionsEvaluated",
    "step",
]
