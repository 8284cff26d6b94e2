"""``attune-ray run``: run a workflow to its end. What is imported at the top is there for ``validate`` as well."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.parameters import gather
from attune_ray.cli.problems import render_all
from attune_ray.cli.source import STDIN, name_of, read_text
from attune_ray.errors import InvalidWorkflowError, UsageError
from attune_ray.model import parse_workflow
from attune_ray.model.source import MAX_BYTES
from attune_ray.settings import RaySettings, Settings

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
    keystore: Annotated[
        str | None, typer.Option(metavar="FILE", help="A YAML map of secrets that templates read as keystore.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster: auto, or host:port; without it one is started.")
    ] = None,
    num_cpus: Annotated[int | None, typer.Option(min=1, help="Slots of the Ray that is started.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option(help="No live view and no table.")] = False,
    memray: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Record the memory of coordinator and workers into this folder.")
    ] = None,
) -> None:
    """Run a workflow to its end.

    Results are on standard output, all else on standard error. Ctrl-C cancels, a second one stops at once; SIGUSR1
    pauses, SIGUSR2 goes on.
    Exit code 0: completed, 1: failed, 2: the workflow or the usage is wrong, 130: cancelled.
    """
    if address is not None and num_cpus is not None:
        raise UsageError("--num-cpus is for a Ray that is started here: leave it out, or --address")
    if file == parameters == STDIN:
        raise UsageError("standard input can be the workflow or the parameters, not both")
    is_reference = bool(pack) and file != STDIN and not Path(file).exists()
    text = "" if is_reference else read_text(file, what="the workflow", most_bytes=MAX_BYTES)
    out = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever actions print: only results are on stdout
            workflow = file if is_reference else parse_workflow(text, source=name_of(file))
            given = gather(parameters, parameter or ())

            from attune_ray.cli.session import Session  # noqa: PLC0415  imports the engine: not for `validate`

            session = Session(
                actions=actions or [],
                packs=pack or [],
                config=config,
                keystore=keystore,
                settings=Settings(ray=RaySettings(address=address, num_cpus=num_cpus)),
                out=out,
                as_json=as_json,
                quiet=quiet,
                memray=memray,
            )
            code = session.run(workflow, given)
    except InvalidWorkflowError as error:
        typer.echo(render_all(error.problems, {name_of(file): text}), err=True)
        code = ExitCode.INVALID
    raise typer.Exit(code)
