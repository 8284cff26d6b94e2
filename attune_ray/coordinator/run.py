"""④ One run: a queue of facts, the engine, and the performing of its orders. Decides nothing."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, assert_never

from attune_ray.actions import Action
from attune_ray.coordinator.deadline import Deadline
from attune_ray.coordinator.evaluate import concurrency_of, end_task, render_output, selectors_for, workflow_context
from attune_ray.coordinator.outcome import FanOutStats, RunResult, TaskResult
from attune_ray.coordinator.secrets import secret_texts
from attune_ray.engine import (
    CancelChunk,
    ChunkDone,
    ChunkLost,
    Command,
    CutTask,
    EvaluateTransitions,
    Event,
    FailChunk,
    FinishRun,
    PrepareTask,
    Request,
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
from attune_ray.errors import AttuneError
from attune_ray.model import Task
from attune_ray.plan import Chunk, Plan
from attune_ray.plan.chunks import failed_for_good
from attune_ray.ports import (
    ChunkReport,
    Clock,
    Executor,
    LostItems,
    Observer,
    OpenTask,
    RunContext,
    RunView,
    StoredResult,
    TaskOrder,
)
from attune_ray.settings import LimitSettings
from attune_ray.values.secrets import Secrets

__all__ = ["Coordinator", "World"]

_log = logging.getLogger("attune_ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run needs besides its plan.

    Attributes:
        route: what a task runs, and where its chunks run; raises PermanentError where there is no such action.
        local: the executor that keeps results of this process: of tasks that could not be opened.
    """

    route: Callable[[Task], tuple[Action, Executor[Any]]]
    local: Executor[Any]
    clock: Clock
    limits: LimitSettings
    max_crashes: int


@dataclass(slots=True)
class _Opened:
    """A task run in work: who runs it, and since when."""

    began: float
    executor: Executor[Any] | None = None
    open: OpenTask | None = None
    stats: FanOutStats = field(default_factory=FanOutStats)
    cpu_before_s: float = 0.0


