"""Conditions, publishes and outputs: what the coordinator itself evaluates, from stored results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from attune_ray.engine import Outcome
from attune_ray.errors import EvaluationError, ExpressionError
from attune_ray.expression import ItemContext, WorkflowContext
from attune_ray.plan import Plan, PlanTask, PlanTransition
from attune_ray.ports import RunContext, StoredResult
from attune_ray.values.placement import Selector, selectors_of
from attune_ray.values.plain import plain

__all__ = ["Ending", "concurrency_of", "end_task", "render_output", "selectors_for", "workflow_context"]


class _Views(Mapping[str, Any]):
    """Task name → view, decoded when an expression names it."""

    __slots__ = ("_opened", "_results")

    def __init__(self, results: Mapping[str, StoredResult]) -> None:
        self._results = results
        self._opened: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._opened:
            self._opened[name] = self._results[name].view()
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


def workflow_context(
    context: RunContext, *, now: str, seed: str, views: Mapping[str, Any] | None = None
) -> WorkflowContext:
    """The context of an evaluation in the coordinator; ``views`` of results are shared by several."""
    return WorkflowContext(
        parameters=context.parameters,
        variables=context.variables,
        tasks=_Views(context.results) if views is None else views,
        config=context.config,
        keystore=context.keystore,
        system=context.system,
        now=now,
        seed=seed,
        around=context.around,
    )


def concurrency_of(task: PlanTask, scope: ItemContext) -> int | None:
    """Items at once, or None for as many as there is room for.

    Raises:
        EvaluationError: the template gives no number ≥ 1.
    """
    if task.concurrency is None:
        return task.task.concurrency if isinstance(task.task.concurrency, int) else None
    value = task.concurrency.render(scope)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EvaluationError("concurrency must be an integer ≥ 1", path="concurrency")
    return value


def selectors_for(task: PlanTask, scope: ItemContext) -> tuple[Selector, ...]:
    """The selectors of which a node must meet one to run the task.

    Raises:
        EvaluationError: a template has no value, or it is no placement.
    """
    if task.placement is None:
        return ()
    placement = task.placement.render(scope)
    return selectors_of(placement["worker_selector"], placement["worker_affinity"])


@dataclass(slots=True)
class Ending:
    """What the end of a task leads to: the fired transitions, and the variables after their publishes."""

    context: RunContext
    fired: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def end_task(task: PlanTask, context: RunContext, outcome: Outcome, *, now: str, seed: str) -> Ending:
    """Look at every transition of an ended task in order (LANGUAGE §4).

    All whose condition holds fire; what one publishes is seen by the conditions after it. A condition that errors
    counts as ``succeeded()``, a failed publish leaves its variable as it was; both are warnings.
    """
    ending, views = Ending(context), _Views(context.results)
    result = views[task.name] if task.reads_result else None
    any_decision = False
    for place, transition in enumerate(task.transitions):
        scope = workflow_context(ending.context, now=now, seed=seed, views=views).for_end(result, outcome)
        if transition.default and any_decision:
            continue
        if not _holds(transition, scope, ending, f"task {task.name}"):
            continue
        any_decision |= transition.decision and not transition.default
        ending.fired.append(place)
        if transition.publish:
            _publish(transition, scope, ending, f"task {task.name}")
    return ending


def _holds(transition: PlanTransition, scope: ItemContext, ending: Ending, where: str) -> bool:
    if transition.when is None:
        return True
    try:
        return bool(transition.when.render(scope))
    except ExpressionError as error:
        holds = scope.outcome == "succeeded"
        ending.warnings.append(f"{where}: {error}; it counts as {str(holds).lower()}")
        return holds


def _publish(transition: PlanTransition, scope: ItemContext, ending: Ending, where: str) -> None:
    """Entries see what the entries before them published: the scope reads the same dict.

    What is published is JSON, as a worker and a successor will see it.
    """
    variables = dict(ending.context.variables)
    scope.context.variables = variables
    for name, template in transition.publish:
        try:
            variables[name] = plain(scope.result if template is None else template.render(scope))
        except ExpressionError as error:
            ending.warnings.append(f"{where}: {error}; the variable keeps its value")
    version = ending.context.variables_version + 1
    ending.context = replace(ending.context, variables=variables, variables_version=version)


def render_output(plan: Plan, context: RunContext, *, now: str, seed: str) -> tuple[dict[str, Any], list[str]]:
    """The result of a completed run, and a warning for each output that has no value."""
    scope = workflow_context(context, now=now, seed=seed).for_task()
    output: dict[str, Any] = {}
    warnings: list[str] = []
    for name, template in plan.output.items():
        try:
            output[name] = template.render(scope)
        except ExpressionError as error:
            warnings.append(f"{error}; it is left out")
    return {**output, "succeeded": output.get("succeeded", True)}, warnings
