"""``core.ask``: a task that waits for an answer given from outside."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.keeping import KeepsResults
from attune_ray.dispatch.orders import Held
from attune_ray.dispatch.worker.attempt import Recorder
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import ActionTimeoutError, AttuneError, Location, PermanentError, StateError, UsageError
from attune_ray.expression import ItemContext
from attune_ray.model import apply_schema, to_json_schema
from attune_ray.plan import Chunk
from attune_ray.ports import ChunkReport, TaskOrder
from attune_ray.records import QuestionKey
from attune_ray.values.secrets import Secrets

__all__ = ["AskExecutor", "Question", "Questions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that a run wants to know.

    Attributes:
        task_run: as ``TaskRunId`` is written; ``task``: its name alone.
        index: of the item, for a fan-out; else None.
        prompt: as it may be shown, without secrets.
        response_schema: a flat or JSON Schema that the answer must fit, or None.
        assigned_to: who should answer, as the workflow says it.
    """

    run_id: str
    task: str
    task_run: str
    index: int | None
    prompt: str
    response_schema: Mapping[str, Any] | None = None
    assigned_to: Any = None

    @property
    def key(self) -> QuestionKey:
        """What it is known by where it is kept."""
        return self.run_id, self.task_run, self.index

    def check(self, response: Any) -> Any:
        """The answer with the schema's defaults filled in.

        Raises:
            InvalidParametersError: it does not fit; carries all problems.
            UsageError: it is no object although the schema describes one.
        """
        if self.response_schema is None:
            return response
        if not isinstance(response, Mapping):
            raise UsageError(f"the answer to task {self.task!r} must be an object, as its response_schema says")
        return apply_schema(to_json_schema(self.response_schema), response, location=Location(f"answer to {self.task}"))


@dataclass(slots=True)
class Questions:
    """The questions that wait for an answer.

    Attributes:
        told: is called with each new question.
        keep: is awaited with each before it is asked, so that its answer may come from another process.
    """

    told: Callable[[Question], None] = field(default=lambda _: None)
    keep: Callable[[Question], Awaitable[None]] | None = None
    _open: dict[tuple[str, str, int | None], tuple[Question, asyncio.Future[Any]]] = field(default_factory=dict)
    _early: dict[QuestionKey, Any] = field(default_factory=dict)

    @property
    def open(self) -> list[Question]:
        """Those without an answer, oldest first."""
        return [question for question, _ in self._open.values()]

    def answer(self, run_id: str, task: str, response: Any, index: int | None = None) -> None:
        """Answer a question; from any thread.

        Raises:
            UsageError: nobody asks that.
            InvalidParametersError: the answer does not fit the question's schema.
        """
        key = (run_id, task, index)
        if key not in self._open:
            waiting = ", ".join(f"{q.run_id} {q.task}" for q in self.open) or "none"
            raise UsageError(f"run {run_id} asks nothing in task {task!r}; open questions: {waiting}")
        question, future = self._open[key]
        checked = question.check(response)
        future.get_loop().call_soon_threadsafe(_answer, future, checked)

    def deliver(self, key: QuestionKey, response: Any) -> None:
        """Take an answer from another process; in the loop. It may come before its question is asked again."""
        for question, future in self._open.values():
            if question.key == key:
                _answer(future, response)
                return
        self._early[key] = response

    async def ask(self, question: Question) -> Any:
        """Wait for the answer.

        Raises:
            StateError: the question cannot be kept.
        """
        if self.keep is not None:
            await self.keep(question)
        if question.key in self._early:
            return self._early.pop(question.key)
        key = (question.run_id, question.task, question.index)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[key] = (question, future)
        self.told(question)
        try:
            return await future
        finally:
            del self._open[key]


def _answer(future: asyncio.Future[Any], response: Any) -> None:
    if not future.done():
        future.set_result(response)


@dataclass(slots=True, kw_only=True)
class _HeldQuestion(Held):
    """A task run that asks."""

    run_id: str
    run: str


@dataclass(frozen=True, slots=True)
class AskExecutor(KeepsResults):
    """Each item is a question; unanswered within the task's timeout it ends as timed out."""

    inline: InlineExecutor
    questions: Questions

    async def open(self, order: TaskOrder) -> _HeldQuestion:
        """Open the items; all their questions are asked at once unless ``concurrency`` says otherwise."""
        held = await self.inline.open(order)
        width = order.concurrency or max(1, held.n_items)
        shape = replace(held.shape, lanes=width, slots=width, width=width, lane_width=1, first_items=1, max_items=1)
        return _HeldQuestion(
            program=held.program,
            n_items=held.n_items,
            shape=shape,
            work=held.work,
            items=held.items,
            max_failed_items=held.max_failed_items,
            keeping=held.keeping,
            prefix=held.prefix,
            parts=held.parts,
            n_succeeded=held.n_succeeded,
            n_failed=held.n_failed,
            run_id=order.context.run_id,
            run=str(order.run),
        )

    async def run(self, task: _HeldQuestion, chunk: Chunk) -> ChunkReport:
        """Ask the questions of a chunk, one after the other."""
        return await self.salvage(task, chunk, 0.0)

    async def salvage(self, task: _HeldQuestion, chunk: Chunk, age_s: float) -> ChunkReport:
        """The same: a question that was kept is still asked, for the time that is left."""
        recorder = Recorder.of(task.work, chunk.items, chunk.attempt)
        timed_out = False
        for row, (index, scope) in enumerate(task.work.scopes(chunk.items)):
            timed_out = await self._ask(task, recorder, row, index, scope, age_s=age_s)
        rows = recorder.ended_rows()
        summary = await self._kept(task, chunk, rows, recorder.summary(elapsed_s=0.0, worker=""))
        return replace(task.keep(chunk, LocalRows(rows), summary), timed_out=timed_out)

    async def _ask(
        self, task: _HeldQuestion, recorder: Recorder, row: int, index: int | None, scope: ItemContext, *, age_s: float
    ) -> bool:
        """One question, its outcome recorded; whether nobody answered in time."""
        timeout_s = recorder.work.program.timeout_s
        try:
            question = _question(task, index, recorder.work.input_of(scope), recorder.work.program.secrets)
            async with asyncio.timeout(None if timeout_s is None else max(0.0, timeout_s - age_s)):
                response = await self.questions.ask(question)
        except TimeoutError:
            recorder.failed(row, scope, ActionTimeoutError(f"No answer within {timeout_s:g} seconds"), 0)
            return True
        except StateError:
            raise
        except AttuneError as error:
            recorder.failed(row, scope, error, 0)
        else:
            recorder.returned(row, scope, {"response": response}, 0)
        return False


def _question(task: _HeldQuestion, index: int | None, values: Mapping[str, Any], secrets: Secrets) -> Question:
    schema = values.get("response_schema")
    if schema is not None and not isinstance(schema, Mapping):
        raise PermanentError("core.ask: response_schema must be an object")
    return Question(
        run_id=task.run_id,
        task=task.program.task,
        task_run=task.run,
        index=index,
        prompt=secrets.mask(str(values.get("prompt", ""))),
        response_schema=schema,
        assigned_to=values.get("assigned_to"),
    )
