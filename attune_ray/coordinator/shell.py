"""What the shell of a run knows besides the engine's state: its context, its task runs in work, what it gives back.

Whatever of it a successor must know again travels with the facts of the run, as JSON (``records.Fact.shell``):

================================ ==================================================================================
fact                             keys
================================ ==================================================================================
RunStarted                       ``workflow_start``, as all of ``system``
TaskPrepared                     ``now``; ``earlier`` of a run that repeats one: what that one's chunks have given
ChunkDone, ChunkLost             ``saved``, ``worker``, ``decoded``, ``cached``, ``published``, ``secrets``; ``mended``
                                 where the chunk was run again since its results were damaged
TransitionsEvaluated             ``variables`` that were published, ``duration_s``
any                              ``warnings``
================================ ==================================================================================

So it takes a fact in the same way when it happens and when it is told again.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from attune_ray.coordinator.evaluate import end_task, render_output
from attune_ray.coordinator.outcome import FanOutStats, RunResult, TaskResult
from attune_ray.engine import (
    ChunkDone,
    ChunkLost,
    EvaluateTransitions,
    Event,
    FinishRun,
    RunState,
    TaskPrepared,
    TaskRunId,
    TransitionsEvaluated,
)
from attune_ray.plan import Chunk, Items, Plan
from attune_ray.plan.chunks import failed_for_good
from attune_ray.ports import ChunkReport, Executor, Kept, KeptPart, OpenTask, Recall, RunContext, StoredResult
from attune_ray.values.secrets import Secrets

__all__ = ["InWork", "Shell", "Told", "event_of", "items_from_json", "items_to_json", "told_of"]


Told = tuple[Event, Mapping[str, Any]]
"""A fact, and what it brings besides."""


@dataclass(slots=True)
class InWork:
    """A task run in work: who runs it, since when, and in which context.

    Attributes:
        context: of the run when the task run began: what its templates read, whatever is published later.
        now: the moment at which it was prepared.
        parts: chunk → what is kept of it, of a task run that is told again.
        earlier: what a run that this one repeats has given for it.
    """

    context: RunContext
    began_s: float = field(default_factory=time.perf_counter)
    now: str = ""
    executor: Executor[Any] | None = None
    open: OpenTask | None = None
    stats: FanOutStats = field(default_factory=FanOutStats)
    cpu_before_s: float = 0.0
    parts: dict[int, list[KeptPart]] = field(default_factory=dict)
    earlier: list[KeptPart] = field(default_factory=list)
    n_succeeded: int = 0

    def kept(self, *, is_fan_out: bool) -> Kept:
        """What its chunks have come to."""
        parts = [*self.earlier, *(part for chunk in self.parts.values() for part in chunk)]
        return Kept(
            is_fan_out=is_fan_out,
            n_items=self.stats.n_items,
            parts=tuple(parts),
            n_succeeded=self.n_succeeded,
            n_failed=self.stats.n_failed,
        )


class Shell:
    """The shell's part of a run; it waits for nothing, and performs nothing.

    Attributes:
        secrets: all that must not be shown of the run, as far as is known by now.
        in_work: task run → what is known of it, from its preparation to its end.
        told: task run that has ended → what is kept of it, of those that it was told again.
    """

    def __init__(self, plan: Plan, context: RunContext, state: RunState, recall: Recall) -> None:
        self.plan = plan
        self.context = context
        self.state = state
        self.secrets = context.secrets.all()
        self.in_work: dict[TaskRunId, InWork] = {}
        self.told: dict[TaskRunId, Kept] = {}
        self.result = RunResult(context.run_id, tasks={name: TaskResult(name) for name in plan.tasks})
        self._recall = recall

    def seed(self, run: TaskRunId) -> str:
        """What is random in a task run is derived from this: the same again after a resume."""
        return f"{self.context.run_id}/{run}"

    def hide(self, texts: Iterable[str]) -> None:
        """Learn of further secrets."""
        if found := frozenset(texts):
            self.secrets |= Secrets(found)

    def begin(self, run: TaskRunId) -> None:
        """A task run is to be prepared: it sees the context as it is now."""
        self.in_work[run] = InWork(self.context)

    def take(self, event: Event, told: Mapping[str, Any]) -> None:
        """Take what a fact brings besides, before the engine is told of it; of a late one nothing is taken."""
        match event:
            case TaskPrepared() if (work := self.in_work.get(event.run)) is not None:
                work.now = told.get("now", work.now)
                work.stats.n_items = event.n_items
                if (earlier := told.get("earlier")) is not None:
                    work.earlier = [KeptPart(items_from_json(items), saved) for items, saved in earlier]
                    work.n_succeeded = event.n_items - len(event.only or ())
            case ChunkDone() | ChunkLost():
                self._take_chunk(event, told)
            case TransitionsEvaluated():
                self._publish(told.get("variables", {}))
                self.result.tasks[event.run.task].duration_s = told.get("duration_s", 0.0)
        self.result.warnings += told.get("warnings", ())

    def _take_chunk(self, event: ChunkDone | ChunkLost, told: Mapping[str, Any]) -> None:
        work, chunk = self.in_work.get(event.run), self.in_flight(event)
        if work is None or chunk is None:
            return
        stats = work.stats
        stats.n_chunks += 1
        stats.n_failed += failed_for_good(chunk, event.n_succeeded, event.n_failed)
        stats.context_bytes_decoded += told.get("decoded", 0)
        stats.n_cached += told.get("cached", 0)
        stats.workers.add(told.get("worker", ""))
        work.n_succeeded += event.n_succeeded
        self.hide(told.get("secrets", ()))
        if told.get("published") is not None:
            self._publish(told["published"])
        if (saved := told.get("saved")) is not None and not isinstance(saved, orjson.Fragment):
            items = event.ended if isinstance(event, ChunkLost) else chunk.items[: event.n_succeeded + event.n_failed]
            mended = told.get("mended") or [[items_to_json(items), saved]]
            work.parts[event.chunk] = [KeptPart(items_from_json(items), saved) for items, saved in mended]

    def in_flight(self, event: ChunkDone | ChunkLost) -> Chunk | None:
        """The chunk that a report is of; None: it has been reported before."""
        run = self.state.live.get(event.run)
        return None if run is None or run.fan_out is None else run.fan_out.in_flight.get(event.chunk)

    def _publish(self, published: Mapping[str, Any]) -> None:
        if published:
            version = self.context.variables_version + 1
            variables = {**self.context.variables, **published}
            self.context = replace(self.context, variables=variables, variables_version=version)

    def close(self, command: EvaluateTransitions) -> None:
        """Close the result of a task run that has ended."""
        work = self.in_work.pop(command.run)
        succeeded = command.outcome == "succeeded"
        if command.error is not None:
            stored = self._recall.failure(command.error)
        else:
            stored = self._stored(command.run, work, succeeded=succeeded, cancelled=False)
        self._keep(command.run, work, stored)

    def cut(self, run: TaskRunId) -> None:
        """Keep what a task run has done that a cancellation has ended."""
        work = self.in_work.pop(run, None) or InWork(self.context)
        self._keep(run, work, self._stored(run, work, succeeded=False, cancelled=True))

    def _stored(self, run: TaskRunId, work: InWork, *, succeeded: bool, cancelled: bool) -> StoredResult:
        if work.executor is not None and work.open is not None:
            return work.executor.result(work.open, succeeded=succeeded, cancelled=cancelled)
        if not work.now:  # it was never prepared
            return self._recall.failure(None if cancelled else "not run")
        kept = self.told[run] = work.kept(is_fan_out=self.plan.tasks[run.task].is_fan_out)
        return self._recall.result(kept, succeeded=succeeded, cancelled=cancelled)

    def _keep(self, run: TaskRunId, work: InWork, stored: StoredResult) -> None:
        self.context = replace(self.context, results={**self.context.results, run.task: stored})
        known = self.result.tasks[run.task]
        work.stats.coordinator_s = time.thread_time() - work.cpu_before_s if work.open is not None else 0.0
        known.stored, known.stats = stored, work.stats
        known.duration_s = time.perf_counter() - work.began_s

    def evaluate(self, command: EvaluateTransitions, now: str) -> tuple[TransitionsEvaluated, dict[str, Any]]:
        """Find out what follows a task run that is closed: the fact, and what it brings besides."""
        run, before = command.run, self.context.variables
        ending = end_task(self.plan.tasks[run.task], self.context, command.outcome, now=now, seed=self.seed(run))
        after = ending.context.variables
        published = {name: value for name, value in after.items() if name not in before or before[name] is not value}
        told = {
            "variables": published,
            "warnings": [*map(self.secrets.mask, ending.warnings)],
            "duration_s": self.result.tasks[run.task].duration_s,
        }
        return TransitionsEvaluated(run, tuple(ending.fired)), told

    def finish(self, command: FinishRun, now: str) -> Sequence[str]:
        """Say what the run gives back; what went wrong in that, without secrets."""
        result = self.result
        result.status, result.secrets, result.variables = command.status, self.secrets, self.context.variables
        for name, known in self.state.tasks.items():
            result.tasks[name].status, result.tasks[name].secrets = known.status, self.secrets
        if command.error is not None:
            result.result = {"error": self.secrets.mask(command.error), "succeeded": False}
            return ()
        result.result, found = render_output(self.plan, self.context, now=now, seed=self.context.run_id)
        result.output = {name: value for name, value in result.result.items() if name in self.plan.output}
        warnings = [*map(self.secrets.mask, found)]
        result.warnings += warnings
        return warnings


def event_of(run: TaskRunId, chunk: Chunk, report: ChunkReport) -> ChunkDone | ChunkLost:
    """The report of a chunk as the engine is told of it."""
    lost = report.lost
    if lost is None:
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
    return ChunkLost(
        run,
        chunk.id,
        lost.reason,
        ended=lost.ended,
        running=lost.running,
        n_succeeded=report.n_succeeded,
        n_failed=report.n_failed,
        retryable=report.retryable,
        retry_after_s=report.retry_after_s,
        blameless=lost.blameless,
    )


def told_of(report: ChunkReport) -> dict[str, Any]:
    """What the report of a chunk brings besides its fact."""
    told: dict[str, Any] = {"worker": report.worker}
    if report.context_bytes_decoded:
        told["decoded"] = report.context_bytes_decoded
    if report.n_cached:
        told["cached"] = report.n_cached
    if report.secrets:
        told["secrets"] = list(report.secrets)
    if report.published is not None:
        told["published"] = report.published
    if report.saved is not None:
        told["saved"] = orjson.Fragment(report.saved)
    return told


def items_to_json(items: Items) -> dict[str, Any]:
    """Items of a chunk as JSON."""
    if isinstance(items, range):
        return {"from": items.start, "to": items.stop}
    return {"each": list(items)}


def items_from_json(told: Mapping[str, Any]) -> Items:
    """The items of ``items_to_json``."""
    return range(told["from"], told["to"]) if "from" in told else tuple(told["each"])
