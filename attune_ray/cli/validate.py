"""``attune-ray validate``: every problem of some files, without running anything."""

import contextlib
import sys
from typing import Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.misfits import misfits
from attune_ray.cli.problems import render_all
from attune_ray.cli.source import name_of, read_text
from attune_ray.errors import UsageError
from attune_ray.model import read_draft
from attune_ray.model.source import MAX_BYTES
from attune_ray.observe.text import harmless

__all__ = ["validate"]


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflow files; - reads standard input.")],
    *,
    actions: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE_OR_FILE", help="A module or .py file of actions; then the actions are checked."),
    ] = None,
) -> None:
    """Check workflow files and print every problem with its place.

    Without --actions, actions other than core.* are not looked at. Exit code 0: all are valid, 2: some are not.
    """
    n_errors = n_warnings = 0
    for file in files:
        found_errors, found_warnings = _check(file, actions)
        n_errors += found_errors
        n_warnings += found_warnings
    checked = f"{_count(len(files), 'file')} checked"
    typer.echo(f"{checked}: {_count(n_errors, 'error')}, {_count(n_warnings, 'warning')}")
    raise typer.Exit(ExitCode.INVALID if n_errors else ExitCode.COMPLETED)


def _check(file: str, actions: list[str] | None) -> tuple[int, int]:
    """Print what is wrong with one file; the numbers of errors and warnings."""
    try:
        text = read_text(file, what="the workflow", most_bytes=MAX_BYTES)
    except UsageError as error:
        typer.echo(harmless(str(error)))
        return 1, 0
    draft = read_draft(text, source=name_of(file))
    errors, n_unread = draft.errors, 0
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever modules of actions print while they are imported
            errors += misfits(draft, actions)
    except UsageError as error:  # of the actions: what is wrong with the file is told nevertheless
        typer.echo(harmless(str(error)))
        n_unread = 1
    if errors or draft.warnings:
        typer.echo(render_all(errors, {name_of(file): text}, warnings=draft.warnings))
    return len(errors) + n_unread, len(draft.warnings)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
