"""④ One run: a queue of facts, the engine, and the performing of its orders. Decides nothing."""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, assert_never

from attune_ray.coordinator.deadline import Deadline
from attune_ray.coordinator.mend import mended
from attune_ray.coordinator.opening import open_task, reopen_task
from attune_ray.coordinator.outcome import RunResult
from attune_ray.coordinator.replay import OpenOrder, age_s, replay
from attune_ray.coordinator.shell import Shell, Told, event_of, told_of
from attune_ray.coordinator.watchers import Watchers
from attune_ray.coordinator.world import World
from attune_ray.engine import (
    CancelChunk,
    ChunkLost,
    Command,
    CutTask,
    EvaluateTransitions,
    Event,
    FailChunk,
    FinishRun,
    PrepareTask,
    Request,
    ResumeRequested,
    RunStarted,
    RunState,
    StartTimer,
    SubmitChunk,
    TaskNotPrepared,
    TaskRunId,
    TimerFired,
    step,
)
from attune_ray.engine.status import Phase
from attune_ray.errors import AttuneError, StateError
from attune_ray.plan import Chunk, Plan
from attune_ray.ports import (
    Executor,
    Observer,
    OpenTask,
    RunContext,
    RunView,
)
from attune_ray.records import Entry, Fact, RunEnded, root_of
from attune_ray.values.secrets import Secrets

__all__ = ["Coordinator"]

_NOTHING: Mapping[str, Any] = {}


