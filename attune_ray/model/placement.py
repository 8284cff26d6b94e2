"""Where a task runs, as far as the file alone can tell that it is well said."""

import json

from attune_ray.errors import EvaluationError
from attune_ray.model.fields import Field
from attune_ray.model.places import node_at
from attune_ray.model.workflow import TaskType
from attune_ray.values.placement import selectors_of

__all__ = ["check_placement", "warn_of_idle_placement"]


def check_placement(selector: Field | None, affinity: Field | None) -> None:
    """Record what is wrong with ``worker_selector`` and ``worker_affinity`` where they hold no expression."""
    literal = [field if field is not None and _is_literal(field) else None for field in (selector, affinity)]
    try:
        selectors_of(*(field.json() if field is not None else None for field in literal))
    except EvaluationError as error:
        name, dot, rest = error.path.partition(".")
        field = literal[name == "worker_affinity"]
        assert field is not None  # noqa: S101  an absent one has no faults
        place = node_at(field.node, rest)
        location = field.location if place is None else place.location
        field.findings.error(location, f"{field.path}{dot}{rest}", error.reason)


def warn_of_idle_placement(kind: TaskType, action: str | None, *fields: Field | None) -> None:
    """Warn of placements that nothing comes of: in tasks that run on no worker themselves."""
    if kind is TaskType.PARALLEL:
        reason, hint = "in a parallel task: its sub-tasks run where they say themselves", "write it in the sub-tasks"
    elif action == "core.ask":
        reason, hint = "for core.ask, which waits and runs on no worker", "remove it"
    else:
        return
    for field in fields:
        if field is not None:
            name = field.path.rpartition(".")[2]
            field.warning(f"`{name}` has no effect {reason}", hint=hint)


def _is_literal(field: Field) -> bool:
    return "{{" not in json.dumps(field.json())
