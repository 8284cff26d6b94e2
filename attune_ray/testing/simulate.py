"""Evaluate, render, and simulate runs without a cluster."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from attune_ray.coordinator import RunResult
from attune_ray.expression import ItemContext, WorkflowContext, compile_condition, compile_expression, compile_value
from attune_ray.model import Workflow, parse_workflow, to_json_schema
from attune_ray.plan import build
from attune_ray.ports import Observer
from attune_ray.testing.clock import VirtualLoop
from attune_ray.testing.script import Execution, ScriptedExecutor
from attune_ray.testing.stage import RUN_ID, RunRequest, Stage, ask_for

__all__ = ["Simulation", "condition", "evaluate", "load_workflow", "render", "simulate"]


def load_workflow(text: str) -> Workflow:
    """Parse and check the YAML text of a workflow.

    Raises:
        InvalidWorkflowError: with all its problems.
    """
    return parse_workflow(text)


def evaluate(expression: str, context: Mapping[str, Any] | None = None) -> Any:
    """The value of one expression, written without braces.

    Args:
        context: any of ``parameters``, ``vars``, ``task``, ``config``, ``keystore``, ``item``, ``index``, and
            ``last`` (``{result, outcome}``) for ``result()`` and its like.

    Raises:
        ExpressionError: it cannot be compiled, or has no value here.

    >>> evaluate("length(parameters.xs) * 2", {"parameters": {"xs": [1, 2, 3]}})
    6
    """
    return compile_expression(expression).render(_scope(context or {}))


def render(template: Any, context: Mapping[str, Any] | None = None) -> Any:
    """A JSON value with its templates rendered; types are kept where a text is one expression and nothing else.

    >>> render({"n": "{{ item }}", "text": "item {{ item }}"}, {"item": 5, "index": 0})
    {'n': 5, 'text': 'item 5'}
    """
    return compile_value(template).render(_scope(context or {}))


def condition(text: str, context: Mapping[str, Any] | None = None) -> bool:
    """Whether a condition holds, with or without braces.

    >>> condition("result().code == 200", {"last": {"result": {"code": 200}, "outcome": "succeeded"}})
    True
    """
    return bool(compile_condition(text).render(_scope(context or {})))


@dataclass(slots=True)
class Simulation:
    """A simulated run.

    Attributes:
        status: ``completed``, ``failed`` or ``cancelled``.
        result: what the run returns.
        variables: the workflow variables at its end.
        executions: every attempt of every item of its own tasks, in the order of starting.
        child_executions: the same of the tasks of its sub-workflows, of all levels.
        warnings: what went wrong without failing the run.
        run: the whole of it, as ``Engine.run`` returns it.
    """

    status: str
    result: dict[str, Any]
    variables: dict[str, Any]
    executions: list[Execution]
    child_executions: list[Execution]
    warnings: list[str]
    run: RunResult = field(repr=False)


def simulate(
    workflow: str | Workflow,
    *,
    parameters: Mapping[str, Any] | None = None,
    actions: Mapping[str, Mapping[str, Any]] | None = None,
    workflows: Mapping[str, str] | None = None,
    parameter_schema: Mapping[str, Any] | None = None,
    action_schemas: Mapping[str, Mapping[str, Any]] | None = None,
    config: Any = None,
    keystore: Any = None,
    default_concurrency: int = 1,
    requests: Iterable[tuple[float, RunRequest]] = (),
    observers: tuple[Observer, ...] = (),
) -> Simulation:
    """Run a workflow on the real engine with scripted actions, in virtual time and in this process.

    Args:
        workflow: YAML text, or a loaded workflow.
        actions: action reference → script, see ``ScriptedExecutor``; ``core.*`` ones that have none are real.
        workflows: reference → YAML text of actions that are workflows.
        parameter_schema: a schema in place of the workflow's own.
        action_schemas: action reference → schema of its parameters.
        default_concurrency: items at once where a task does not say.
        requests: virtual seconds and ``pause``, ``resume``, ``cancel`` (as the workflow's policy says),
            ``allow_finish`` or ``cancel_running``: what somebody asks of the run then.

    Raises:
        InvalidWorkflowError: the workflow has problems.
        InvalidParametersError: the parameters do not fit its schema.

    >>> run = simulate(
    ...     "tasks: [{name: a, action: t.a, next: [{do: b}]}, {name: b, action: t.b}]",
    ...     actions={"t.a": {"data": 1, "sleep": 5}, "t.b": {"data": 2, "sleep": 5}},
    ...     requests=[(2, "pause"), (60, "resume"), (61, "cancel_running")],
    ... )
    >>> run.status, [(e.task, e.started_s, e.status) for e in run.executions]
    ('cancelled', [('a', 0.0, 'completed'), ('b', 60.0, 'cancelled')])
    """
    loaded = workflow if isinstance(workflow, Workflow) else load_workflow(workflow)
    if parameter_schema is not None:
        loaded = replace(loaded, parameters=to_json_schema(parameter_schema))
    scripted = ScriptedExecutor(
        actions or {},
        {ref: to_json_schema(schema) for ref, schema in (action_schemas or {}).items()},
        default_concurrency,
    )
    stage = Stage(scripted, {ref: load_workflow(text) for ref, text in (workflows or {}).items()})
    runs = stage.runs(config=config, keystore=keystore, observers=observers)

    async def work() -> RunResult:
        loop = asyncio.get_running_loop()
        for due_s, request in sorted(requests, key=itemgetter(0)):
            loop.call_at(due_s, ask_for, runs, request)
        return await runs.run(build(loaded), dict(parameters or {}), run_id=RUN_ID)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work())
    return Simulation(
        status=result.status.value,
        result=result.result,
        variables=dict(result.variables),
        executions=scripted.executions,
        child_executions=scripted.child_executions,
        warnings=result.warnings,
        run=result,
    )


def _scope(context: Mapping[str, Any]) -> ItemContext:
    scope = WorkflowContext(
        parameters=context.get("parameters", {}),
        variables=context.get("vars", {}),
        tasks=context.get("task", {}),
        config=context.get("config"),
        keystore=context.get("keystore"),
        system={"workflow_start": "2026-01-01T00:00:00.000000Z", "run_id": RUN_ID},
        now="2026-01-01T00:00:00.000000Z",
        seed="",
    ).for_task()
    if "item" in context:
        scope.item = context["item"]
    if "index" in context:
        scope.index = context["index"]
    if "last" in context:
        scope.result, scope.outcome = context["last"]["result"], context["last"]["outcome"]
    return scope
