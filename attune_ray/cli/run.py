"""``attune-ray run``: run a workflow to its end. What is imported at the top is there for ``validate`` as well."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.misfits import misfits
from attune_ray.cli.options import (
    DEFAULT_STATE,
    Address,
    Durability,
    Keystore,
    Memray,
    NumCpus,
    Quiet,
    Results,
    RunId,
    State,
    ray_settings,
    state_settings,
)
from attune_ray.cli.parameters import gather
from attune_ray.cli.problems import render_all
from attune_ray.cli.source import STDIN, name_of, read_text
from attune_ray.errors import InvalidWorkflowError, Problem, UsageError
from attune_ray.model import Workflow, read_draft
from attune_ray.model.source import MAX_BYTES

__all__ = ["run"]


def run(  # the signature is the usage
    file: Annotated[str, typer.Argument(metavar="FILE", help="The workflow, or its ref in a pack; - reads stdin.")],
    *,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="KEY=VALUE", help="A parameter: JSON where it is, else text."),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(metavar="FILE", help="Parameters as a YAML or JSON map; - reads standard input.")
    ] = None,
    actions: Annotated[
        list[str] | None, typer.Option(metavar="MODULE_OR_FILE", help="A module or .py file of actions.")
    ] = None,
    pack: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="A pack: its actions and workflows, by their references.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="A YAML map that templates read as config.")
    ] = None,
    keystore: Keystore = None,
    address: Address = None,
    num_cpus: NumCpus = None,
    state: State = DEFAULT_STATE,
    results: Results = None,
    durability: Annotated[
        Durability, typer.Option(help="When facts are safe: before what follows, within 0.05 s, or never.")
    ] = Durability.STRICT,
    run_id: RunId = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result object and nothing else.")] = False,
    quiet: Quiet = False,
    memray: Memray = None,
) -> None:
    """Run a workflow to its end.

    It is kept, so that it can be gone on with when it is interrupted: its id is the first that is said. Results are on
    standard output, all else on standard error. Ctrl-C cancels, a second one stops at once; SIGUSR1 pauses, SIGUSR2
    goes on.
    Exit code 0: completed, 1: failed, 2: the workflow or the usage is wrong, 74: standard output cannot be
    written, 75: interrupted, 130: cancelled.
    """
    ray = ray_settings(address, num_cpus)
    if file == parameters == STDIN:
        raise UsageError("standard input can be the workflow or the parameters, not both")
    settings = state_settings(state, results, durability)
    if settings is None and run_id is not None:
        raise UsageError("--run-id names a run that is kept: leave out --durability off")
    is_reference = bool(pack) and file != STDIN and not Path(file).exists()
    text = "" if is_reference else read_text(file, what="the workflow", most_bytes=MAX_BYTES)
    out = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever actions print: only results are on stdout
            workflow = file if is_reference else _read(text, file, None if pack else actions or ())
            given = gather(parameters, parameter or ())

            from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415  imports the engine: not for `validate`
            from attune_ray.cli.launch import Launch  # noqa: PLC0415
            from attune_ray.cli.once import run_once  # noqa: PLC0415
            from attune_ray.cli.printing import Printer  # noqa: PLC0415
            from attune_ray.cli.session import Session  # noqa: PLC0415

            kept = None if settings is None else KeptRuns(settings, state)
            session = Session(
                launch=Launch(
                    actions=tuple(actions or ()),
                    packs=tuple(pack or ()),
                    config=config,
                    keystore=keystore,
                    address=ray.address,
                    num_cpus=ray.num_cpus,
                ),
                printer=Printer(out=out, as_json=as_json, quiet=quiet),
                state=settings,
                memray=memray,
                how=str if kept is None else kept.how,
            )
            code = run_once(session, kept, workflow, given, run_id=run_id)
    except InvalidWorkflowError as error:
        typer.echo(render_all(error.problems, {name_of(file): text}, warnings=error.warnings), err=True)
        code = ExitCode.INVALID
    raise typer.Exit(code)


def _read(text: str, file: str, actions: Sequence[str] | None) -> Workflow:
    """The workflow; where it has problems, those of its actions are told with them, else the engine does that.

    Raises:
        InvalidWorkflowError: it has problems.
    """
    draft = read_draft(text, source=name_of(file))
    if draft.workflow is not None and not draft.errors:
        return draft.workflow
    found: tuple[Problem, ...] = ()
    with contextlib.suppress(UsageError):  # actions that cannot be read are told when the file can be
        found = misfits(draft, actions)
    raise InvalidWorkflowError(draft.errors + found, draft.warnings)
