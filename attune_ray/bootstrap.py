"""Settings → a wired engine: the one file that knows every adapter."""

import asyncio
import contextlib
import datetime as dt
import os
import secrets
import weakref
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Self

from attune_ray.actions import Action, Catalog, sources_of
from attune_ray.coordinator import LiveRun, RunResult, Runs, World
from attune_ray.dispatch.ask import AskExecutor, Question, Questions
from attune_ray.dispatch.children import ChildExecutor, run_action
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.executor import RayExecutor
from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.keeping import Recollection
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.worker.row_log import forget_logs
from attune_ray.errors import InvalidWorkflowError, PermanentError, UsageError
from attune_ray.model import Task, TaskType, Workflow, parse_workflow
from attune_ray.packs import config_secrets, keystore_warnings, load_config, load_keystore, load_pack
from attune_ray.packs.files import read_text
from attune_ray.plan import Plan, build
from attune_ray.plan.actions import check_actions
from attune_ray.ports import Clock, Executor, Inbox, Journal, Observer
from attune_ray.records import Asked, History
from attune_ray.settings import Settings
from attune_ray.values.keeping import Keeping, folder_of_run
from attune_ray.values.secrets import NO_SECRETS

__all__ = ["Engine", "State", "SystemClock", "load", "run"]


def load(source: str | Path) -> Workflow:
    """Read and check a workflow.

    Args:
        source: the path of a file, or YAML text (of which JSON is a part): a text that has a line break or ``: ``,
            or begins with ``{``, is YAML.

    Raises:
        InvalidWorkflowError: with every problem that was found.
        UsageError: the file cannot be read.
    """
    if isinstance(source, str) and ("\n" in source or ": " in source or source.lstrip().startswith("{")):
        return parse_workflow(source)
    path = Path(source)
    return parse_workflow(read_text(path, "the workflow"), source=str(path))


