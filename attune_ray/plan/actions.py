"""What a workflow asks of its surroundings: actions that exist and take its input, features that are built."""

from collections.abc import Iterator

from attune_ray.actions import Catalog
from attune_ray.errors import PermanentError, Problem
from attune_ray.model import Task, TaskType, Workflow

__all__ = ["check_actions"]


def check_actions(workflow: Workflow, catalog: Catalog) -> tuple[Problem, ...]:
    """Every problem that running this workflow with these actions would meet."""
    return tuple(problem for task in workflow.tasks for problem in _problems(task, catalog))


def _problems(task: Task, catalog: Catalog) -> Iterator[Problem]:
    missing = [name for name, is_used in _unsupported(task).items() if is_used]
    for name in missing:
        yield Problem(
            message=f"{name} is not supported yet",
            location=task.location,
            path=task.path,
            hint="leave it out; nothing of it would be carried out",
        )
    if task.type is not TaskType.ACTION or task.action is None or missing:
        return
    action = catalog.get(task.action)
    if action is None:
        yield Problem(
            message=f"task {task.name!r} names an unknown action {task.action!r}",
            location=task.location,
            path=f"{task.path}.action",
            hint=catalog.suggestion(task.action),
        )
    elif task.input:
        try:
            action.check(task.input.keys())
        except PermanentError as error:
            yield Problem(message=str(error), location=task.location, path=f"{task.path}.input")


def _unsupported(task: Task) -> dict[str, bool]:
    """Features of the language that the engine does not carry out, and whether the task uses them."""
    return {
        "a parallel task": task.type is TaskType.PARALLEL,
        "a sub-workflow": task.type is TaskType.WORKFLOW,
        "core.ask": task.action == "core.ask",
        "cache": task.cache is not None,
        "resources": task.resources is not None,
        "worker_selector": task.worker_selector is not None,
        "worker_tolerations": task.worker_tolerations is not None,
        "worker_affinity": task.worker_affinity is not None,
        "permission_set_refs": bool(task.permission_set_refs),
    }
