"""Running workflows: what a caller does with an engine."""

import asyncio
import contextlib
import datetime as dt
import secrets
import weakref
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from attune_ray.bootstrap.given import gather, loaded, parameters_of
from attune_ray.bootstrap.kept import check_same, digest_of, retold, workflow_of
from attune_ray.bootstrap.state import State, open_state
from attune_ray.bootstrap.wiring import SystemClock, Wiring
from attune_ray.coordinator import LiveRun, RunResult
from attune_ray.dispatch.ask import Question
from attune_ray.errors import InvalidWorkflowError, UsageError
from attune_ray.model import Workflow
from attune_ray.plan import Plan, build
from attune_ray.plan.actions import check_actions
from attune_ray.ports import Clock, Journal, Observer
from attune_ray.records import History
from attune_ray.settings import Settings

__all__ = ["Engine", "run"]

_ALL = 2**63
_MOST_PLANS = 64
"""Of loaded workflows that an engine is given again and again; a plan takes ~50 KB and 0.3 ms."""


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
        UsageError: a file, an action source or the cluster's address is wrong, or parameters are no JSON object.

    >>> result = run("tasks: [{name: hello, action: core.echo, input: {message: 'Hello {{ parameters.who }}'}}]",
    ...              {"who": "world"})
    >>> result.status.value, result.task("hello").result["stdout"]
    ('completed', 'Hello world')
    """
    with Engine(actions=actions, settings=settings) as engine:
        return engine.run(source, parameters)


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
        self._state = state or (None if self.settings.state is None else open_state(self.settings.state))
        self._launch = launch or {}
        given = gather(actions, workflows or {}, packs, config, keystore)
        self.catalog, self.workflows, self.warnings = given.catalog, given.workflows, given.warnings
        self._secrets = digest_of(given)
        self._wiring = Wiring(given, self.settings, self._state, observers, clock or SystemClock())
        self._plans: dict[int, Plan] = {}
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
        """The same in a running event loop; any number of runs may share it.

        Args:
            run_id: its own; where a run of that id is kept, it is not run again: it is gone on with or given back.

        Raises:
            UsageError: the run of that id is of another workflow, or has other parameters.
            FencedError: it is being run by another coordinator.
        """
        is_reference = isinstance(source, str) and source in self.workflows
        plan = self.plan(self.workflows[str(source)] if is_reference else loaded(source))
        launch = {**self._launch, "reference": str(source)} if is_reference else self._launch
        launch = launch if self._secrets is None else {**launch, "secrets": self._secrets}
        given = parameters_of(parameters)
        if run_id is None:
            run_id = _new_run_id()
        elif self._state is not None and await self._has_begun(run_id, plan.workflow, given):
            return await self.recover(run_id)
        return await self._ended(run_id, self._wiring.runs.run(plan, given, run_id=run_id, launch=launch))

    async def _has_begun(self, run_id: str, workflow: Workflow, given: Mapping[str, Any]) -> bool:
        """Whether that very run is kept."""
        try:
            begun = (await self._kept.read(run_id)).begun
        except UsageError:
            return False
        check_same(begun, workflow.text, given)
        return True

    async def recover(self, run_id: str) -> RunResult:
        """Go on with a run that is kept and whose coordinator has died; one that has ended is given back.

        Raises:
            UsageError: there is no such run, or the engine keeps none.
            FencedError: its coordinator lives.
            StateError: what is kept of it cannot be read.
            InvalidWorkflowError: the workflow names actions that there are not.
        """
        history = await self._kept.claim(run_id)
        if history.ended is not None:
            return self._recalled(history)
        plan = self.plan(self._workflow_of(history))
        return await self._ended(run_id, self._wiring.runs.recover(plan, history))

    async def rerun(self, run_id: str, *, from_task: str | None = None, new_id: str | None = None) -> RunResult:
        """Run a part of an ended run again, as a new run, with the results of all that is not repeated.

        Args:
            from_task: the task to begin with, and all that follows it; None: what failed (of fan-outs only the items
                that have not succeeded), and what follows that.
            new_id: of the new run.

        Raises:
            UsageError: there is no such run or task, it has not ended, or nothing of it has failed.
        """
        history = await self._kept.read(run_id)
        plan, new_id = self.plan(self._workflow_of(history)), new_id or _new_run_id()
        every = replace(self._wiring.recall, max_failed_items=_ALL)
        return await self._ended(
            new_id, self._wiring.runs.rerun(plan, history, every, run_id=new_id, from_task=from_task)
        )

    async def recall(self, run_id: str) -> RunResult:
        """What is kept of a run, as it stands: of one that has not ended, what its tasks have come to."""
        return self._recalled(await self._kept.read(run_id))

    def _recalled(self, history: History) -> RunResult:
        return retold(self._wiring.runs, build(self._workflow_of(history)), history).result

    def _workflow_of(self, history: History) -> Workflow:
        return workflow_of(history.begun, self.workflows)

    @property
    def _kept(self) -> Journal:
        if self._state is None:
            raise UsageError("this engine keeps no runs: give it settings with a state")
        return self._state.journal

    async def _ended(self, run_id: str, work: Awaitable[RunResult]) -> RunResult:
        result = await self._wiring.tidied(run_id, work)
        self._results.add(result)
        return result

    def plan(self, workflow: Workflow) -> Plan:
        """The plan of a workflow whose actions are all known here.

        Raises:
            InvalidWorkflowError: it needs what there is not: an action, or a feature.
        """
        if (known := self._plans.get(id(workflow))) is not None:
            return known
        if problems := check_actions(workflow, self.catalog, self.workflows):
            raise InvalidWorkflowError(problems, workflow.warnings)
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        found = self._plans[id(workflow)] = build(workflow)  # it holds the workflow, whose id stays its own
        return found

    def connect(self) -> None:
        """Start or attach to Ray now, instead of when the first task needs it.

        Raises:
            UsageError: there is no cluster at the address, or it refuses us.
        """
        self._runner.run(self._wiring.cluster.slots())

    @property
    def live(self) -> list[LiveRun]:
        """The runs that have not ended: id, workflow and status; children come after their parents."""
        return self._wiring.runs.listed()

    def cancel(self, run_id: str | None = None, *, running: bool | None = None) -> None:
        """Ask a live run, or all of them, to end, with every run below; from any thread.

        Nothing new starts, what only waits ends. What works is let finish or stopped.

        Args:
            running: stop what works now; None: as each workflow's ``cancellation_policy`` says.

        Raises:
            UsageError: no run of that id is live.
        """
        self._wiring.runs.cancel(run_id, running=running)

    def pause(self, run_id: str | None = None) -> None:
        """Ask a live run, or all, to start nothing new, with every run below; from any thread.

        What runs is finished, recorded and published. A question can be answered meanwhile.

        Raises:
            UsageError: no run of that id is live.
        """
        self._wiring.runs.pause(run_id)

    def resume(self, run_id: str | None = None) -> None:
        """Ask a paused run, or all, to go on where it stood, with every run below; from any thread.

        Raises:
            UsageError: no run of that id is live.
        """
        self._wiring.runs.resume(run_id)

    @property
    def questions(self) -> list[Question]:
        """What live runs ask (``core.ask``), oldest first."""
        return self._wiring.questions.open

    def answer(self, run_id: str, task: str, response: Any, *, index: int | None = None) -> None:
        """Answer a question of a live run, from any thread.

        Raises:
            UsageError: nobody asks that.
            InvalidParametersError: the answer does not fit the question's ``response_schema``.
        """
        self._wiring.questions.answer(run_id, task, response, index)

    def close(self) -> None:
        """Bring the results of the runs into this process, and end the connection to Ray.

        Raises:
            StateError: something of a run that was told to nobody could not be kept.
        """
        for result in list(self._results):
            result.detach()
        self._wiring.close()
        with contextlib.closing(self._runner):
            if self._state is not None:
                self._runner.run(self._state.journal.close())


def _new_run_id() -> str:
    """An id that sorts by the time of its run and is easy to type: ``20261121-013054-9f3a1c``."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
