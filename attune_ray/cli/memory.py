"""``attune-ray memory``: the memory report of a run that was recorded."""

from pathlib import Path
from typing import Annotated

import typer

from attune_ray.errors import UsageError

__all__ = ["memory"]


def memory(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that a run was recorded into.")],
) -> None:
    """Show the memory report of a recorded run again.

    Its summary.json is read; where there is none, the recordings (*.bin) are read, which takes longer.
    """
    from attune_ray.observe.memory import read_folder  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.observe.report import SUMMARY, load_summary, render_memory, save_summary  # noqa: PLC0415

    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    if (folder / SUMMARY).exists():
        report = load_summary(folder)
    else:
        report = read_folder(folder)
        save_summary(report)
    typer.echo(render_memory(report))