def run(
    source: str | Path | Workflow,
    parameters: Mapping[str, Any] | None = None,
    *,
    actions: Iterable[object] = (),
    settings: Settings | None = None,
) -> RunResult:
    """Run one workflow to its end; Ray, if it was needed, is gone afterwards and the results are in this process.

    Args:
        source: as of ``load``, or a loaded workflow.
        parameters: the run's parameters by name.
        actions: decorated functions, modules, module names or paths of .py files.

    Raises:
        InvalidWorkflowError: the workflow has problems, or names actions that there are not.
        InvalidParametersError: the parameters do not fit the workflow's schema.
        UsageError: a file, an action source or the cluster's address is wrong.

    >>> result = run("tasks: [{name: hello, action: core.echo, input: {message: 'Hello {{ parameters.who }}'}}]",
    ...              {"who": "world"})
    >>> result.status.value, result.task("hello").result["stdout"]
    ('completed', 'Hello world')
    """
    with Engine(actions=actions, settings=settings) as engine:
        return engine.run(source, parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the runs of an engine are kept.

    Attributes:
        journal: their facts; ``inbox``: what other processes ask of them, looked into every ``beat_s`` seconds.
        keeping: their results.
    """

    journal: Journal
    inbox: Inbox
    keeping: Keeping
    beat_s: float = 1.0


class Engine:
    """Runs workflows, one after the other or many at once, over one Ray connection.

    A context manager: leaving it ends the connection (and Ray, if it was started here); the results of its runs are
    brought into this process before.

    Args:
        actions: decorated functions, modules, module names or paths of .py files.
        workflows: reference → path, YAML text or loaded workflow: what tasks may name besides actions.
        packs: folders of packs, whose actions and workflows are known by their references.
        config: a YAML file of what templates read as ``config``, over the values that a pack comes with.
        keystore: a YAML file of secrets, what templates read as ``keystore``; over it come the variables
            ``ATTUNE_KEYSTORE_<NAME>`` of the environment, by their names in lower case.
        observers: are told of every fact of every run.
        launch: how whoever made this engine can make it again, as JSON; kept with its runs.
        state: where its runs are kept, in place of what ``settings.state`` says.

    Raises:
        UsageError: an action source, a pack, the configuration or the keystore cannot be read.
        StateError: the place where runs are kept cannot be opened.
        InvalidWorkflowError: one of ``workflows``, or of the files of a pack, has problems.
    """

    def __init__(
        self,
        *,
        actions: Iterable[object] = (),
        settings: Settings | None = None,
        workflows: Mapping[str, str | Path | Workflow] | None = None,
        packs: Iterable[str | Path] = (),
        config: str | Path | None = None,
        keystore: str | Path | None = None,
        observers: Iterable[Observer] = (),
        clock: Clock | None = None,
        launch: Mapping[str, Any] | None = None,
        state: State | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._state = state
        self._launch = launch or {}
        opened = [load_pack(folder) for folder in packs]
        sources = [source for given in actions for source in sources_of(given)]
        self.catalog = Catalog([*sources, *(pack.source for pack in opened)])
        self.workflows = {ref: workflow for pack in opened for ref, workflow in pack.workflows.items()}
        self.workflows |= {ref: _loaded(source) for ref, source in (workflows or {}).items()}
        configs = {pack.ref: load_config(pack, config) for pack in opened}
        keys = load_keystore(keystore, os.environ)
        self.warnings = (*(found for pack in opened for found in pack.warnings), *keystore_warnings(keystore, keys))
        self._cluster = Cluster(self.settings.ray)
        clock = clock or SystemClock()
        results = ResultCache.of(clock, self.settings.limits)
        self._ray = RayExecutor(self.settings, self.catalog, self._cluster, results)
        self._inline = InlineExecutor(self.settings.fan_out, self.settings.limits, results)
        self._runs = Runs(
            world=World(
                route=self._route,
                recall=Recollection(
                    None if state is None else state.keeping.results, self.settings.limits.failed_items_listed
                ),
                clock=clock,
                limits=self.settings.limits,
                max_crashes=self.settings.fan_out.max_crashes,
                journal=None if state is None else state.journal,
                keeping=None if state is None else state.keeping,
            ),
            workflows=self.workflows,
            configs=configs,
            config=load_config(None, config) if config is not None else None,
            config_secrets=reduce(or_, (config_secrets(pack, configs[pack.ref]) for pack in opened), NO_SECRETS),
            keystore=keys,
            observers=tuple(observers),
            forget=self._ray.forget,
            inbox=None if state is None else state.inbox,
            answered=lambda mail: self._asking.questions.deliver(mail.key, mail.response),
            beat_s=1.0 if state is None else state.beat_s,
        )
        self._children = ChildExecutor(self._inline, self.settings.limits, self._runs.run_child)
        self._asking = AskExecutor(
            self._inline, Questions(self._tell_question, None if state is None else self._keep_question)
        )
        self._runner = asyncio.Runner()
        self._results: weakref.WeakSet[RunResult] = weakref.WeakSet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, source: str | Path | Workflow, parameters: Mapping[str, Any] | None = None) -> RunResult:
        """Run a workflow to its end; from code that runs in no event loop. Errors: see ``attune_ray.run``.

        ``source`` may also be the reference of a workflow that the engine knows.
        """
        return self._runner.run(self.arun(source, parameters))

    async def arun(
        self, source: str | Path | Workflow, parameters: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> RunResult:
        """The same in a running event loop; any number of runs may share it."""
        is_reference = isinstance(source, str) and source in self.workflows
        plan = self.plan(self.workflows[str(source)] if is_reference else _loaded(source))
        launch = {**self._launch, "reference": str(source)} if is_reference else self._launch
        given, run_id = dict(parameters or {}), run_id or _new_run_id()
        return await self._tidied(run_id, self._runs.run(plan, given, run_id=run_id, launch=launch))

    async def recover(self, run_id: str) -> RunResult:
        """Go on with a run that is kept and whose coordinator has died; one that has ended is given back.

        Raises:
            UsageError: there is no such run, or the engine keeps none.
            FencedError: its coordinator lives.
            StateError: what is kept of it cannot be read.
            InvalidWorkflowError: the workflow names actions that there are not.
        """
        history = await self._kept.claim(run_id)
        plan = self.plan(self._workflow_of(history))
        return await self._tidied(run_id, self._runs.recover(plan, history))

    def _workflow_of(self, history: History) -> Workflow:
        """The workflow of a run as it was then; of a pack's, what stands in its action's file is as it is now."""
        begun = history.begun
        if (reference := begun.launch.get("reference")) is None:
            return parse_workflow(begun.text, source=begun.source)
        if (known := self.workflows.get(reference)) is None:
            raise UsageError(f"run {begun.run_id} is of workflow {reference}: name the pack that it is in")
        if known.text == begun.text:
            return known
        owned = {name: getattr(known, name) for name in ("ref", "label", "description", "parameters", "output", "tags")}
        return parse_workflow(begun.text, source=begun.source, owned=owned)

    @property
    def _kept(self) -> Journal:
        if self._state is None:
            raise UsageError("this engine keeps no runs: give it settings with a state")
        return self._state.journal

    async def _tidied(self, run_id: str, work: Awaitable[RunResult]) -> RunResult:
        """What a run gives; what its chunks have left for a successor is not wanted any more."""
        result = await work
        self._results.add(result)
        if self._state is not None:
            folder = folder_of_run(run_id)
            forget_logs(folder)
            await self._ray.forget_logs(folder)
        return result

    def plan(self, workflow: Workflow) -> Plan:
        """The plan of a workflow whose actions are all known here.

        Raises:
            InvalidWorkflowError: it needs what there is not: an action, or a feature.
        """
        if problems := check_actions(workflow, self.catalog, self.workflows):
            raise InvalidWorkflowError(problems)
        return build(workflow)

    def connect(self) -> None:
        """Start or attach to Ray now, instead of when the first task needs it.

        Raises:
            UsageError: there is no cluster at the address, or it refuses us.
        """
        self._runner.run(self._cluster.slots())

    @property
    def live(self) -> list[LiveRun]:
        """The runs that have not ended: id, workflow and status; children come after their parents."""
        return self._runs.listed()

    def cancel(self, run_id: str | None = None, *, running: bool | None = None) -> None:
        """Ask a live run, or all of them, to end, with every run below; from any thread.

        Nothing new starts, what only waits ends. What works is let finish or stopped.

        Args:
            running: stop what works now; None: as each workflow's ``cancellation_policy`` says.

        Raises:
            UsageError: no run of that id is live.
        """
        self._runs.cancel(run_id, running=running)

    def pause(self, run_id: str | None = None) -> None:
        """Ask a live run, or all, to start nothing new, with every run below; from any thread.

        What runs is finished, recorded and published. A question can be answered meanwhile.

        Raises:
            UsageError: no run of that id is live.
        """
        self._runs.pause(run_id)

    def resume(self, run_id: str | None = None) -> None:
        """Ask a paused run, or all, to go on where it stood, with every run below; from any thread.

        Raises:
            UsageError: no run of that id is live.
        """
        self._runs.resume(run_id)

    @property
    def questions(self) -> list[Question]:
        """What live runs ask (``core.ask``), oldest first."""
        return self._asking.questions.open

    def answer(self, run_id: str, task: str, response: Any, *, index: int | None = None) -> None:
        """Answer a question of a live run, from any thread.

        Raises:
            UsageError: nobody asks that.
            InvalidParametersError: the answer does not fit the question's ``response_schema``.
        """
        self._asking.questions.answer(run_id, task, response, index)

    def close(self) -> None:
        """Bring the results of the runs into this process, and end the connection to Ray.

        Raises:
            StateError: something of a run that was told to nobody could not be kept.
        """
        for result in list(self._results):
            result.detach()
        self._cluster.close()
        with contextlib.closing(self._runner):
            if self._state is not None:
                self._runner.run(self._state.journal.close())

    async def _keep_question(self, question: Question) -> None:
        asked = Asked(
            run_id=question.run_id,
            task=question.task_run,
            index=question.index,
            at=self._runs.world.clock.now(),
            prompt=question.prompt,
            response_schema=question.response_schema,
            assigned_to=question.assigned_to,
        )
        await self._kept.write([asked])

    def _tell_question(self, question: Question) -> None:
        for observer in self._runs.observers:
            observer.asked(question.run_id, question.task, question.prompt)

    def _route(self, task: Task) -> tuple[Action, Executor[Any]]:
        """What a task runs, and where."""
        if task.type is TaskType.PARALLEL or task.action in self.workflows:
            return run_action(task.action or "parallel"), self._children
        action = self.catalog.get(task.action or "")
        if action is None:
            raise PermanentError(f"unknown action {task.action!r}")
        if action.ref == "core.ask":
            return action, self._asking
        if action.inline and task.is_placed:  # it is to run where the task says, which is on a worker
            return replace(action, inline=False), self._ray
        return action, self._inline if action.inline else self._ray


def _loaded(source: str | Path | Workflow) -> Workflow:
    return source if isinstance(source, Workflow) else load(source)


class SystemClock:
    """The time of this machine."""

    def now(self) -> str:
        """UTC, ISO 8601 with microseconds."""
        return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)


def _new_run_id() -> str:
    """An id that sorts by the time of its run and is easy to type: ``20261121-013054-9f3a1c``."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
