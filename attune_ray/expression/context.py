"""What an expression sees: the shared context of a run, and one item of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

__all__ = ["ItemContext", "LazyList", "Outcome", "WorkflowContext"]

Outcome = Literal["succeeded", "failed", "timed_out"]


class LazyList(Sequence[Any]):
    """A list of the workflow language whose elements are decoded only when they are read.

    Arrow columns and the results of fan-outs are such lists. Expressions treat one exactly as a list.
    """

    __slots__ = ()


class WorkflowContext:
    """The names that every template of one task run sees; shared by all its items, never copied.

    Attributes:
        parameters: the run's parameters, schema defaults included.
        variables: the workflow variables (``workflow``, ``vars``, ``variables`` and bare names).
        tasks: task name → view of its result; may decode an entry only when it is read.
        config: the pack's configuration, or None.
        keystore: secrets by name, or None.
        system: ``workflow_start`` and ``run_id``.
        now: what ``now()`` gives: UTC, ISO 8601; fixed when the task starts, so that an evaluation can be repeated.
        seed: what ``uuid()`` is derived from, for the same reason; "" where there is no run.
        around: item and index of the fan-out that the task run stands in, as part of a parallel group; else None.
    """

    __slots__ = ("around", "config", "keystore", "now", "parameters", "seed", "system", "tasks", "variables")

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any],
        variables: Mapping[str, Any],
        tasks: Mapping[str, Any],
        config: Any = None,
        keystore: Any = None,
        system: Mapping[str, Any],
        now: str,
        seed: str,
        around: tuple[Any, int] | None = None,
    ) -> None:
        self.parameters = parameters
        self.variables = variables
        self.tasks = tasks
        self.config = config
        self.keystore = keystore
        self.system = system
        self.now = now
        self.seed = seed
        self.around = around

    def for_item(self, item: Any, index: int) -> "ItemContext":
        """The same context seen from one item; O(1) whatever the context holds."""
        scope = ItemContext(self)
        scope.item = item
        scope.index = index
        return scope

    def for_task(self) -> "ItemContext":
        """The same context outside any fan-out of the task's own and any transition."""
        scope = ItemContext(self)
        if self.around is not None:
            scope.item, scope.index = self.around
        return scope

    def for_end(self, result: Any, outcome: Outcome) -> "ItemContext":
        """The same context at the end of a task or an attempt: ``result()``, ``succeeded()`` and their like work."""
        scope = self.for_task()
        scope.result = result
        scope.outcome = outcome
        return scope


class ItemContext:
    """What a template is evaluated in: a shared context, and what is special to this evaluation.

    ``item``, ``index`` and ``result`` are unset where there is none: reading them is then an AttributeError,
    which the compiled expression reports as an unknown name.
    """

    __slots__ = ("context", "index", "item", "outcome", "result")

    item: Any
    index: int
    result: Any

    def __init__(self, context: WorkflowContext) -> None:
        self.context = context
        self.outcome: Outcome | None = None
