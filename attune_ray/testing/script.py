"""Actions whose outcomes are written down beforehand, and the record of what ran."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.actions import Action, Kind, Output
from attune_ray.actions.core import WAITING
from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.keeping import KeepsResults
from attune_ray.dispatch.orders import Held, now_of
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.dispatch.worker.attempt import Recorder
from attune_ray.dispatch.worker.program import Work
from attune_ray.dispatch.worker.reuse import recording
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import AttuneError, InvalidParametersError, Location
from attune_ray.expression import ItemContext, to_text
from attune_ray.model import apply_schema
from attune_ray.plan import Chunk, Shape
from attune_ray.ports import ChunkReport, TaskOrder
from attune_ray.settings import FanOutSettings, LimitSettings
from attune_ray.testing.clock import ManualClock

__all__ = ["Execution", "ScriptedExecutor", "scripted_action"]


@dataclass(slots=True)
class Execution:
    """One attempt of one item of one task run.

    Attributes:
        index: of the item; None for a plain task.
        attempt: 1-based.
        status: ``completed``, ``failed``, ``timeout`` or ``cancelled``.
        input: the parameters that the action received.
        started_s, ended_s: virtual seconds since the run began.
    """

    task: str
    index: int | None
    attempt: int
    input: dict[str, Any]
    started_s: float
    ended_s: float = 0.0
    status: str = "running"
    error: str | None = None


def scripted_action(ref: str) -> Action:
    """An action of this name that takes anything."""

    async def unreachable(**_: Any) -> None:
        raise AssertionError("a scripted action is never called")

    return Action(
        ref=ref,
        function=unreachable,
        kind=Kind.ASYNC,
        inline=True,
        names=None,
        required=frozenset(),
        signature="(**any)",
        nature="wait" if ref in WAITING else "work",
    )


def _inline() -> InlineExecutor:
    limits = LimitSettings()
    return InlineExecutor(FanOutSettings(), limits, ResultCache.of(ManualClock(), limits))


@dataclass(slots=True)
class ScriptedExecutor(KeepsResults):
    """Gives every attempt the outcome that its script says, after the virtual seconds that it says.

    A script is a mapping with one of ``data``, ``stdout``, ``fail`` (with ``exit_code``, ``stdout``), ``echo_input``,
    ``response`` or ``no_answer`` (for ``core.ask``), ``attempts`` (a script per attempt, the last one repeats),
    ``runs`` (per run of the task), ``by_input`` (``{param, cases: {text: script}, default}``); any of them with
    ``sleep`` in seconds.

    Attributes:
        scripts: action reference → script.
        schemas: action reference → JSON Schema of its parameters, whose defaults are filled in.
        default_concurrency: items at once where the task does not say.
        executions: everything that ran, in the order of starting.
        child_executions: the same of sub-workflows.
        inline: runs the actions that have no script, in this process.
    """

    scripts: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_concurrency: int = 1
    executions: list[Execution] = field(default_factory=list)
    child_executions: list[Execution] = field(default_factory=list)
    inline: InlineExecutor = field(default_factory=_inline)
    _orders: dict[int, TaskOrder] = field(default_factory=dict)

    async def open(self, order: TaskOrder) -> Held:
        """Open a task run; items run one chunk each, so that starts and ends are exact."""
        held = await self.inline.open(order)
        width = order.concurrency or self.default_concurrency
        held.shape = Shape(lanes=width, width=width, first_items=1, max_items=1)
        self._orders[id(held)] = order
        return held

    async def run(self, task: Held, chunk: Chunk) -> ChunkReport:
        """Play the script of each item of a chunk."""
        work: Work = task.work
        recorder, scopes = recording(work, chunk.items, attempt=chunk.attempt, now_s=now_of(task))
        began_s = asyncio.get_running_loop().time()
        unanswered = False
        for row, scope in scopes:
            index = chunk.items[row] if work.program.is_fan_out else None
            unanswered = await self._attempt(task, recorder, row, index, scope)
        elapsed_s = asyncio.get_running_loop().time() - began_s
        summary = recorder.summary(elapsed_s=elapsed_s, worker="simulated")
        summary = await self._kept(task, chunk, recorder.rows, summary)
        return replace(task.keep(chunk, LocalRows(recorder.rows), summary), timed_out=unanswered)

    async def salvage(self, task: Held, chunk: Chunk, age_s: float) -> ChunkReport:  # noqa: ARG002  as the port has it
        """Play it again: nothing is left of an attempt that was cut short."""
        return await self.run(task, chunk)

    def note(self, execution: Execution, depth: int) -> None:
        """Keep the record of an attempt, apart from those of sub-workflows."""
        (self.executions if depth == 1 else self.child_executions).append(execution)

    async def _attempt(self, task: Held, recorder: Recorder, row: int, index: int | None, scope: ItemContext) -> bool:
        """Play one attempt; whether it was a question that nobody answered."""
        work, loop = recorder.work, asyncio.get_running_loop()
        try:
            values = self._with_defaults(work, work.input_of(scope))
        except AttuneError as error:
            recorder.failed(row, scope, error, 0)
            return False
        execution = Execution(work.program.task, index, recorder.attempt, values, loop.time())
        order = self._orders[id(task)]
        self.note(execution, order.context.depth)
        script = self._script(work.action.ref, values, recorder.attempt, order.run.number)
        try:
            async with asyncio.timeout(work.program.timeout_s):
                await asyncio.sleep(float(script.get("sleep", 0)))
                if "no_answer" in script:
                    await asyncio.Event().wait()
        except TimeoutError:
            recorder.overran(row, scope, 0)
        except asyncio.CancelledError:
            execution.ended_s, execution.status = loop.time(), "cancelled"
            raise
        else:
            recorder.returned(row, scope, _outcome(script, values), 0)
        execution.ended_s = loop.time()
        execution.error = recorder.rows.error[row]
        unanswered = "no_answer" in script
        execution.status = "completed" if execution.error is None else "timeout" if unanswered else "failed"
        return unanswered

    def _with_defaults(self, work: Work, values: dict[str, Any]) -> dict[str, Any]:
        schema = self.schemas.get(work.action.ref)
        try:
            return apply_schema(schema, values, location=Location(work.action.ref))
        except InvalidParametersError as error:
            raise AttuneError(str(error)) from error

    def _script(self, ref: str, values: dict[str, Any], attempt: int, run: int) -> Mapping[str, Any]:
        script: Mapping[str, Any] = self.scripts[ref]
        while True:
            match script:
                case {"runs": [*runs]}:
                    script = {**_others(script, "runs"), **runs[min(run, len(runs)) - 1]}
                case {"attempts": [*attempts]}:
                    script = {**_others(script, "attempts"), **attempts[min(attempt, len(attempts)) - 1]}
                case {"by_input": {"param": name, "cases": cases, "default": default}}:
                    script = {**_others(script, "by_input"), **cases.get(to_text(values.get(name)), default)}
                case _:
                    return script


def _others(script: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in script.items() if name != key}


def _outcome(script: Mapping[str, Any], values: dict[str, Any]) -> Any:
    match script:
        case {"fail": error}:
            return Output(stdout=script.get("stdout"), exit_code=script.get("exit_code", 1), error=error)
        case {"echo_input": True}:
            return Output(data=values)
        case {"response": response}:
            return Output(data={"response": response})
        case {"stdout": text}:
            return Output(stdout=text)
        case _:
            return Output(data=script.get("data"))
