"""What a run leaves behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attune_ray.engine import RunStatus, TaskStatus
from attune_ray.ports import StoredResult
from attune_ray.values.secrets import NO_SECRETS, Secrets

__all__ = ["FanOutStats", "RunResult", "TaskResult"]


@dataclass(slots=True, kw_only=True)
class FanOutStats:
    """What the items of a task cost.

    Attributes:
        n_items: items; 1 for a plain task.
        n_failed: items that failed for good.
        n_chunks: chunks that were sent, further attempts included.
        coordinator_s: CPU seconds of the coordinator's thread while the task ran (whatever else it did is in it).
        context_bytes_decoded: encoded bytes of context that the workers decoded for it.
        n_cached: items whose results were reused (``cache``) instead of running the action.
        workers: the processes that ran its chunks, as ``host:pid``.
    """

    n_items: int = 0
    n_failed: int = 0
    n_chunks: int = 0
    coordinator_s: float = 0.0
    context_bytes_decoded: int = 0
    n_cached: int = 0
    workers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class TaskResult:
    """The latest run of a task.

    Attributes:
        status: ``completed``, ``failed``, ``timeout``, ``skipped``, ``cancelled`` or ``not_run``.
        duration_s: seconds from its start to its end, all attempts included.
        stats: what its items cost.
        secrets: those of the run; ``error`` and the errors of ``failed_items`` are masked by them, data is not.
    """

    name: str
    status: TaskStatus = TaskStatus.NOT_RUN
    duration_s: float = 0.0
    stats: FanOutStats = field(default_factory=FanOutStats)
    stored: StoredResult | None = field(default=None, repr=False)
    secrets: Secrets = NO_SECRETS

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The view that expressions have of it; None when it has not ended. Lists in it are decoded when read."""
        if self.stored is None:
            return None
        view: Mapping[str, Any] = self.stored.view()
        return view

    @property
    def results(self) -> Sequence[Any]:
        """The items' data in item order, None where one failed; a lazy sequence. Empty for a plain task."""
        found: Sequence[Any] = (self.result or {}).get("results", ()) if self.stats.n_items else ()
        return found

    @property
    def failed_items(self) -> Sequence[Mapping[str, Any]]:
        """``{index, item, error}`` of the failed items, at most 1,000; the count is in ``stats``."""
        found: Sequence[Mapping[str, Any]] = (self.result or {}).get("failed_items", ())
        if not self.secrets:
            return found
        return [{**one, "error": self.secrets.mask(one["error"])} for one in found]

    @property
    def error(self) -> str | None:
        """Why it failed, or None."""
        error: str | None = (self.result or {}).get("error")
        return error and self.secrets.mask(error)


@dataclass(slots=True, weakref_slot=True, eq=False)
class RunResult:
    """A run that has ended.

    Attributes:
        id: the run's id.
        status: ``completed``, ``failed`` or ``cancelled``.
        result: completed: the rendered ``output_map`` and ``succeeded``; else ``error`` and ``succeeded: false``.
        output: the rendered ``output_map`` alone; empty unless completed.
        variables: the workflow variables at the end.
        tasks: name → what became of each task, in file order.
        warnings: what went wrong without failing the run.
        duration_s: seconds from start to end.
        secrets: whoever shows data of the run masks it by these: ``secrets.mask(text)``, ``secrets.masked(value)``.
    """

    id: str
    status: RunStatus = RunStatus.RUNNING
    result: dict[str, Any] = field(default_factory=dict, repr=False)
    output: dict[str, Any] = field(default_factory=dict, repr=False)
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tasks: dict[str, TaskResult] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    duration_s: float = 0.0
    secrets: Secrets = NO_SECRETS

    def task(self, name: str) -> TaskResult:
        """What became of a task.

        Raises:
            KeyError: the workflow has no such task.
        """
        return self.tasks[name]

    def detach(self) -> None:
        """Bring all results into this process's memory, still encoded: they outlive the cluster then."""
        for task in self.tasks.values():
            if task.stored is not None:
                task.stored = task.stored.detached()
