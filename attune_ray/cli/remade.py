"""A kept run's engine made again, as its launch tells."""

from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.kept import KeptRuns
from attune_ray.cli.launch import Launch
from attune_ray.cli.printing import Printer
from attune_ray.cli.problems import render_all
from attune_ray.cli.report import warnings
from attune_ray.cli.session import Session
from attune_ray.cli.telling import settings_of
from attune_ray.errors import InvalidWorkflowError
from attune_ray.records import RunBegun
from attune_ray.settings import RaySettings

__all__ = ["remade_for"]


def remade_for(
    work: Callable[[Session], ExitCode],
    kept: KeptRuns,
    begun: RunBegun,
    printer: Printer,
    *,
    ray: RaySettings,
    keystore: str | None,
    memray: Path | None,
) -> ExitCode:
    """Do something with a session that has the engine of a kept run, in the folder that the run was started in.

    What is wrong with its workflow is told.

    Args:
        ray, keystore: in place of those of then, where they say something.

    Raises:
        UsageError: the run was started otherwise, or its folder is gone; and what ``work`` raises.
    """
    for warning in warnings(_source_warnings(begun)):
        typer.echo(warning, err=True)
    launch = Launch.of(begun).with_ray(ray, keystore)
    session = Session(
        launch=launch,
        printer=printer,
        state=settings_of(kept, begun),
        memray=memray and memray.absolute(),
        how=kept.how,
    )
    launch.go_there()
    try:
        return work(session)
    except InvalidWorkflowError as error:
        typer.echo(render_all(error.problems, {begun.source: begun.text}, warnings=error.warnings), err=True)
        return ExitCode.INVALID


def _source_warnings(begun: RunBegun) -> Iterator[str]:
    """What is to be said where the workflow's file is not what it was."""
    if begun.source.startswith("<"):  # no file
        return
    path = Path(begun.launch.get("folder", "."), begun.source)
    kept = "its text as it was then is used"
    try:
        if path.read_bytes().decode() != begun.text:
            yield f"{path} has changed since run {begun.run_id} was started; {kept}"
    except FileNotFoundError:
        yield f"{path}, which run {begun.run_id} came from, is gone; {kept}"
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path}, which run {begun.run_id} came from, cannot be read ({error}); {kept}"
