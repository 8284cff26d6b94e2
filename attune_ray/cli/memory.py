"""``attune-ray memory``: the memory report of a run that was recorded."""

from pathlib import Path
from typing import Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.errors import UsageError

__all__ = ["memory"]


def memory(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that a run was recorded into.")],
) -> None:
    """Show the memory report of a recorded run again.

    Its summary.json is read; where there is none, the recordings (*.bin) are read, which takes longer.
    Exit code 1: none of them can be read.
    """
    from attune_ray.observe.memory import read_folder  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.observe.report import SUMMARY, load_summary, render_memory, save_summary  # noqa: PLC0415

    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    is_known = (folder / SUMMARY).exists()
    report = load_summary(folder) if is_known else read_folder(folder)
    is_readable = not all(process.error for process in report.processes)
    if is_readable and not is_known:
        save_summary(report)
    typer.echo(render_memory(report))
    raise typer.Exit(ExitCode.COMPLETED if is_readable else ExitCode.FAILED)
