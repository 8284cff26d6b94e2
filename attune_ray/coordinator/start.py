"""Starting runs: those that are asked for, and those that runs start themselves."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.coordinator.outcome import RunResult
from attune_ray.coordinator.rerun import rerun_of
from attune_ray.coordinator.run import Coordinator
from attune_ray.coordinator.secrets import child_secrets, masked_bug, parameter_secrets
from attune_ray.coordinator.shell import Shell
from attune_ray.coordinator.world import World
from attune_ray.engine import (
    CancelRequested,
    PauseRequested,
    Request,
    ResumeRequested,
    RunState,
    RunStatus,
    TaskStatus,
)
from attune_ray.errors import Location, PermanentError, StateError, UsageError
from attune_ray.model import CancellationPolicy, TaskType, Workflow, apply_schema
from attune_ray.plan import Plan, build
from attune_ray.ports import ChildOrder, ChildReport, Inbox, Observer, Recall, RunContext
from attune_ray.records import AnswerMail, Fact, History, Mail, RunBegun, root_of
from attune_ray.values.secrets import NO_SECRETS, RunSecrets, Secrets

__all__ = ["LiveRun", "Runs"]

_log = logging.getLogger("attune_ray")
_NOTHING: Mapping[str, Any] = {}
_SUCCEEDED = {TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.NOT_RUN}


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that has not ended.

    Attributes:
        id: a child's is its parent's, a slash, and its task.
        workflow: its reference, else its label, else the name of its source.
        status: ``running``, ``paused`` or ``cancelling``.
    """

    id: str
    workflow: str
    status: RunStatus


