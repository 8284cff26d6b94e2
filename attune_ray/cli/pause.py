"""``attune-ray pause``: let a run start nothing new. What is imported at the top is there for ``validate`` as well."""

import typer

from attune_ray.cli.options import DEFAULT_STATE, Run, State, kept_settings
from attune_ray.errors import UsageError

__all__ = ["pause"]


def pause(run: Run, *, state: State = DEFAULT_STATE) -> None:
    """Ask a run to start nothing new.

    From any process; what runs is finished. `attune-ray resume` lets it go on.
    """
    from attune_ray.cli.kept import KeptRuns, is_live  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.engine import PauseRequested, RunStatus  # noqa: PLC0415

    kept = KeptRuns(kept_settings(state), state)
    line = kept.line(run)
    if line.ended_at is not None:
        raise UsageError(f"run {run} has ended ({line.status})")
    if not is_live(line):
        raise UsageError(f"run {run} is not running, it was interrupted; `{kept.how('resume', run)}` goes on with it")
    if line.status == RunStatus.CANCELLING:
        raise UsageError(f"run {run} is being cancelled")
    if line.status == RunStatus.RUNNING:
        kept.archive.request(run, PauseRequested())
    told = "is asked to pause" if line.status == RunStatus.RUNNING else "is paused already"
    typer.echo(f"run {run} {told}; `{kept.how('resume', run)}` lets it go on")
