"""``attune-ray rerun``: repeat a part of a run. What is imported at the top is there for ``validate`` as well."""

import contextlib
import sys
from typing import Annotated

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
    RunId,
    State,
    kept_settings,
    ray_settings,
)
from attune_ray.errors import UsageError

__all__ = ["rerun"]


def rerun(  # the signature is the usage
    run: Run,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Repeat what failed, and all that follows it.")] = False,
    from_task: Annotated[
        str | None, typer.Option("--from", metavar="TASK", help="Repeat this task, and all that follows it.")
    ] = None,
    run_id: RunId = None,
    state: State = DEFAULT_STATE,
    results: Results = None,
    keystore: Keystore = None,
    address: Address = None,
    num_cpus: NumCpus = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    memray: Memray = None,
) -> None:
    """Repeat a part of an ended run as a new run.

    It has the results of all that is not repeated. Of fan-outs that failed only the items that have not succeeded run
    again.
    Exit codes: as of `run`.
    """
    if failed == (from_task is not None):
        raise UsageError("say what is to be repeated: --failed, or --from TASK")
    ray = ray_settings(address, num_cpus)
    settings = kept_settings(state, results)
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # whatever actions print: only results are on stdout
        from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415  imports the engine: not for `validate`
        from attune_ray.cli.once import rerun_once  # noqa: PLC0415
        from attune_ray.cli.printing import Printer  # noqa: PLC0415
        from attune_ray.cli.remade import remade_for  # noqa: PLC0415

        kept, printer = KeptRuns(settings, state), Printer(out=out, as_json=as_json, quiet=quiet)
        kept.line(run)
        begun = kept.archive.begun(run)
        code = remade_for(
            lambda session: rerun_once(session, kept, begun, from_task=from_task, run_id=run_id),
            kept,
            begun,
            printer,
            ray=ray,
            keystore=keystore,
            memray=memray,
        )
    raise typer.Exit(code)