class Coordinator:
    """Owns one run: its state, its context, and every asyncio task that works for it. It is made in its loop.

    Attributes:
        children: runs that this one has started; they are told of every request that it has heeded.
    """

    def __init__(
        self, plan: Plan, context: RunContext, state: RunState, world: World, observers: list[Observer]
    ) -> None:
        self.plan = plan
        self.context = context
        self.state = state
        self.children: set[Coordinator] = set()
        self.loop = asyncio.get_running_loop()
        self._world = world
        self._observers = observers
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._opened: dict[TaskRunId, _Opened] = {}
        self._chunks: dict[tuple[TaskRunId, int], asyncio.Task[None]] = {}
        self.secrets = context.secrets.all()
        self._work: dict[asyncio.Task[None], TaskRunId] = {}
        self._deadline = Deadline(None)
        self._result = RunResult(context.run_id, tasks={name: TaskResult(name) for name in plan.tasks})

    async def run(self, *, timeout_s: float | None = None) -> RunResult:
        """Run to the end.

        Args:
            timeout_s: seconds that it may take, those in which it is paused apart; None: any number.

        Raises:
            TimeoutError: it has taken longer; everything that ran for this run has been stopped.
            EngineError: a bug of ours; the same.
        """
        began = time.perf_counter()
        self._deadline = Deadline(timeout_s)
        self._observe(lambda observer: observer.started(RunView(self.context.run_id, self.plan, self.state)))
        try:
            async with self._deadline, asyncio.TaskGroup() as group:
                self._group = group
                self._queue.put_nowait(RunStarted())
                while not self.state.has_ended:
                    await self._handle_arrived()
                for work in self._work:
                    work.cancel()
        except ExceptionGroup as errors:
            raise _first(errors) from None
        self._result.variables = self.context.variables
        self._result.duration_s = time.perf_counter() - began
        self._observe(lambda observer: observer.ended(self.context.run_id, self.state.status.value))
        return self._result

    def ask(self, request: Request) -> None:
        """Ask the run, and all below it, to pause, to go on or to end; to be called in its loop."""
        self._queue.put_nowait(request)

    async def _handle_arrived(self) -> None:
        """Wait for a fact, then handle all that have arrived, and those that their orders give at once."""
        due = deque([await self._queue.get()])
        while due:
            while not self._queue.empty():
                due.append(self._queue.get_nowait())
            event = due.popleft()
            commands = step(self.state, event)
            self._observe(partial(_saw, run_id=self.context.run_id, event=event))
            if isinstance(event, Request):
                self._pass_on(event)
            for command in commands:
                if (answer := self._perform(command)) is not None:
                    due.append(answer)

    def _pass_on(self, request: Request) -> None:
        """Tell the runs below; one that starts later is told what its parent's state says."""
        self._deadline.hold(paused=self.state.paused)
        for child in self.children:
            child.ask(request)

    def _perform(self, command: Command) -> Event | None:
        """Carry out an order; what can be answered at once is."""
        match command:
            case StartTimer():
                self._spawn(command.run, self._wait(command))
            case PrepareTask():
                self._spawn(command.run, self._prepare(command.run))
            case SubmitChunk():
                self._submit(command.run, command.chunk)
            case FailChunk():
                self._spawn(command.run, self._fail_chunk(command))
            case CancelChunk():
                if (work := self._chunks.get((command.run, command.chunk))) is not None:
                    work.cancel()  # else it has just ended, and its report is on the way
            case CutTask():
                self._cut(command.run)
            case EvaluateTransitions():
                return self._end_task(command)
            case FinishRun():
                self._finish(command)
            case _:
                assert_never(command)
        return None

    def _spawn(self, run: TaskRunId, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._work[task] = run
        task.add_done_callback(self._work.pop)
        return task

    async def _wait(self, command: StartTimer) -> None:
        await self._world.clock.sleep(command.delay_s)
        self._queue.put_nowait(TimerFired(command.run, command.chunk))

    async def _prepare(self, run: TaskRunId) -> None:
        opened = self._opened[run] = _Opened(began=time.perf_counter())
        try:
            event: Event = await self._open(run, opened)
        except AttuneError as error:
            event = TaskNotPrepared(run, self.secrets.mask(str(error)))
        self._queue.put_nowait(event)

    async def _open(self, run: TaskRunId, opened: _Opened) -> Event:
        """Look at ``when`` and the width, then have the executor open the items."""
        task, now = self.plan.tasks[run.task], self._world.clock.now()
        scope = workflow_context(self.context, now=now, seed=self._seed(run)).for_task()
        if task.when is not None and not self._holds(run, task.when.render, scope):
            return TaskSkipped(run)
        action, opened.executor = self._world.route(task.task)
        self._hide(secret_texts(action, task.task))
        order = TaskOrder(
            run=run,
            task=task,
            action=action,
            context=self.context,
            concurrency=concurrency_of(task, scope),
            now=now,
            selectors=selectors_for(task, scope),
        )
        opened.cpu_before_s = time.thread_time()
        opened.open = await opened.executor.open(order)
        opened.stats.n_items = opened.open.n_items
        return TaskPrepared(run, opened.open.n_items, opened.open.shape, action.nature)

    def _submit(self, run: TaskRunId, chunk: Chunk) -> None:
        """Run a chunk; one that is cancelled, perhaps before its first step, is lost and says so all the same."""
        key = (run, chunk.id)
        work = self._chunks[key] = self._spawn(run, self._run_chunk(run, chunk))

        def ended(work: asyncio.Task[None]) -> None:
            del self._chunks[key]
            if work.cancelled() and not self.state.has_ended:
                self._queue.put_nowait(ChunkLost(run, chunk.id, "cancelled"))

        work.add_done_callback(ended)

    async def _run_chunk(self, run: TaskRunId, chunk: Chunk) -> None:
        executor, work = self._executor_of(run)
        report = await executor.run(work, chunk)
        ended = self._chunk_done(run, chunk, report)
        self._queue.put_nowait(ended if report.lost is None else _lost(ended, report.lost))

    async def _fail_chunk(self, command: FailChunk) -> None:
        executor, work = self._executor_of(command.run)
        report = await executor.fail(work, command.chunk, command.reason)
        self._queue.put_nowait(self._chunk_done(command.run, command.chunk, report))

    def _chunk_done(self, run: TaskRunId, chunk: Chunk, report: ChunkReport) -> ChunkDone:
        stats = self._opened[run].stats
        stats.n_chunks += 1
        stats.n_failed += failed_for_good(chunk, report.n_succeeded, report.n_failed)
        stats.context_bytes_decoded += report.context_bytes_decoded
        stats.n_cached += report.n_cached
        stats.workers.add(report.worker)
        self._hide(report.secrets)
        if report.published is not None:
            self._publish(report.published)
        return ChunkDone(
            run,
            chunk.id,
            n_succeeded=report.n_succeeded,
            n_failed=report.n_failed,
            retryable=report.retryable,
            retry_after_s=report.retry_after_s,
            elapsed_s=report.elapsed_s,
            timed_out=report.timed_out,
        )

    def _publish(self, published: Mapping[str, Any]) -> None:
        """Take over the variables of a parallel group."""
        version = self.context.variables_version + 1
        variables = {**self.context.variables, **published}
        self.context = replace(self.context, variables=variables, variables_version=version)

    def _end_task(self, command: EvaluateTransitions) -> TransitionsEvaluated:
        """Close the result of a task run, then evaluate what follows it."""
        run = command.run
        opened = self._opened.pop(run)
        self._record(command, opened)
        task, now = self.plan.tasks[run.task], self._world.clock.now()
        ending = end_task(task, self.context, command.outcome, now=now, seed=self._seed(run))
        self.context = ending.context
        self._warn(ending.warnings)
        return TransitionsEvaluated(run, tuple(ending.fired))

    def _record(self, command: EvaluateTransitions, opened: _Opened) -> None:
        if opened.executor is None or opened.open is None or command.error is not None:
            stored = self._world.local.failure(command.error or "not run")
        else:
            stored = opened.executor.result(opened.open, succeeded=command.outcome == "succeeded")
        self._keep(command.run, opened, stored)

    def _cut(self, run: TaskRunId) -> None:
        """Drop what would still come of a task run, and keep what it has done."""
        for work in [work for work, whose in self._work.items() if whose == run]:
            work.cancel()
        opened = self._opened.pop(run, None) or _Opened(began=time.perf_counter())
        if opened.executor is None or opened.open is None:
            stored = self._world.local.failure(None)
        else:
            stored = opened.executor.result(opened.open, succeeded=False, cancelled=True)
        self._keep(run, opened, stored)

    def _keep(self, run: TaskRunId, opened: _Opened, stored: StoredResult) -> None:
        self.context = replace(self.context, results={**self.context.results, run.task: stored})
        known = self._result.tasks[run.task]
        opened.stats.coordinator_s = time.thread_time() - opened.cpu_before_s if opened.open is not None else 0.0
        known.stored, known.stats = stored, opened.stats
        known.duration_s = time.perf_counter() - opened.began

    def _finish(self, command: FinishRun) -> None:
        result = self._result
        result.status, result.secrets = command.status, self.secrets
        for name, known in self.state.tasks.items():
            result.tasks[name].status, result.tasks[name].secrets = known.status, self.secrets
        if command.error is not None:
            result.result = {"error": self.secrets.mask(command.error), "succeeded": False}
            return
        now = self._world.clock.now()
        result.result, warnings = render_output(self.plan, self.context, now=now, seed=self.context.run_id)
        result.output = {name: value for name, value in result.result.items() if name in self.plan.output}
        self._warn(warnings)

    def _holds(self, run: TaskRunId, render: Callable[[Any], Any], scope: Any) -> bool:
        """A task's ``when``: one that errors counts as true, as after a success."""
        try:
            return bool(render(scope))
        except AttuneError as error:
            self._warn([f"task {run.task}: {error}; it counts as true"])
            return True

    def _executor_of(self, run: TaskRunId) -> tuple[Executor[Any], OpenTask]:
        opened = self._opened[run]
        assert opened.executor is not None  # noqa: S101  chunks are sent only of opened tasks
        assert opened.open is not None  # noqa: S101
        return opened.executor, opened.open

    def _seed(self, run: TaskRunId) -> str:
        """What is random in a task run is derived from this: the same again after a resume."""
        return f"{self.context.run_id}/{run}"

    def _hide(self, texts: Iterable[str]) -> None:
        """Learn of further secrets."""
        if found := frozenset(texts):
            self.secrets |= Secrets(found)

    def _warn(self, warnings: list[str]) -> None:
        for warning in map(self.secrets.mask, warnings):
            self._result.warnings.append(warning)
            _log.warning("%s", warning, extra={"run": self.context.run_id})
            self._observe(partial(_warned, run_id=self.context.run_id, warning=warning))

    def _observe(self, tell: Callable[[Observer], None]) -> None:
        """Tell every observer; one that raises is removed, and its error logged."""
        for observer in list(self._observers):
            try:
                tell(observer)
            except Exception:  # noqa: BLE001  a fault of an observer is never the run's
                self._observers.remove(observer)
                _log.exception("observer %r is removed", observer, extra={"run": self.context.run_id})


def _lost(ended: ChunkDone, lost: LostItems) -> ChunkLost:
    return ChunkLost(
        ended.run,
        ended.chunk,
        lost.reason,
        ended=lost.ended,
        running=lost.running,
        n_succeeded=ended.n_succeeded,
        n_failed=ended.n_failed,
        retryable=ended.retryable,
        retry_after_s=ended.retry_after_s,
    )


def _saw(observer: Observer, *, run_id: str, event: Event) -> None:
    observer.saw(run_id, event)


def _warned(observer: Observer, *, run_id: str, warning: str) -> None:
    observer.warned(run_id, warning)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The first single error of a group: a task's failure that stopped the run."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
