"""Runs that are kept, told again without anything that runs them: their actions may be gone."""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from attune_ray.actions import Action
from attune_ray.bootstrap.given import Given
from attune_ray.bootstrap.state import State
from attune_ray.bootstrap.wiring import SystemClock
from attune_ray.coordinator import RunResult, Runs, World
from attune_ray.coordinator.replay import OpenOrder, age_s, replay
from attune_ray.coordinator.shell import Shell, Told
from attune_ray.dispatch.keeping import Recollection
from attune_ray.engine import (
    CancelRequested,
    ChunkLost,
    Command,
    CutTask,
    EvaluateTransitions,
    FailChunk,
    FinishRun,
    Request,
    RunStarted,
    RunStatus,
    SubmitChunk,
    TaskRunId,
    TransitionsEvaluated,
    step,
)
from attune_ray.errors import PermanentError, StateError, UsageError
from attune_ray.model import Task, Workflow, parse_workflow
from attune_ray.plan import Plan, build
from attune_ray.ports import Executor, Recall
from attune_ray.records import Entry, Fact, History, RunBegun, RunEnded
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.values.keeping import ResultStore
from attune_ray.values.secrets import Secrets

__all__ = ["KeptRun", "cancel", "check_same", "digest_of", "retold", "tell_again", "workflow_of"]

