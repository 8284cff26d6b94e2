"""Going on with a run: its facts are told again, and the orders that none of them answers are still to be performed."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from attune_ray.coordinator.shell import Shell
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
from attune_ray.records import Fact

__all__ = ["OpenOrder", "age_s", "latest", "replay"]

_Key = tuple[str, TaskRunId, int | None]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that was given, at a moment (UTC, ISO 8601), and not answered."""

    command: Command
    at: str


def replay(shell: Shell, facts: Iterable[Fact]) -> list[OpenOrder]:
    """Tell a new state and its shell what had happened, up to its end or to the last fact that is kept.

    Returns:
        The orders that were not answered, in the order in which they were given.

    Raises:
        IllegalTransitionError: these are not the facts of this plan.
    """
    orders: dict[_Key, OpenOrder] = {}
    for fact in latest(facts):
        shell.take(fact.event, fact.shell)
        commands = step(shell.state, fact.event)
        if (answered := _answered(fact.event)) is not None:
            orders.pop(answered, None)
        for command in commands:
            _settle(shell, command, fact.at)
            if isinstance(command, CutTask):
                orders = {key: order for key, order in orders.items() if key[1] != command.run}
            elif not isinstance(command, FinishRun):
                orders[_key(command)] = OpenOrder(command, fact.at)
    return list(orders.values())


def latest(facts: Iterable[Fact]) -> list[Fact]:
    """Facts of which some are told again: each once, where it was told first, as it was told last."""
    found: dict[object, Fact] = {}
    for place, fact in enumerate(facts):
        event = fact.event
        found[(event.run, event.chunk) if isinstance(event, ChunkDone | ChunkLost) else place] = fact
    return list(found.values())


def _settle(shell: Shell, command: Command, at: str) -> None:
    """Do what of an order belongs to the shell alone."""
    match command:
        case PrepareTask(run):
            shell.begin(run)
        case EvaluateTransitions():
            shell.close(command)
        case CutTask(run):
            shell.cut(run)
        case FinishRun():
            shell.finish(command, at)
        case _:
            pass


def _key(command: Command) -> _Key:
    """What an order and its answer have in common."""
    match command:
        case SubmitChunk(run, chunk) | FailChunk(run, chunk, _):
            return ("chunk", run, chunk.id)
        case CancelChunk(run, chunk_id):
            return ("cancel", run, chunk_id)
        case StartTimer(run, timer, _):
            return ("timer", run, timer)
        case EvaluateTransitions(run):
            return ("end", run, None)
        case PrepareTask(run) | CutTask(run):
            return ("prepare", run, None)
        case FinishRun():
            raise AssertionError("nothing answers the end of a run")


def _answered(event: Event) -> _Key | None:
    match event:
        case ChunkDone(run, chunk) | ChunkLost(run, chunk, _):
            return ("chunk", run, chunk)
        case TimerFired(run, timer):
            return ("timer", run, timer)
        case TaskPrepared(run) | TaskNotPrepared(run) | TaskSkipped(run):
            return ("prepare", run, None)
        case TransitionsEvaluated(run):
            return ("end", run, None)
        case _:
            return None


def age_s(at: str, now: str) -> float:
    """Seconds from one moment to another, both UTC, ISO 8601; none where the clock was set back."""
    return max(0.0, (dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(at)).total_seconds())
