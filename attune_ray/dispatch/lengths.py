"""How many items a fan-out has, where that is known before anybody has looked at them.

Its chunks are then sent in one go with the making of their items, which they wait for: nobody asks and waits first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attune_ray.dispatch.worker.results import FanOutResult, PlainResult
from attune_ray.expression.references import PARAMETERS, ROOTS, TASKS, VARIABLES
from attune_ray.ports import RunContext, TaskOrder

__all__ = ["MOST_ITEMS", "known_length"]

MOST_ITEMS = 50_000
"""In a list whose items are made while chunks wait for them: small ones take 0.1 s."""


def known_length(order: TaskOrder) -> int | None:
    """The number of items where ``with_items`` names a list: in a result, the parameters or the variables.

    None: it names none, one that nobody has counted, or one so long that a pause may come while its items are made,
    after which none may start. Nor may those of a task with ``rate_limit`` wait: they are counted as they are sent.
    """
    task = order.task
    n_items = None if task.items_names is None else _length(order.context, *task.items_names)
    if n_items is None or n_items > MOST_ITEMS or task.task.rate_limit is not None:
        return None
    return -(-n_items // (task.task.batch_size or 1))


def _length(context: RunContext, root: str, *names: str) -> int | None:
    if root in TASKS:
        result = context.results.get(names[0]) if names else None
        return result.length(names[1:]) if isinstance(result, PlainResult | FanOutResult) else None
    if root == PARAMETERS:
        return _length_in(context.parameters, names)
    if root in VARIABLES:
        return _length_in(context.variables, names)
    return None if root in ROOTS else _length_in(context.variables, (root, *names))


def _length_in(value: Any, names: Sequence[str]) -> int | None:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return len(value) if type(value) is list else None