class Coordinator:
    """Owns one run: its state, its shell, and every asyncio task that works for it. It is made in its loop.

    Attributes:
        children: runs that this one has started; they are told of every request that it has heeded.
    """

    def __init__(
        self, plan: Plan, context: RunContext, state: RunState, world: World, observers: list[Observer]
    ) -> None:
        self.plan = plan
        self.state = state
        self.children: set[Coordinator] = set()
        self.loop = asyncio.get_running_loop()
        self._world = world
        self._shell = Shell(plan, context, state, world.recall)
        self._watchers = Watchers(context.run_id, observers)
        self._queue: asyncio.Queue[Told] = asyncio.Queue()
        self._chunks: dict[tuple[TaskRunId, int], asyncio.Task[None]] = {}
        self._work: dict[asyncio.Task[None], TaskRunId] = {}
        self._reopening: dict[TaskRunId, asyncio.Task[None]] = {}
        self._deadline = Deadline(None)

    @property
    def context(self) -> RunContext:
        """What its expressions may read now."""
        return self._shell.context

    @property
    def secrets(self) -> Secrets:
        """All that must not be shown of it, as far as is known."""
        return self._shell.secrets

    async def run(self, *, timeout_s: float | None = None, past: Sequence[Fact] = ()) -> RunResult:
        """Run to the end.

        Args:
            timeout_s: seconds that it may take, those in which it is paused apart; None: any number.
            past: its facts, where it goes on with what another coordinator has begun.

        Raises:
            TimeoutError: it has taken longer; everything that ran for this run has been stopped.
            StateError: its facts cannot be kept; the same. It can be gone on with.
            EngineError: a bug of ours; the same.
        """
        began_s = time.perf_counter()
        self._deadline = Deadline(timeout_s)
        orders = replay(self._shell, await self._whole(past))
        self._watchers.started(RunView(self.context.run_id, self.plan, self.state))
        try:
            async with self._deadline, asyncio.TaskGroup() as group:
                self._group = group
                if not self.state.has_begun:
                    self._tell(RunStarted(), self.context.system)
                if past and self.state.paused:
                    self._tell(ResumeRequested())
                self._go_on(orders)
                if self.state.has_ended and self._world.journal is not None and self._is_root:
                    await self._world.journal.write([self._ended()])  # the one entry that was missing
                while not self.state.has_ended:
                    await self._handle_arrived()
                for work in self._work:
                    work.cancel()
        except ExceptionGroup as errors:
            raise _first(errors) from None
        self._shell.result.duration_s = time.perf_counter() - began_s
        self._watchers.ended(self.state.status.value)
        return self._shell.result

    async def _whole(self, past: Sequence[Fact]) -> Sequence[Fact]:
        """The facts of before, with all their results."""
        plan, context, state, recall = self.plan, self.context, self.state, self._world.recall

        def new_shell() -> Shell:
            return Shell(plan, context, RunState(plan, state.max_task_runs, state.max_crashes), recall)

        return await mended(past, self._world, new_shell) if past else past

    def ask(self, request: Request) -> None:
        """Ask the run, and all below it, to pause, to go on or to end; to be called in its loop."""
        self._tell(request)

    def _tell(self, event: Event, told: Mapping[str, Any] = _NOTHING) -> None:
        self._queue.put_nowait((event, told))

    async def _handle_arrived(self) -> None:
        """Wait for a fact, then handle all that have arrived, and those that their orders give at once.

        What follows from facts is done when they are kept: all of them together.
        """
        due = deque([await self._queue.get()])
        facts: list[Entry] = []
        orders: list[Command] = []
        while due:
            while not self._queue.empty():
                due.append(self._queue.get_nowait())
            event, told = due.popleft()
            self._shell.take(event, told)
            commands = step(self.state, event)
            if self._world.journal is not None:
                facts.append(self._fact(event, told))
            self._watchers.saw(event)
            self._watchers.warned(told.get("warnings", ()))
            if isinstance(event, Request):
                self._pass_on(event)
            for command in commands:
                if (answer := self._settle(command, facts)) is not None:
                    due.append(answer)
            orders += commands
        if self._world.journal is not None:
            await self._world.journal.write(facts)
        for command in orders:
            self._perform(command)

    def _fact(self, event: Event, told: Mapping[str, Any]) -> Fact:
        now, is_secret = self._world.clock.now(), bool(self.secrets)
        return Fact(run_id=self.context.run_id, at=now, event=event, shell=told, is_secret=is_secret)

    def _pass_on(self, request: Request) -> None:
        """Tell the runs below; one that starts later is told what its parent's state says."""
        self._deadline.hold(paused=self.state.paused)
        for child in self.children:
            child.ask(request)

    def _settle(self, command: Command, facts: list[Entry]) -> Told | None:
        """Do what of an order changes nothing in the world; what can be answered at once is."""
        match command:
            case PrepareTask():
                self._shell.begin(command.run)
            case EvaluateTransitions():
                self._shell.close(command)
                return self._shell.evaluate(command, self._world.clock.now())
            case CutTask():
                for work in [work for work, whose in self._work.items() if whose == command.run]:
                    work.cancel()
                self._shell.cut(command.run)
            case FinishRun():
                self._watchers.warned(self._shell.finish(command, self._world.clock.now()))
                if self._is_root:
                    facts.append(self._ended())
            case _:
                pass
        return None

    @property
    def _is_root(self) -> bool:
        return root_of(self.context.run_id) == self.context.run_id

    def _ended(self) -> RunEnded:
        found = self._shell.result
        return RunEnded(
            run_id=found.id,
            at=self._world.clock.now(),
            status=found.status,
            result=found.result,
            shown=found.secrets.masked(found.result),
            is_secret=bool(found.secrets),
        )

    def _perform(self, command: Command) -> None:
        """Carry out what of an order reaches the world."""
        match command:
            case StartTimer():
                self._spawn(command.run, self._wait(command, command.delay_s))
            case PrepareTask():
                self._spawn(command.run, self._prepare(command.run))
            case SubmitChunk():
                self._submit(command.run, command.chunk)
            case FailChunk():
                self._spawn(command.run, self._fail_chunk(command))
            case CancelChunk():
                if (work := self._chunks.get((command.run, command.chunk))) is not None:
                    work.cancel()  # else it has just ended, and its report is on the way
            case CutTask() | EvaluateTransitions() | FinishRun():
                pass
            case _:
                assert_never(command)

    def _go_on(self, orders: Sequence[OpenOrder]) -> None:
        """Perform the orders that another coordinator has left, where it had left them."""
        now = self._world.clock.now()
        for run in self.state.live.values():
            if run.phase is Phase.RUNNING:
                self._reopening[run.id] = self._spawn(run.id, reopen_task(self._shell, self._world, run.id))
        for order in orders:
            age = age_s(order.at, now)
            match order.command:
                case StartTimer() as timer:
                    self._spawn(timer.run, self._wait(timer, max(0.0, timer.delay_s - age)))
                case SubmitChunk() as sent:
                    self._submit(sent.run, sent.chunk, age_s=age)
                case EvaluateTransitions() as ending:
                    self._queue.put_nowait(self._shell.evaluate(ending, now))
                case command:
                    self._perform(command)

    def _spawn(self, run: TaskRunId, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._work[task] = run
        task.add_done_callback(self._work.pop)
        return task

    async def _wait(self, command: StartTimer, delay_s: float) -> None:
        await self._world.clock.sleep(delay_s)
        self._tell(TimerFired(command.run, command.chunk))

    async def _prepare(self, run: TaskRunId) -> None:
        try:
            told = await open_task(self._shell, self._world, run)
        except StateError:
            raise
        except AttuneError as error:
            told = TaskNotPrepared(run, self.secrets.mask(str(error))), _NOTHING
        self._tell(*told)

    def _submit(self, run: TaskRunId, chunk: Chunk, age_s: float | None = None) -> None:
        """Run a chunk; one that is cancelled, perhaps before its first step, is lost and says so all the same.

        Args:
            age_s: seconds since another coordinator has sent it; None: it is new.
        """
        key = (run, chunk.id)
        work = self._chunks[key] = self._spawn(run, self._run_chunk(run, chunk, age_s))

        def ended(work: asyncio.Task[None]) -> None:
            del self._chunks[key]
            if work.cancelled() and not self.state.has_ended:
                self._tell(ChunkLost(run, chunk.id, "cancelled"))

        work.add_done_callback(ended)

    async def _run_chunk(self, run: TaskRunId, chunk: Chunk, age_s: float | None) -> None:
        executor, work = await self._opened(run)
        if age_s is None:
            report = await executor.run(work, chunk)
        else:
            report = await executor.salvage(work, chunk, age_s)
        self._tell(event_of(run, chunk, report), told_of(report))

    async def _fail_chunk(self, command: FailChunk) -> None:
        executor, work = await self._opened(command.run)
        report = await executor.fail(work, command.chunk, command.reason)
        self._tell(event_of(command.run, command.chunk, report), told_of(report))

    async def _opened(self, run: TaskRunId) -> tuple[Executor[Any], OpenTask]:
        if (reopening := self._reopening.get(run)) is not None:
            await asyncio.shield(reopening)
        work = self._shell.in_work[run]
        assert work.executor is not None  # noqa: S101  chunks are sent only of opened tasks
        assert work.open is not None  # noqa: S101
        return work.executor, work.open


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The first single error of a group: a task's failure that stopped the run."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
