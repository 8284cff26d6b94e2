"""Adapters, wired: what runs the tasks of an engine, where, and who is told."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any

from attune_ray.actions import Action
from attune_ray.bootstrap.given import Given
from attune_ray.bootstrap.state import State
from attune_ray.coordinator import RunResult, Runs, World
from attune_ray.dispatch.ask import AskExecutor, Question, Questions
from attune_ray.dispatch.children import ChildExecutor, run_action
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.executor import RayExecutor
from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.keeping import Recollection
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.errors import PermanentError
from attune_ray.model import Task, TaskType
from attune_ray.ports import Clock, Executor, Observer
from attune_ray.records import Asked
from attune_ray.settings import Settings
from attune_ray.values.keeping import folder_of_run

__all__ = ["SystemClock", "Wiring"]


class Wiring:
    """The parts of an engine, each with what it needs of the others.

    Attributes:
        cluster: the connection to Ray; ``questions``: what live runs ask.
        runs: starts runs, and knows those that live.
        recall: finds results that no executor has.
    """

    def __init__(
        self, given: Given, settings: Settings, state: State | None, observers: Iterable[Observer], clock: Clock
    ) -> None:
        self._given = given
        self._state = state
        self.cluster = Cluster(settings.ray)
        reused = ResultCache.of(clock, settings.limits)
        self._ray = RayExecutor(settings, given.catalog, self.cluster, reused)
        self._inline = InlineExecutor(settings.fan_out, settings.limits, reused)
        self.questions = Questions(self._tell_question, None if state is None else self._keep_question)
        self.recall = Recollection(
            None if state is None else state.keeping.results, settings.limits.failed_items_listed
        )
        self.runs = Runs(
            world=World(
                route=self._route,
                recall=self.recall,
                clock=clock,
                limits=settings.limits,
                max_crashes=settings.fan_out.max_crashes,
                journal=None if state is None else state.journal,
                keeping=None if state is None else state.keeping,
            ),
            workflows=given.workflows,
            configs=given.configs,
            config=given.config,
            config_secrets=given.config_secrets,
            keystore=given.keystore,
            observers=tuple(observers),
            forget=self._ray.forget,
            inbox=None if state is None else state.inbox,
            answered=lambda mail: self.questions.deliver(mail.key, mail.response),
            beat_s=1.0 if state is None else state.beat_s,
        )
        self._children = ChildExecutor(self._inline, settings.limits, self.runs.run_child)
        self._asking = AskExecutor(self._inline, self.questions)

    async def tidied(self, run_id: str, work: Awaitable[RunResult]) -> RunResult:
        """What a run gives; what its chunks have left for a successor is not wanted any more."""
        result = await work
        if self._state is not None:
            folder = folder_of_run(run_id)
            self._inline.spool.forget(folder)
            await self._ray.forget_logs(folder)
        return result

    def close(self) -> None:
        """End the connection to Ray, when what its workers have recorded is here."""
        self._ray.gather_recordings()
        self.cluster.close()
        self._inline.spool.close()

    def _route(self, task: Task) -> tuple[Action, Executor[Any]]:
        """What a task runs, and where."""
        if task.type is TaskType.PARALLEL or task.action in self._given.workflows:
            return run_action(task.action or "parallel"), self._children
        action = self._given.catalog.get(task.action or "")
        if action is None:
            raise PermanentError(f"unknown action {task.action!r}")
        if action.ref == "core.ask":
            return action, self._asking
        if action.inline and task.is_placed:  # it is to run where the task says, which is on a worker
            return replace(action, inline=False), self._ray
        return action, self._inline if action.inline else self._ray

    def _tell_question(self, question: Question) -> None:
        for observer in self.runs.observers:
            observer.asked(question.run_id, question.task, question.prompt)

    async def _keep_question(self, question: Question) -> None:
        """Keep a question, so that it can be answered in another process."""
        if self._state is not None:
            asked = Asked(
                run_id=question.run_id,
                task=question.task_run,
                index=question.index,
                at=self.runs.world.clock.now(),
                prompt=question.prompt,
                response_schema=question.response_schema,
                assigned_to=question.assigned_to,
            )
            await self._state.journal.write([asked])


class SystemClock:
    """The time of this machine."""

    def now(self) -> str:
        """UTC, ISO 8601 with microseconds."""
        return f"{dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)
