"""What runs need besides their plans."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attune_ray.actions import Action
from attune_ray.model import Task
from attune_ray.ports import Clock, Executor, Journal, Recall
from attune_ray.settings import LimitSettings
from attune_ray.values.keeping import Keeping

__all__ = ["World"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run needs besides its plan.

    Attributes:
        route: what a task runs, and where its chunks run; raises PermanentError where there is no such action.
        recall: makes the results of tasks that did not run, and of those that ran before a restart.
        journal: where its facts are kept; ``keeping``: how its results are. None: a run dies with its coordinator.
    """

    route: Callable[[Task], tuple[Action, Executor[Any]]]
    recall: Recall
    clock: Clock
    limits: LimitSettings
    max_crashes: int
    journal: Journal | None = None
    keeping: Keeping | None = None
