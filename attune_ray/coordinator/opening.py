"""Opening a task run: what its expressions say of it, and the order that its executor gets."""

import time

from attune_ray.coordinator.evaluate import concurrency_of, selectors_for, workflow_context
from attune_ray.coordinator.secrets import secret_texts
from attune_ray.coordinator.shell import InWork, Shell, Told
from attune_ray.coordinator.world import World
from attune_ray.engine import TaskPrepared, TaskRunId, TaskSkipped
from attune_ray.errors import AttuneError
from attune_ray.expression import ItemContext
from attune_ray.ports import Kept, OpenTask, TaskOrder

__all__ = ["open_task", "reopen_task"]


async def open_task(shell: Shell, world: World, run: TaskRunId) -> Told:
    """Look at ``when`` and the width of a task run, then have its executor open the items.

    Raises:
        AttuneError: it cannot be opened.
    """
    work, task, now = shell.in_work[run], shell.plan.tasks[run.task], world.clock.now()
    scope, warnings = _scope(shell, run, work, now), []
    if task.when is not None:
        try:
            holds = bool(task.when.render(scope))
        except AttuneError as error:  # as after a success
            holds = True
            warnings.append(shell.secrets.mask(f"task {run.task}: {error}; it counts as true"))
        if not holds:
            return TaskSkipped(run), {"warnings": warnings}
    order = _order(shell, world, run, now, scope=scope, kept=None)
    opened = await _opened(work, order)
    prepared = TaskPrepared(run, opened.n_items, opened.shape, order.action.nature)
    return prepared, {"now": now, "warnings": warnings}


async def reopen_task(shell: Shell, world: World, run: TaskRunId, *, anew: bool = False) -> None:
    """Open a task run again, as it was when it was prepared.

    Args:
        anew: without what its chunks have come to.

    Raises:
        AttuneError: it cannot be opened any more.
    """
    work, task = shell.in_work[run], shell.plan.tasks[run.task]
    kept = None if anew else work.kept(is_fan_out=task.is_fan_out)
    scope = _scope(shell, run, work, work.now)
    await _opened(work, _order(shell, world, run, work.now, scope=scope, kept=kept))


def _scope(shell: Shell, run: TaskRunId, work: InWork, now: str) -> ItemContext:
    return workflow_context(work.context, now=now, seed=shell.seed(run)).for_task()


def _order(shell: Shell, world: World, run: TaskRunId, now: str, *, scope: ItemContext, kept: Kept | None) -> TaskOrder:
    work, task = shell.in_work[run], shell.plan.tasks[run.task]
    action, work.executor = world.route(task.task)
    shell.hide(secret_texts(action, task.task))
    return TaskOrder(
        run=run,
        task=task,
        action=action,
        context=work.context,
        concurrency=concurrency_of(task, scope),
        now=now,
        selectors=selectors_for(task, scope),
        keeping=world.keeping,
        kept=kept,
    )


async def _opened(work: InWork, order: TaskOrder) -> OpenTask:
    assert work.executor is not None  # noqa: S101  whoever made the order has found what runs it
    work.cpu_before_s = time.thread_time()
    work.open = await work.executor.open(order)
    return work.open