_OWNED = ("ref", "label", "description", "parameters", "output", "tags")


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as it stands, or stood.

    Attributes:
        shell: as it was left; ``orders``: those that nobody has answered.
    """

    history: History
    shell: Shell
    orders: list[OpenOrder]

    @property
    def result(self) -> RunResult:
        """What it came to; of one that has not ended, what its tasks have come to."""
        return self.shell.result


def workflow_of(begun: RunBegun, workflows: Mapping[str, Workflow]) -> Workflow:
    """The workflow of a run as it was then; of a pack's, what stands in its action's file is as it is now.

    Raises:
        UsageError: it is a pack's that is not among ``workflows``.
        InvalidWorkflowError: it is none any more.
    """
    if (reference := begun.launch.get("reference")) is None:
        return parse_workflow(begun.text, source=begun.source)
    if (known := workflows.get(reference)) is None:
        raise UsageError(f"run {begun.run_id} is of workflow {reference}: name the pack that it is in")
    if known.text == begun.text:
        return known
    owned = {name: getattr(known, name) for name in _OWNED}
    return parse_workflow(begun.text, source=begun.source, owned=owned)


def check_same(begun: RunBegun, text: str, given: Mapping[str, Any]) -> None:
    """Whether a kept run is of this workflow, with these parameters.

    Raises:
        UsageError: it is not.
    """
    if begun.text != text:
        raise UsageError(
            f"run {begun.run_id} is of another workflow ({begun.title}), or its file has changed since: take "
            f"another id, or go on with it by `attune-ray resume {begun.run_id}`"
        )
    if begun.given != given:
        raise UsageError(f"run {begun.run_id} has other parameters: take another id")


def digest_of(given: Given) -> str | None:
    """What the secrets of keystore and configuration are known by; None: there are none.

    It is kept with a run, sealed, so that whoever shows it can tell whether these are still the same.
    """
    secrets = given.config_secrets | Secrets.of([given.keystore])
    if not secrets:
        return None
    return hashlib.blake2b(orjson.dumps(sorted(secrets.texts)), digest_size=16).hexdigest()


def tell_again(
    history: History,
    given: Given,
    results: ResultStore,
    *,
    until: str | None = None,
    max_failed_items: int = LimitSettings().failed_items_listed,
) -> KeptRun:
    """A run as what is kept of it tells; takes no more of ``given`` than there is.

    Args:
        until: the moment up to which what has not ended took (UTC, ISO 8601); None: that of its last fact.
        max_failed_items: named of each fan-out.

    Raises:
        InvalidWorkflowError: its workflow is none any more.
        StateError: results that are needed cannot be read.
    """
    plan = build(_workflow_as_far_as_known(history.begun, given))
    return retold(_runs(given, Recollection(results, max_failed_items)), plan, history, until=until)


def retold(runs: Runs, plan: Plan, history: History, *, until: str | None = None) -> KeptRun:
    """The same, by those that would have run it."""
    if history.ended is not None and plan.output.keys() <= history.ended.result.keys():
        plan = replace(plan, output={})  # no need to read all results for what is kept as well
    shell = runs.recalled(plan, history.begun)
    own = [fact for fact in history.facts if fact.run_id == history.begun.run_id]
    orders = replay(shell, own)
    _stand(shell, runs)
    last_at = until or (own[-1].at if own else history.begun.at)
    _take_times(shell, own, last_at)
    result, ended = shell.result, history.ended
    result.duration_s = age_s(history.begun.at, last_at if ended is None else ended.at)
    if ended is not None:
        result.result = dict(ended.result)
        names = plan.workflow.output_map if result.status is RunStatus.COMPLETED else ()
        result.output = {name: result.result[name] for name in names if name in result.result}
    return KeptRun(history, shell, orders)


def _workflow_as_far_as_known(begun: RunBegun, given: Given) -> Workflow:
    try:
        return workflow_of(begun, given.workflows)
    except UsageError:
        return parse_workflow(begun.text, source=begun.source)


def _runs(given: Given, recall: Recall) -> Runs:
    """Runs that can be told again, and not run."""

    def no_route(task: Task) -> tuple[Action, Executor[Any]]:
        raise PermanentError(f"{task.name} is not run here")

    world = World(
        route=no_route,
        recall=recall,
        clock=SystemClock(),
        limits=LimitSettings(),
        max_crashes=FanOutSettings().max_crashes,
    )
    return Runs(
        world=world,
        workflows=given.workflows,
        config=given.config,
        configs=given.configs,
        config_secrets=given.config_secrets,
        keystore=given.keystore,
    )


def _stand(shell: Shell, runs: Runs) -> None:
    """Say of a run that may not have ended what ``Shell.finish`` says of one that has."""
    result, state = shell.result, shell.state
    result.status, result.secrets, result.variables = state.status, shell.secrets, shell.context.variables
    for name, known in state.tasks.items():
        result.tasks[name].status, result.tasks[name].secrets = known.status, shell.secrets
    for run_id, work in shell.in_work.items():
        if work.now and shell.plan.tasks[run_id.task].is_fan_out:
            task = result.tasks[run_id.task]
            task.stats, task.stored = work.stats, runs.world.recall.result(work.kept(is_fan_out=True), succeeded=True)


def _take_times(shell: Shell, facts: Iterable[Fact], last_at: str) -> None:
    """Seconds of the tasks that told none, since they were cut, or have not ended: from the moments of their facts."""
    first: dict[TaskRunId, str] = {}
    last: dict[TaskRunId, str] = {}
    told: set[TaskRunId] = set()
    for fact in facts:
        if not isinstance(fact.event, RunStarted | Request):
            first.setdefault(fact.event.run, fact.shell.get("now", fact.at))
            last[fact.event.run] = fact.at
            if isinstance(fact.event, TransitionsEvaluated):
                told.add(fact.event.run)
    for name, known in shell.state.tasks.items():
        run = TaskRunId(name, known.n_runs)
        if run not in told:
            end = last_at if run in shell.state.live else last.get(run, last_at)
            shell.result.tasks[name].duration_s = age_s(first[run], end) if run in first else 0.0


async def cancel(state: State, run_id: str, given: Given) -> RunResult:
    """End a run as cancelled whose coordinator is dead; nothing of it is run any more.

    Raises:
        UsageError: there is no such run.
        FencedError: its coordinator lives.
        StateError: what is kept of it cannot be read, or its end cannot be kept.
    """
    history = await state.journal.claim(run_id)
    kept = tell_again(history, given, state.keeping.results)
    if history.ended is None:
        await state.journal.write(list(_cancelled(kept)))
    return kept.result


def _cancelled(kept: KeptRun) -> list[Entry]:
    """What is to be kept of a run that is cancelled, and of which nothing runs: whatever was under way is lost."""
    shell, at = kept.shell, SystemClock().now()
    entries: list[Entry] = []
    due: deque[Told] = deque([(CancelRequested(running=True), {}), *_answers(kept, at)])
    while due and not shell.state.has_ended:
        event, told = due.popleft()
        shell.take(event, told)
        commands = step(shell.state, event)
        is_secret = bool(shell.secrets)
        entries.append(Fact(run_id=shell.result.id, at=at, event=event, shell=told, is_secret=is_secret))
        for command in commands:
            due.extend(_settled(shell, command, at))
    result = shell.result
    shown = shell.secrets.masked(result.result)
    told = {"status": result.status, "result": result.result, "shown": shown}
    return [*entries, RunEnded(run_id=result.id, at=at, is_secret=bool(shell.secrets), **told)]


def _answers(kept: KeptRun, at: str) -> Iterable[Told]:
    """What answers the orders that were left, when nobody carries them out any more."""
    for order in kept.orders:
        match order.command:
            case SubmitChunk(run, chunk) | FailChunk(run, chunk, _):
                yield ChunkLost(run, chunk.id, "cancelled"), {}
            case EvaluateTransitions() as ending:
                yield _evaluated(kept.shell, ending, at)
            case _:
                pass


def _settled(shell: Shell, command: Command, at: str) -> Iterable[Told]:
    match command:
        case CutTask(run):
            shell.cut(run)
        case EvaluateTransitions():
            shell.close(command)
            yield _evaluated(shell, command, at)
        case FinishRun():
            shell.finish(command, at)
        case _:
            pass


def _evaluated(shell: Shell, ending: EvaluateTransitions, at: str) -> Told:
    try:
        return shell.evaluate(ending, at)
    except StateError:  # its results are lost: nothing starts after it in any case
        return TransitionsEvaluated(ending.run, ()), {}
