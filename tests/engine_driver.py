"""Drives the pure engine: plans from YAML, events in, orders out, invariants checked after every step."""

from dataclasses import dataclass, field
from typing import TypeVar

from attune_ray.actions import Nature
from attune_ray.engine import (
    CancelChunk,
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Command,
    CutTask,
    EvaluateTransitions,
    Event,
    FailChunk,
    FinishRun,
    PauseRequested,
    PrepareTask,
    ResumeRequested,
    RunStarted,
    RunState,
    StartTimer,
    SubmitChunk,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
    step,
)
from attune_ray.model import parse_workflow
from attune_ray.plan import Chunk, Shape, build

__all__ = ["Driver"]

_Order = TypeVar("_Order", StartTimer, PrepareTask, SubmitChunk, FailChunk, EvaluateTransitions)


@dataclass
class Driver:
    """One run of the engine.

    Attributes:
        open: orders that have not been answered, oldest first; those that need no answer are not among them.
        finished: the last order of the run, once it has come.
        submitted: every chunk that was sent.
    """

    yaml: str
    max_task_runs: int = 10_000
    max_crashes: int = 3
    open: list[Command] = field(default_factory=list)
    finished: FinishRun | None = None
    submitted: list[Chunk] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the run."""
        self.state = RunState(build(parse_workflow(self.yaml)), self.max_task_runs, self.max_crashes)
        self.began = self.tell(RunStarted())

    def tell(self, event: Event) -> list[Command]:
        """Apply a fact; the orders that it gives."""
        commands = step(self.state, event)
        self.state.validate()
        for command in commands:
            if isinstance(command, FinishRun):
                assert self.finished is None, "a run finishes once"
                self.finished = command
            elif not isinstance(command, CancelChunk | CutTask):
                self.open.append(command)
                if isinstance(command, SubmitChunk):
                    self.submitted.append(command.chunk)
        return commands

    def take(self, kind: type[_Order], task: str | None = None) -> _Order:
        """Remove the first open order of a kind (and of a task)."""
        for command in self.open:
            if isinstance(command, kind) and (task is None or command.run.task == task):
                self.open.remove(command)
                return command
        raise AssertionError(f"no open {kind.__name__} for {task}: {self.open}")

    def prepare(
        self, task: str, n_items: int = 1, shape: Shape | None = None, nature: Nature = "work"
    ) -> list[Command]:
        """Answer a task's PrepareTask."""
        command = self.take(PrepareTask, task)
        return self.tell(TaskPrepared(command.run, n_items, shape or Shape(lanes=2), nature))

    def skip(self, task: str) -> list[Command]:
        """Answer a task's PrepareTask: its ``when`` is false."""
        return self.tell(TaskSkipped(self.take(PrepareTask, task).run))

    def refuse(self, task: str, error: str = "no such action") -> list[Command]:
        """Answer a task's PrepareTask: it cannot run."""
        return self.tell(TaskNotPrepared(self.take(PrepareTask, task).run, error))

    def chunk_done(
        self, task: str, *, failed: int = 0, retryable: tuple[int, ...] = (), retry_after_s: float | None = None
    ) -> list[Command]:
        """Answer a task's oldest SubmitChunk."""
        command = self.take(SubmitChunk, task)
        return self.tell(self.done(command, failed=failed, retryable=retryable, retry_after_s=retry_after_s))

    def done(
        self,
        command: SubmitChunk | FailChunk,
        *,
        failed: int = 0,
        retryable: tuple[int, ...] = (),
        retry_after_s: float | None = None,
    ) -> ChunkDone:
        """The report of a chunk of which some items failed."""
        return ChunkDone(
            command.run,
            command.chunk.id,
            n_succeeded=len(command.chunk.items) - failed,
            n_failed=failed,
            retryable=retryable,
            retry_after_s=retry_after_s,
        )

    def lose(
        self,
        task: str,
        *,
        ended: tuple[int, ...] = (),
        running: tuple[int, ...] | None = None,
        retryable: tuple[int, ...] = (),
    ) -> list[Command]:
        """Let the worker die that runs a task's oldest chunk; of those that had ended, ``retryable`` have failed."""
        command = self.take(SubmitChunk, task)
        return self.tell(
            ChunkLost(
                command.run,
                command.chunk.id,
                "it died",
                ended=ended,
                running=running,
                n_succeeded=len(ended) - len(retryable),
                n_failed=len(retryable),
                retryable=retryable,
            )
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

    def cancel(self, *, running: bool = False) -> list[Command]:
        """Ask the run to end."""
        return self.tell(CancelRequested(running))

    def pause(self) -> list[Command]:
        """Ask the run to start nothing new."""
        return self.tell(PauseRequested())

    def resume(self) -> list[Command]:
        """Ask the run to go on."""
        return self.tell(ResumeRequested())

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.state.has_ended

    @property
    def status(self) -> str:
        """How the run stands."""
        return self.state.status.value

    def status_of(self, task: str) -> str:
        """How a task stands."""
        return self.state.tasks[task].status.value

    def n_runs(self, task: str) -> int:
        """How often a task has started."""
        return self.state.tasks[task].n_runs

    def starts(self, commands: list[Command]) -> list[str]:
        """The task runs that some orders start, as people read them."""
        return [str(command.run) for command in commands if isinstance(command, PrepareTask)]

    def run_of(self, task: str, number: int = 1) -> TaskRunId:
        """The id of a task run."""
        return TaskRunId(task, number)

    def take_end(self, task: str, *fired: int) -> TransitionsEvaluated:
        """The answer to a task's EvaluateTransitions, to be told later."""
        return TransitionsEvaluated(self.take(EvaluateTransitions, task).run, fired)

    def take_chunk(self, task: str) -> SubmitChunk:
        """A task's oldest chunk, to be answered later."""
        return self.take(SubmitChunk, task)

    def items_of_next_chunk(self, task: str) -> tuple[int, ...]:
        """The items of a task's oldest open chunk, which stays open."""
        return next(
            tuple(order.chunk.items) for order in self.open if isinstance(order, SubmitChunk) and order.run.task == task
        )
