"""What the tasks of a file ask of actions, and these do not provide; of a file with other problems too."""

from collections.abc import Iterable, Iterator, Sequence

from attune_ray.errors import Problem
from attune_ray.model import Draft, Task

__all__ = ["misfits"]

_DECIDING = ("input", "with_items", "batch_size")
"""Fields of which some checks look at the absence: one that cannot be read looks absent and is not."""


def misfits(draft: Draft, actions: Sequence[str] | None) -> tuple[Problem, ...]:
    """What the actions do not provide, but for what the errors of the draft say already.

    Args:
        actions: modules and .py files; None: core.* alone are known, and no others are looked at.

    Raises:
        UsageError: one of ``actions`` cannot be read.
    """
    if draft.workflow is None:
        return ()
    from attune_ray.actions import Catalog, sources_of  # noqa: PLC0415  20 ms: not for files that cannot be parsed
    from attune_ray.plan.actions import check_actions  # noqa: PLC0415

    sources = (source for given in actions or () for source in sources_of(given))
    catalog = Catalog(sources, finds_installed=actions is not None)
    told = {error.path for error in draft.errors}
    silent = {
        path
        for path, name in _named(draft.workflow.tasks)
        if path in told or (actions is None and not name.startswith("core."))
    }
    found = check_actions(draft.workflow, catalog)
    return tuple(each for each in found if each.path not in silent and not _may_follow(each, told))


def _named(tasks: Iterable[Task]) -> Iterator[tuple[str, str]]:
    """Path and name of each action, those of sub-tasks too."""
    for task in tasks:
        yield f"{task.path}.action", task.action or ""
        yield from _named(task.tasks)


def _may_follow(problem: Problem, told: Iterable[str]) -> bool:
    """Whether it is of a task as a whole, of which a deciding field has an error."""
    deciding = tuple(f"{problem.path}.{name}" for name in _DECIDING)
    return any(path.startswith(deciding) for path in told)
