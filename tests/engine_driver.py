"""Drives the pure engine: plans from YAML, events in, orders out, invariants checked after every step."""

from dataclasses import dataclass, field

from attune_ray.engine import (
    ChunkDone,
    Command,
    EvaluateTransitions,
    Event,
    FinishRun,
    PrepareTask,
    RunStarted,
    RunState,
    RunStatus,
    StartTimer,
    SubmitChunk,
    TaskPrepared,
    TaskRunId,
    TimerFired,
    TransitionsEvaluated,
    step,
)
from attune_ray.model import parse_workflow
from attune_ray.plan import Chunk, Shape, build

__all__ = ["Driver"]


@dataclass
class Driver:
    """One run of the engine; ``open`` are the orders that have not been answered."""

    yaml: str
    max_task_runs: int = 10_000
    max_crashes: int = 3
    open: list[Command] = field(default_factory=list)
    finished: FinishRun | None = None
    submitted: list[Chunk] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the run."""
        self.state = RunState(build(parse_workflow(self.yaml)), self.max_task_runs, self.max_crashes)
        self.tell(RunStarted())

    def tell(self, event: Event) -> list[Command]:
        """Apply a fact; the orders that it gives."""
        commands = step(self.state, event)
        self.state.validate()
        for command in commands:
            if isinstance(command, FinishRun):
                assert self.finished is None, "a run finishes once"
                self.finished = command
            else:
                self.open.append(command)
                if isinstance(command, SubmitChunk):
                    self.submitted.append(command.chunk)
        return commands

    def take(self, kind: type[Command], task: str | None = None) -> Command:
        """Remove the first open order of a kind (and of a task)."""
        for command in self.open:
            if isinstance(command, kind) and (task is None or command.run.task == task):
                self.open.remove(command)
                return command
        raise AssertionError(f"no open {kind.__name__} for {task}: {self.open}")

    def prepare(self, task: str, n_items: int = 1, shape: Shape | None = None) -> list[Command]:
        """Answer a task's PrepareTask."""
        command = self.take(PrepareTask, task)
        return self.tell(TaskPrepared(command.run, n_items, shape or Shape(lanes=2)))

    def chunk_done(self, task: str, *, failed: int = 0, retryable: tuple[int, ...] = ()) -> list[Command]:
        """Answer a task's oldest SubmitChunk."""
        command = self.take(SubmitChunk, task)
        return self.tell(self.done(command, failed=failed, retryable=retryable))

    def done(self, command: SubmitChunk, *, failed: int = 0, retryable: tuple[int, ...] = ()) -> ChunkDone:
        """The report of a chunk of which some items failed."""
        n_items = len(command.chunk.items)
        return ChunkDone(
            command.run, command.chunk.id, n_succeeded=n_items - failed, n_failed=failed, retryable=retryable
        )

    def end(self, task: str, *fired: int) -> list[Command]:
        """Answer a task's EvaluateTransitions."""
        command = self.take(EvaluateTransitions, task)
        return self.tell(TransitionsEvaluated(command.run, fired))

    def run_plain(self, task: str, *fired: int, fails: bool = False) -> list[Command]:
        """Let a plain task run from its preparation to its transitions."""
        self.prepare(task)
        self.chunk_done(task, failed=int(fails))
        return self.end(task, *fired)

    def fire(self, task: str) -> list[Command]:
        """Let a task's timer ring."""
        command = self.take(StartTimer, task)
        return self.tell(TimerFired(command.run, command.chunk))

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.state.status is not RunStatus.RUNNING

    def starts(self, commands: list[Command]) -> list[TaskRunId]:
        """The task runs that some orders start."""
        return [command.run for command in commands if isinstance(command, PrepareTask)]
