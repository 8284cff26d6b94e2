"""Starting runs: those that are asked for, and those that runs start themselves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.coordinator.outcome import RunResult
from attune_ray.coordinator.run import Coordinator, World
from attune_ray.coordinator.secrets import child_secrets, masked_bug, parameter_secrets
from attune_ray.engine import RunState, RunStatus, TaskStatus
from attune_ray.errors import Location, PermanentError
from attune_ray.model import Task, TaskType, Workflow, apply_schema
from attune_ray.plan import Plan, build
from attune_ray.ports import ChildOrder, ChildReport, Observer, RunContext
from attune_ray.values.secrets import NO_SECRETS, RunSecrets, Secrets

__all__ = ["Runs"]

_SUCCEEDED = {TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.NOT_RUN}


@dataclass(slots=True, kw_only=True)
class Runs:
    """Every live run of an engine, child runs included.

    Attributes:
        workflows: reference → workflow: what tasks may name besides actions.
        observers: see the runs that are asked for; of a child run they see the task that it is.
        live: run id → its coordinator; a child's id is its parent's, a slash, and its task.
        config: what templates read as ``config``; ``configs``: the same by pack, for the workflows of that pack.
        config_secrets: what must not be shown of ``config`` and ``configs``; of ``keystore`` it is all.
        forget: is told of every run that has ended, to let go of what was kept for it.
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
    live: dict[str, Coordinator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look through the keystore once."""
        self._secrets = RunSecrets(config=self.config_secrets, keystore=Secrets.of([self.keystore]))

    async def run(
        self,
        plan: Plan,
        given: Mapping[str, Any],
        *,
        run_id: str,
        depth: int = 1,
        inherited: RunSecrets | None = None,
    ) -> RunResult:
        """Run a plan to its end.

        Args:
            inherited: the secrets of the run that starts it; None: nobody does.

        Raises:
            InvalidParametersError: the parameters do not fit the workflow's schema.
        """
        workflow = plan.workflow
        parameters = apply_schema(workflow.parameters, given, location=Location(workflow.source))
        known = inherited or self._secrets
        own = parameter_secrets(workflow, given, parameters)
        context = RunContext(
            run_id=run_id,
            given=given,
            parameters=parameters,
            variables=dict(workflow.vars),
            config=self.configs.get((workflow.ref or "").rpartition(".")[0], self.config),
            keystore=self.keystore,
            secrets=replace(known, parameters=known.parameters | own),
            system={"workflow_start": self.world.clock.now(), "run_id": run_id},
            depth=depth,
        )
        return (await self._run(plan, context)).result

    async def run_child(self, order: ChildOrder) -> ChildReport:
        """Run what a task starts: a sub-workflow with its own variables, or parallel tasks that share the parent's.

        Raises:
            AttuneError: it cannot be started.
        """
        if order.task.type is TaskType.PARALLEL:
            return await self._run_parallel(order.task, replace(order.parent, run_id=order.run_id))
        depth = order.parent.depth + 1
        if depth > self.world.limits.depth:
            raise PermanentError(f"sub-workflows nest deeper than {self.world.limits.depth}")
        plan = build(self.workflows[order.task.action or ""])
        inherited = child_secrets(order.parent, order.given)
        result = await self.run(plan, order.given, run_id=order.run_id, depth=depth, inherited=inherited)
        completed = result.status is RunStatus.COMPLETED
        return ChildReport(
            succeeded=completed,
            data=result.result,
            error=result.result.get("error"),
            secrets=tuple(result.secrets.texts),
        )

    def cancel(self, *, running: bool) -> None:
        """Ask every live run to end; to be called in their loop."""
        for coordinator in list(self.live.values()):
            coordinator.cancel(running=running)

    async def _run_parallel(self, task: Task, context: RunContext) -> ChildReport:
        """All sub-tasks at once; it has succeeded if each of them has (LANGUAGE §4)."""
        ended = await self._run(build(Workflow(tasks=task.tasks)), context)
        views = {name: known.result for name, known in ended.result.tasks.items() if known.stored is not None}
        failed = [name for name, known in ended.result.tasks.items() if known.status not in _SUCCEEDED]
        before = context.variables
        published = {name: value for name, value in ended.context.variables.items() if before.get(name) is not value}
        return ChildReport(
            succeeded=not failed and ended.result.status is RunStatus.COMPLETED,
            data=views,
            error=f"{len(failed)} of {len(task.tasks)} sub-task(s) failed: {', '.join(failed)}" if failed else None,
            published=published or None,
            secrets=tuple(ended.result.secrets.texts),
        )

    async def _run(self, plan: Plan, context: RunContext) -> "_Ended":
        state = RunState(plan, self.world.limits.task_runs, self.world.max_crashes)
        is_child = "/" in context.run_id
        coordinator = Coordinator(plan, context, state, self.world, [] if is_child else list(self.observers))
        self.live[context.run_id] = coordinator
        try:
            return _Ended(await coordinator.run(), coordinator.context)
        except Exception as error:
            if not coordinator.secrets:
                raise
            raise masked_bug(error, coordinator.secrets) from None
        finally:
            del self.live[context.run_id]
            self.forget(context.run_id)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A run that has ended, and its context at the end."""

    result: RunResult
    context: RunContext
