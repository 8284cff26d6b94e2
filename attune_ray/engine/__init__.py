"""③ Event → Commands, pure."""

from attune_ray.engine.commands import (
    CancelChunk,
    Command,
    CutTask,
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
    PauseRequested,
    Request,
    ResumeRequested,
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
    "CutTask",
    "EvaluateTransitions",
    "Event",
    "FailChunk",
    "FinishRun",
    "Outcome",
    "PauseRequested",
    "PrepareTask",
    "Request",
    "ResumeRequested",
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
