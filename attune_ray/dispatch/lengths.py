"""How many items a fan-out has, where that is known before anybody has looked at them.

Its chunks are then sent in one go with the making of their items, which they wait for: nobody asks and waits first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attune_ray.dispatch.worker.results import COUNTED_BYTES, FanOutResult, PlainResult
from attune_ray.dispatch.worker.snapshot import Snapshot
from attune_ray.dispatch.worker.stored import Entry
from attune_ray.expression.references import PARAMETERS, ROOTS, TASKS, VARIABLES
from attune_ray.ports import TaskOrder

__all__ = ["known_length"]


def known_length(order: TaskOrder, snapshot: Snapshot) -> int | None:
    """The number of items where ``with_items`` names a list: in a result, the parameters or the variables.

    None: it names none, or one that nobody has counted; or its items must be there before a chunk is sent. They must
    where the making takes more than a moment: a run that is paused meanwhile starts nothing new, and a chunk that was
    sent counts as started. So must those of a task with ``rate_limit``, which are counted as they are sent.
    """
    task = order.task
    if task.items_names is None or task.task.rate_limit is not None:
        return None
    root, *names = task.items_names
    if root in TASKS:
        return _length_of(order, names)
    if root == PARAMETERS:
        n_items = _length_in(order.context.parameters, snapshot.parameters, names)
    elif root in VARIABLES:
        n_items = _length_in(order.context.variables, snapshot.variables, names)
    else:
        n_items = None if root in ROOTS else _length_in(order.context.variables, snapshot.variables, [root, *names])
    return _in_batches(n_items, task.task.batch_size)


def _length_of(order: TaskOrder, names: Sequence[str]) -> int | None:
    """Of a list in a result. The results of a fan-out are its items as they are, but for cutting them into batches."""
    result, batch_size = order.context.results.get(names[0]) if names else None, order.task.task.batch_size
    if isinstance(result, PlainResult):
        return _in_batches(result.length(names[1:]), batch_size)
    return result.length(names[1:]) if isinstance(result, FanOutResult) and batch_size is None else None


def _length_in(value: Any, entry: Entry, names: Sequence[str]) -> int | None:
    """Of a list that the coordinator has itself, in a value that is decoded with it."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return len(value) if type(value) is list and entry.n_bytes <= COUNTED_BYTES else None


def _in_batches(n_items: int | None, batch_size: int | None) -> int | None:
    return n_items if n_items is None or batch_size is None else -(-n_items // batch_size)
