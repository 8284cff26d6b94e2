"""``attune-ray resume``: go on with a run. What is imported at the top is there for ``validate`` as well."""

import contextlib
import sys

import typer

from attune_ray.cli.options import (
    DEFAULT_STATE,
    Address,
    AsJson,
    Keystore,
    Memray,
    NumCpus,
    Quiet,
    Results,
    Run,
    State,
    kept_settings,
    ray_settings,
)
from attune_ray.errors import UsageError

__all__ = ["resume"]


def resume(  # the signature is the usage
    run: Run,
    *,
    state: State = DEFAULT_STATE,
    results: Results = None,
    keystore: Keystore = None,
    address: Address = None,
    num_cpus: NumCpus = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    memray: Memray = None,
) -> None:
    """Go on with an interrupted or paused run.

    One that was interrupted goes on here, with the actions, packs and files that it was started with; one that is
    paused in another process goes on there. Of one that has ended the result is printed again.
    Exit codes: as of `run`.
    """
    ray = ray_settings(address, num_cpus)
    settings = kept_settings(state, results)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # whatever actions print: only results are on stdout
        from attune_ray.cli.kept import KeptRuns, is_live  # noqa: PLC0415  imports the engine: not for `validate`
        from attune_ray.cli.once import given_back  # noqa: PLC0415
        from attune_ray.cli.printing import Printer  # noqa: PLC0415
        from attune_ray.cli.remade import remade_for  # noqa: PLC0415
        from attune_ray.engine import ResumeRequested, RunStatus  # noqa: PLC0415

        kept, printer = KeptRuns(settings, state), Printer(out=out, as_json=as_json, quiet=quiet)
        line = kept.line(run)
        if line.ended_at is not None:
            raise typer.Exit(given_back(kept, run, printer))
        if line.status == RunStatus.PAUSED:
            kept.archive.request(run, ResumeRequested())
            typer.echo(f"run {run} is asked to go on, in its process", err=True)
            return
        if is_live(line):
            raise UsageError(f"run {run} is {line.status}, there is nothing to resume: `{kept.how('show', run)}`")
        begun = kept.archive.begun(run)
        code = remade_for(
            lambda session: session.resume(run, begun.title),
            kept,
            begun,
            printer,
            ray=ray,
            keystore=keystore,
            memray=memray,
        )
    raise typer.Exit(code)