@dataclass(slots=True, kw_only=True)
class Runs:
    """Every live run of an engine, child runs included.

    Attributes:
        workflows: reference → workflow: what tasks may name besides actions.
        observers: see the runs that are asked for; of a child run they see the task that it is.
        live: run id → its coordinator; a child's id is its parent's, a slash, and its task.
        config: what templates read as ``config``; ``configs``: the same by pack, for the workflows of that pack.
        config_secrets: what must not be shown of ``config`` and ``configs``; of ``keystore`` it is all.
        forget: is told of every run that has ended, to let go of what was put for it.
        inbox: what other processes ask of these runs; None: nothing. ``answered``: takes their answers to questions.
        beat_s: seconds between two looks into it.
    """

    world: World
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    observers: Iterable[Observer] = ()
    config: Any = None
    configs: Mapping[str, Any] = field(default_factory=dict)
    keystore: Any = field(default=None, repr=False)
    config_secrets: Secrets = NO_SECRETS
    _secrets: RunSecrets = field(init=False)
    forget: Callable[[str], None] = field(default=lambda _: None)
    inbox: Inbox | None = None
    answered: Callable[[AnswerMail], None] = field(default=lambda _: None)
    beat_s: float = 1.0
    live: dict[str, Coordinator] = field(default_factory=dict)
    _listening: asyncio.Task[None] | None = None
    _past: dict[str, list[Fact]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look through the keystore once."""
        self._secrets = RunSecrets(config=self.config_secrets, keystore=Secrets.of([self.keystore]))

    async def run(
        self, plan: Plan, given: Mapping[str, Any], *, run_id: str, launch: Mapping[str, Any] = _NOTHING
    ) -> RunResult:
        """Run a plan to its end.

        Args:
            launch: as of ``RunBegun``.

        Raises:
            InvalidParametersError: the parameters do not fit the workflow's schema.
            StateError: what happens cannot be kept, or there is a run of that id.
        """
        context = self._context(plan, given, run_id)
        if self.world.journal is not None:
            await self.world.journal.write([_begun(plan.workflow, context, launch)])
        return await self._run_root(plan, context)

    async def recover(self, plan: Plan, history: History) -> RunResult:
        """Go on with a run whose coordinator has died; one that was paused goes on as well. Errors: as of ``run``.

        Args:
            history: all that is kept of it; it is ours to write to, unless it has ended.
        """
        begun = history.begun
        for fact in history.facts:
            self._past.setdefault(fact.run_id, []).append(fact)
        try:
            context = self._context(plan, begun.given, begun.run_id)
            system = {**context.system, "workflow_start": begun.at}
            return await self._run_root(plan, replace(context, system=system, begun_at=begun.at))
        finally:
            self._past = {run_id: facts for run_id, facts in self._past.items() if root_of(run_id) != begun.run_id}

    async def rerun(
        self, plan: Plan, history: History, recall: Recall, *, run_id: str, from_task: str | None = None
    ) -> RunResult:
        """Run a part of an ended run again, as a run of its own; otherwise as of ``rerun_of`` and ``run``."""
        old = self.recalled(plan, history.begun)
        at = self.world.clock.now()
        new = rerun_of(history, old, recall, run_id=run_id, at=at, from_task=from_task)
        if self.world.journal is not None:
            await self.world.journal.write([new.begun, *new.facts])
        return await self.recover(plan, new)

    def recalled(self, plan: Plan, begun: RunBegun) -> Shell:
        """The shell of a kept run at its begin, to be told its facts by whoever wants to know of it."""
        context, limits = self._context(plan, begun.given, begun.run_id), self.world.limits
        return Shell(plan, context, RunState(plan, limits.task_runs, self.world.max_crashes), self.world.recall)

    async def _run_root(self, plan: Plan, context: RunContext) -> RunResult:
        """Run what was asked for, and hear what others ask of it meanwhile; its end is kept when it is told."""
        if self.inbox is not None and self._listening is None:
            self._listening = asyncio.create_task(self._listen(self.inbox))
            self._listening.add_done_callback(_tell_fault)
        try:
            result = (await self._run(plan, context)).result
            if self.world.journal is not None:
                await self.world.journal.flush()
            return result
        finally:
            if self._listening is not None and not self.live:
                self._listening.cancel()
                self._listening = None

    async def _listen(self, inbox: Inbox) -> None:
        """Show that the coordinator lives, and hand on what comes in."""
        while True:
            try:
                for mail in await inbox.beat():
                    self._deliver(mail)
            except StateError as error:  # whoever writes is told of it as well
                _log.warning("the state store cannot be reached: %s", error)
            await self.world.clock.sleep(self.beat_s)

    def _deliver(self, mail: Mail) -> None:
        if isinstance(mail, AnswerMail):
            self.answered(mail)
        elif (run := self.live.get(mail.run_id)) is not None:
            run.ask(mail.request)

    def _context(
        self, plan: Plan, given: Mapping[str, Any], run_id: str, parent: RunContext | None = None
    ) -> RunContext:
        """The context of a run at its begin, or at that which is kept of it; ``parent``: of the run that starts it."""
        workflow = plan.workflow
        parameters = apply_schema(workflow.parameters, given, location=Location(workflow.source))
        known = self._secrets if parent is None else child_secrets(parent, given)
        own = parameter_secrets(workflow, given, parameters)
        start = self._start_of(run_id)
        return RunContext(
            run_id=run_id,
            given=given,
            parameters=parameters,
            variables=dict(workflow.vars),
            config=self.configs.get((workflow.ref or "").rpartition(".")[0], self.config),
            keystore=self.keystore,
            secrets=replace(known, parameters=known.parameters | own),
            system={"workflow_start": start, "run_id": run_id},
            depth=1 if parent is None else parent.depth + 1,
            begun_at=start if parent is None else parent.begun_at,
        )

    def _start_of(self, run_id: str) -> str:
        """When a run has begun: now, or before its coordinator died."""
        past = self._past.get(run_id)
        known: str | None = past[0].shell.get("workflow_start") if past else None
        return known or self.world.clock.now()

    async def run_child(self, order: ChildOrder) -> ChildReport:
        """Run what a task starts: a sub-workflow with its own variables, or parallel tasks that share the parent's.

        Raises:
            AttuneError: it cannot be started.
            TimeoutError: it has taken longer than it may.
        """
        if order.task.type is TaskType.PARALLEL:
            return await self._run_parallel(order)
        if order.parent.depth >= self.world.limits.depth:
            raise PermanentError(f"sub-workflows nest deeper than {self.world.limits.depth}")
        plan = build(self.workflows[order.task.action or ""])
        ended = await self._run(plan, self._context(plan, order.given, order.run_id, order.parent), order)
        result = ended.result
        return ChildReport(
            succeeded=result.status is RunStatus.COMPLETED,
            data=result.result,
            error=result.result.get("error"),
            cancelled=ended.with_parent,
            secrets=tuple(result.secrets.texts),
        )

    def cancel(self, run_id: str | None = None, *, running: bool | None = None) -> None:
        """Ask a run, or all, to end, and all below; from any thread.

        Args:
            running: stop also what runs now; None: as the workflow's ``cancellation_policy`` says.

        Raises:
            UsageError: there is no such run.
        """
        for run in self._addressed(run_id):
            policy = run.plan.workflow.cancellation_policy
            stops = policy is CancellationPolicy.CANCEL_RUNNING if running is None else running
            _ask(run, CancelRequested(stops))

    def pause(self, run_id: str | None = None) -> None:
        """Ask a run, or all, to start nothing new, and all below; otherwise as ``cancel``."""
        for run in self._addressed(run_id):
            _ask(run, PauseRequested())

    def resume(self, run_id: str | None = None) -> None:
        """Ask a paused run, or all, to go on, and all below; otherwise as ``cancel``."""
        for run in self._addressed(run_id):
            _ask(run, ResumeRequested())

    def listed(self) -> list[LiveRun]:
        """Every live run, parents before children; from any thread."""
        return [LiveRun(run_id, _title(run.plan.workflow), run.state.status) for run_id, run in [*self.live.items()]]

    def _addressed(self, run_id: str | None) -> list[Coordinator]:
        """The run of that id, or all that no other run has started: they tell those below."""
        live = dict(self.live)
        if run_id is None:
            below = {child for run in live.values() for child in run.children.copy()}  # at once: it is not our thread
            return [run for run in live.values() if run not in below]
        if run_id not in live:
            raise UsageError(f"no run {run_id} is live; live runs: {', '.join(live) or 'none'}")
        return [live[run_id]]

    async def _run_parallel(self, order: ChildOrder) -> ChildReport:
        """All sub-tasks at once; it has succeeded if each of them has (LANGUAGE §4)."""
        task = order.task
        around = order.parent.around if order.index is None else (order.item, order.index)
        context = replace(order.parent, run_id=order.run_id, around=around)
        ended = await self._run(build(Workflow(tasks=task.tasks)), context, order)
        views = {name: known.result for name, known in ended.result.tasks.items() if known.stored is not None}
        failed = [name for name, known in ended.result.tasks.items() if known.status not in _SUCCEEDED]
        before = context.variables
        published = {name: value for name, value in ended.context.variables.items() if before.get(name) is not value}
        return ChildReport(
            succeeded=not failed and ended.result.status is RunStatus.COMPLETED,
            data=views,
            error=_failure(ended.result, failed),
            published=published or None,
            secrets=tuple(ended.result.secrets.texts),
            cancelled=ended.with_parent,
        )

    async def _run(self, plan: Plan, context: RunContext, order: ChildOrder | None = None) -> "_Ended":
        """Run a plan; ``order``: the run is a child's."""
        parent = None if order is None else self.live[order.parent.run_id]
        state = RunState(plan, self.world.limits.task_runs, self.world.max_crashes)
        run = Coordinator(plan, context, state, self.world, list(self.observers) if parent is None else [])
        past = self._past.pop(context.run_id, [])
        self.live[context.run_id] = run
        with _below(parent, run):
            try:
                result = await run.run(timeout_s=None if order is None else order.timeout_s, past=past)
            except (TimeoutError, StateError):
                raise
            except Exception as error:
                if not run.secrets:
                    raise
                raise masked_bug(error, run.secrets) from None
            finally:
                del self.live[context.run_id]
                self.forget(context.run_id)
        is_cut = result.status is RunStatus.CANCELLED and parent is not None and parent.state.cancelling
        return _Ended(result, run.context, with_parent=is_cut)


def _failure(group: RunResult, failed: list[str]) -> str | None:
    """Which sub-tasks of a parallel group failed, and why the first of them did."""
    if not failed:
        return None
    told = f"{len(failed)} of {len(group.tasks)} sub-task(s) failed: {', '.join(failed)}"
    error = group.tasks[failed[0]].error
    return f"{told} ({failed[0]}: {error})" if error else told


@dataclass(frozen=True, slots=True)
class _Ended:
    """A run that has ended, its context at the end, and whether it was cancelled because its parent was."""

    result: RunResult
    context: RunContext
    with_parent: bool


@contextmanager
def _below(parent: Coordinator | None, child: Coordinator) -> Iterator[None]:
    """A child is told what its parent is asked from now on, and first of all what it has been asked."""
    if parent is None:
        yield
        return
    parent.children.add(child)
    if (request := parent.state.request) is not None:
        child.ask(request)
    try:
        yield
    finally:
        parent.children.discard(child)


def _ask(run: Coordinator, request: Request) -> None:
    with suppress(RuntimeError):  # its loop has been closed since we looked: the run has ended
        run.loop.call_soon_threadsafe(run.ask, request)


def _tell_fault(listening: "asyncio.Task[None]") -> None:
    """A bug of ours must not go unseen; the runs do not need what it would have heard."""
    if not listening.cancelled() and (error := listening.exception()) is not None:
        _log.error("this coordinator hears nothing more of other processes", exc_info=error)


def _begun(workflow: Workflow, context: RunContext, launch: Mapping[str, Any]) -> RunBegun:
    return RunBegun(
        run_id=context.run_id,
        at=context.system["workflow_start"],
        title=_title(workflow),
        source=workflow.source,
        text=workflow.text,
        given=context.given,
        launch=launch,
        is_secret=bool(context.secrets.all()),
    )


def _title(workflow: Workflow) -> str:
    return workflow.ref or workflow.label or workflow.source
