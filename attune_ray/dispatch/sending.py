"""Sending tasks to Ray, and waiting for what they answer."""

import asyncio
from types import ModuleType
from typing import Any

from attune_ray.errors import EngineError, WorkerCrashedError

__all__ = ["answered", "code", "on_node", "put", "with_options"]

_CANCELLABLE_AFTER_S = 0.5
"""Seconds after which a sent task may be cancelled: Ray 2.60 aborts the driver (``reference_counter.cc``, "Check
failed: submitted_task_ref_count > 0") when it is told to cancel a task whose arguments it is still resolving."""


def code() -> ModuleType:
    """The module of what Ray runs, which imports ray."""
    from attune_ray.dispatch import remote  # noqa: PLC0415

    return remote


def with_options(remote: Any, options: dict[str, Any]) -> Any:
    """A remote function that asks for more than it does by itself."""
    return remote.options(**options) if options else remote


def on_node(remote: Any, node_id: str) -> Any:
    """A remote function that runs on one node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    return remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))


def put(value: Any) -> Any:
    """Store a value as an object of this process."""
    import ray  # noqa: PLC0415

    return ray.put(value)


async def answered(refs: Any, awaited_ref: Any = None) -> tuple[Any, ...]:
    """What a sent task answers, and where it keeps the rest. A cancelled wait kills what it waits for.

    Args:
        awaited_ref: of what a task answers that this one waits for; None: it waits for none.

    Raises:
        WorkerCrashedError: its process died, or that of the task it waited for.
        EngineError: it raised, which our remote code never should.
    """
    import ray  # noqa: PLC0415

    answer_ref, *kept_refs = refs
    clock = asyncio.get_running_loop().time
    sent_s = clock()
    try:
        return code().answer_of(await answer_ref), *kept_refs
    except asyncio.CancelledError:
        try:
            await asyncio.sleep(sent_s + _CANCELLABLE_AFTER_S - clock())
        finally:
            ray.cancel(answer_ref, force=True)
            if awaited_ref is not None:
                ray.cancel(awaited_ref, force=True)
        raise
    except ray.exceptions.RayTaskError as error:
        if awaited_ref is not None and isinstance(error.cause, ray.exceptions.RayError):
            raise WorkerCrashedError(_crash(error.cause)) from error
        raise EngineError(f"a worker failed outside any action: {error}") from error
    except ray.exceptions.RayError as error:
        raise WorkerCrashedError(_crash(error)) from error


def _crash(error: Exception) -> str:
    """What a dead worker looked like from here, in one sentence."""
    kind = type(error).__name__
    told = {
        "WorkerCrashedError": "its worker process died (a crash, an exit, or a kill)",
        "OutOfMemoryError": "its worker process was killed because the machine ran out of memory",
        "NodeDiedError": "its machine left the cluster",
        "TaskCancelledError": "it was cancelled",
    }
    return told.get(kind, f"its worker process was lost ({kind})")
