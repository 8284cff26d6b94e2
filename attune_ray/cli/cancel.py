"""``attune-ray cancel``: end a run. What is imported at the top is there for ``validate`` as well."""

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from attune_ray.cli.options import DEFAULT_STATE, Results, Run, State, kept_settings
from attune_ray.errors import UsageError

if TYPE_CHECKING:
    from attune_ray.cli.kept import KeptRuns

__all__ = ["cancel"]


def cancel(
    run: Run,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Stop what runs, whatever the workflow's cancellation_policy is.")
    ] = False,
    state: State = DEFAULT_STATE,
    results: Results = None,
) -> None:
    """Ask a run to end.

    From any process. One that was interrupted is cancelled at once.
    """
    from attune_ray.cli.kept import KeptRuns, is_live  # noqa: PLC0415  imports the engine: not for `validate`

    kept = KeptRuns(kept_settings(state, results), state)
    line = kept.line(run)
    if line.ended_at is not None:
        raise UsageError(f"run {run} has ended ({line.status})")
    if is_live(line):
        _ask(kept, run, now=now)
        typer.echo(f"run {run} is asked to end" + (", with what runs" if now else ""))
        return
    with contextlib.redirect_stdout(sys.stderr):
        status = asyncio.run(_end(kept, run))
    typer.echo(f"run {run} is {status}; nobody ran it")


def _ask(kept: "KeptRuns", run_id: str, *, now: bool) -> None:
    """Leave the request for the process that has the run."""
    from attune_ray.engine import CancelRequested  # noqa: PLC0415
    from attune_ray.model import CancellationPolicy, parse_workflow  # noqa: PLC0415

    if not now:
        begun = kept.archive.begun(run_id)
        policy = parse_workflow(begun.text, source=begun.source).cancellation_policy
        now = policy is CancellationPolicy.CANCEL_RUNNING
    kept.archive.request(run_id, CancelRequested(running=now))


async def _end(kept: "KeptRuns", run_id: str) -> str:
    """Record that a run which nobody has is cancelled."""
    from attune_ray.bootstrap.kept import cancel as end  # noqa: PLC0415
    from attune_ray.bootstrap.state import open_state  # noqa: PLC0415
    from attune_ray.cli.telling import NOTHING, given_of, settings_of  # noqa: PLC0415

    begun = kept.archive.begun(run_id)
    opened = open_state(settings_of(kept, begun))
    try:
        return str((await end(opened, run_id, given_of(begun) or NOTHING)).status)
    finally:
        await opened.journal.close()
