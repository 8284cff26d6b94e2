"""The parsed workflow: frozen values, each with its place in the source."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from attune_ray.errors import Location, Problem
from attune_ray.values.item_source import ItemSource

__all__ = [
    "Backoff",
    "Cache",
    "CancellationPolicy",
    "OnItemError",
    "RateLimit",
    "Resources",
    "Retry",
    "Task",
    "TaskType",
    "Tolerate",
    "Transition",
    "Workflow",
]


class TaskType(enum.Enum):
    """What a task runs: an action, sub-tasks side by side, or another workflow."""

    ACTION = "action"
    PARALLEL = "parallel"
    WORKFLOW = "workflow"


class Backoff(enum.Enum):
    """How the delay grows from attempt to attempt."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class CancellationPolicy(enum.Enum):
    """What a cancelled run does with what is running."""

    ALLOW_FINISH = "allow_finish"
    CANCEL_RUNNING = "cancel_running"


class OnItemError(enum.Enum):
    """Whether a fan-out goes on after an item failed."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Extra attempts after a failed one.

    Attributes:
        count: extra attempts, 1..100.
        delay_s: seconds before the first of them.
        max_delay_s: upper bound of a delay in seconds; None: no bound.
        on_error: a condition on the failed attempt; None: every failure is retried.
    """

    count: int
    delay_s: float = 0.0
    backoff: Backoff = Backoff.CONSTANT
    max_delay_s: float | None = None
    on_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerate:
    """How many failed items leave a fan-out succeeded: a number, or a share of all items (0..1)."""

    items: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Most items of a fan-out that start per second, over all workers; above 0."""

    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one worker of a task needs: CPUs and GPUs (fractions allowed), memory in bytes; None: the default."""

    num_cpus: float | None = None
    num_gpus: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Reuse of a result for the same action and rendered input: for ``ttl_s`` seconds, under ``key`` (a template)."""

    ttl_s: float
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What follows when a task has ended.

    Attributes:
        when: the condition as written; None: always.
        publish: in file order: a map name → JSON with templates in it, or a bare name that takes ``result()``.
        do: names of the tasks to start.
        default: a legacy ``decision`` default: fires only if no other decision branch of the task did.
        decision: a branch of a legacy ``decision``.
    """

    when: str | None = None
    publish: tuple[Mapping[str, Any] | str, ...] = ()
    do: tuple[str, ...] = ()
    default: bool = False
    decision: bool = False
    location: Location = Location("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task as written, legacy fields already turned into ``next``.

    Attributes:
        name: unique in its list of tasks; a sub-task may be called like a task elsewhere.
        input: name → JSON whose texts may be templates; empty: the run's own parameters are handed on.
        with_items: a template, a literal list (a tuple), or files; None: the task is no fan-out.
        concurrency: items at once, or a template giving it; None: as wide as the executor.
        timeout_s: seconds for one attempt; None: no limit.
        delay_s: seconds to wait before the task starts.
        join: how many inbound tasks to wait for, or "all"; None: start at the first arrival.
        when: condition; false: the task is skipped.
        tasks: the sub-tasks of a ``parallel`` task.
        path: the task's place in the document, as ``tasks[3]``.
    """

    name: str
    type: TaskType = TaskType.ACTION
    action: str | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    with_items: str | tuple[Any, ...] | ItemSource | None = None
    batch_size: int | None = None
    concurrency: int | str | None = None
    retry: Retry | None = None
    timeout_s: float | None = 300.0
    delay_s: float = 0.0
    join: int | Literal["all"] | None = None
    when: str | None = None
    next: tuple[Transition, ...] = ()
    on_item_error: OnItemError = OnItemError.CONTINUE
    tolerate: Tolerate = Tolerate()
    rate_limit: RateLimit | None = None
    resources: Resources | None = None
    worker_selector: Any = None
    worker_tolerations: Any = None
    worker_affinity: Any = None
    permission_set_refs: tuple[str, ...] = ()
    cache: Cache | None = None
    tasks: tuple["Task", ...] = ()
    path: str = ""
    location: Location = Location("")

    @property
    def is_placed(self) -> bool:
        """Whether it says on which nodes, or with how much of them, it runs."""
        return self.resources is not None or self.worker_selector is not None or self.worker_affinity is not None

    @property
    def items_template(self) -> Any:
        """What of ``with_items`` is rendered, as JSON with templates; None: the task is no fan-out."""
        written = self.with_items.source if isinstance(self.with_items, ItemSource) else self.with_items
        return list(written) if isinstance(written, tuple) else written


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow file, checked: whatever holds such a value may rely on it.

    Attributes:
        tasks: in file order, at least one.
        parameters, output: a JSON Schema object (draft 2020-12; flat schemas are turned into one), or None.
        vars: the workflow variables at the start; literal, never rendered.
        output_map: name → template text, in file order.
        source, text: the name and the text of the file it came from.
        warnings: what is odd but runs.
    """

    tasks: tuple[Task, ...]
    ref: str | None = None
    label: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    version: str = "1.0.0"
    parameters: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    output_map: Mapping[str, str] = field(default_factory=dict)
    cancellation_policy: CancellationPolicy = CancellationPolicy.ALLOW_FINISH
    source: str = "<text>"
    text: str = ""
    warnings: tuple[Problem, ...] = ()
