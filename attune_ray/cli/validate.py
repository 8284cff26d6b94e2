"""``attune-ray validate``: every problem of some files, without running anything."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.problems import render_all
from attune_ray.cli.source import name_of, read_text
from attune_ray.errors import InvalidWorkflowError, Problem, UsageError
from attune_ray.model import Task, Workflow, parse_workflow
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
        try:
            errors, warnings, text = _check(file, actions)
        except UsageError as error:
            typer.echo(harmless(str(error)))
            n_errors += 1
            continue
        n_errors += len(errors)
        n_warnings += len(warnings)
        texts = {name_of(file): text}
        for found in (render_all(errors, texts), render_all(warnings, texts, label="warning")):
            if found:
                typer.echo(found)
    checked = f"{_count(len(files), 'file')} checked"
    typer.echo(f"{checked}: {_count(n_errors, 'error')}, {_count(n_warnings, 'warning')}")
    raise typer.Exit(ExitCode.INVALID if n_errors else ExitCode.COMPLETED)


def _check(file: str, actions: list[str] | None) -> tuple[tuple[Problem, ...], tuple[Problem, ...], str]:
    """Errors, warnings and the text of one file."""
    text = read_text(file, what="the workflow", most_bytes=MAX_BYTES)
    try:
        workflow = parse_workflow(text, source=name_of(file))
    except InvalidWorkflowError as error:
        return error.problems, (), text
    return tuple(_misfits(workflow, actions)), workflow.warnings, text


def _misfits(workflow: Workflow, actions: list[str] | None) -> Iterator[Problem]:
    """What the actions do not provide; without ``actions`` only core.* are known."""
    from attune_ray.actions import Catalog, sources_of  # noqa: PLC0415  20 ms: not for files that cannot be parsed
    from attune_ray.plan.actions import check_actions  # noqa: PLC0415

    sources = (source for given in actions or () for source in sources_of(given))
    catalog = Catalog(sources, finds_installed=actions is not None)
    foreign = set(_foreign(workflow.tasks)) if actions is None else set()
    return (problem for problem in check_actions(workflow, catalog) if problem.path not in foreign)


def _foreign(tasks: Iterable[Task]) -> Iterator[str]:
    """Paths of the actions that are not core.*, those of sub-tasks too."""
    for task in tasks:
        if not (task.action or "").startswith("core."):
            yield f"{task.path}.action"
        yield from _foreign(task.tasks)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
