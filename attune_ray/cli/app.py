"""The verbs and what they have in common."""

from typing import Annotated

import typer

from attune_ray.cli.answer import answer
from attune_ray.cli.cancel import cancel
from attune_ray.cli.export import export
from attune_ray.cli.gc import gc
from attune_ray.cli.memory import memory
from attune_ray.cli.pause import pause
from attune_ray.cli.rerun import rerun
from attune_ray.cli.resume import resume
from attune_ray.cli.run import run
from attune_ray.cli.runs import runs
from attune_ray.cli.schema import schema
from attune_ray.cli.show import show
from attune_ray.cli.validate import validate

__all__ = ["app"]

app = typer.Typer(
    help="Run Attune workflows on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes 0.1 s to import and reads brackets in texts as its own
)
_VERBS = (run, resume, rerun, runs, show, pause, cancel, answer, export, gc, validate, schema, memory)
for _verb in _VERBS:  # the order of the help
    app.command()(_verb)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  as typer calls it
    if wanted:
        from importlib import metadata  # noqa: PLC0415  50 ms, of which only this has a use

        typer.echo(f"attune-ray {metadata.version('attune-ray')}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run Attune workflows on Ray."""
