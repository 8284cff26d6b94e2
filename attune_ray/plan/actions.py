"""What a workflow asks of its surroundings: actions that exist, take its input, and run where it says."""

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Final

from attune_ray.actions import Action, Catalog
from attune_ray.errors import Problem
from attune_ray.model import Task, TaskType, Workflow
from attune_ray.model.places import Places
from attune_ray.values.words import did_you_mean, key_path

__all__ = ["check_actions"]

_OPENING: Final = {"patternProperties", "allOf", "anyOf", "oneOf", "if", "$ref"}
"""Keywords by which a schema may allow names beside its properties."""


def check_actions(workflow: Workflow, catalog: Catalog, workflows: Collection[str] = ()) -> tuple[Problem, ...]:
    """Every problem that running this workflow with these actions, and these sub-workflows, would meet."""
    checker = _Checker(workflow, catalog, workflows)
    return tuple(problem for task in workflow.tasks for problem in checker.problems(task))


class _Checker:
    """Holds the tasks of one workflow against the actions that there are."""

    def __init__(self, workflow: Workflow, catalog: Catalog, workflows: Collection[str]) -> None:
        self._workflow = workflow
        self._catalog = catalog
        self._workflows = workflows

    @cached_property
    def _places(self) -> Places:
        return Places(self._workflow)

    def problems(self, task: Task) -> Iterator[Problem]:
        """Those of a task and of its sub-tasks."""
        for sub_task in task.tasks:
            yield from self.problems(sub_task)
        if task.action in self._workflows and task.is_placed:
            yield Problem(
                message=f"task {task.name!r} runs a workflow, which runs on no worker itself",
                location=task.location,
                path=task.path,
                hint="write resources, worker_selector and worker_affinity in the workflow's own tasks",
            )
        if task.type is TaskType.PARALLEL or task.action is None or task.action in self._workflows:
            return
        action = self._catalog.get(task.action)
        if action is None:
            path = f"{task.path}.action"
            yield Problem(
                message=f"task {task.name!r} names an unknown action {task.action!r}",
                location=self._places.of(path) or task.location,
                path=path,
                hint=self._catalog.suggestion(task.action),
            )
            return
        if action.batch is not None and (task.with_items is None or task.batch_size is None):
            yield Problem(
                message=f"{action.ref} takes batches of items, and task {task.name!r} makes none",
                location=task.location,
                path=task.path,
                hint="add `with_items` and `batch_size: 1000`, or leave `batch=` out of the action",
            )
        if task.input:
            yield from self._misfits(task, action)
        else:
            yield from self._unmet(task, action)

    def _misfits(self, task: Task, action: Action) -> Iterator[Problem]:
        """Inputs that the action does not take, each at its name, and those that it needs and is not given."""
        path, missing = f"{task.path}.input", sorted(action.required - task.input.keys())
        unknown = [] if action.names is None else [name for name in task.input if name not in action.names]
        for name in unknown:
            others = sorted((action.names or frozenset()) - task.input.keys())
            yield Problem(
                message=f"{action.ref} does not take {name!r}",
                location=self._places.of(path, key=name) or task.location,
                path=key_path(path, name),
                hint=did_you_mean(name, missing)
                or did_you_mean(name, others)
                or f"its parameters are {action.signature}",
            )
        for name in missing:
            yield Problem(
                message=f"{action.ref} needs {name!r}",
                location=self._places.of(path) or task.location,
                path=path,
                hint=f"its parameters are {action.signature}",
            )

    def _unmet(self, task: Task, action: Action) -> Iterator[Problem]:
        """What an action needs of the run's own parameters where these are a closed list without it."""
        schema = self._workflow.parameters
        if schema is None or schema.get("additionalProperties") is not False or schema.keys() & _OPENING:
            return
        declared = schema.get("properties", {})
        for name in sorted(action.required - declared.keys()):
            yield Problem(
                message=f"{action.ref} needs {name!r}, which is no parameter of the workflow",
                location=task.location,
                path=task.path,
                hint=did_you_mean(name, declared) or "write an `input`, or declare the parameter",
            )
