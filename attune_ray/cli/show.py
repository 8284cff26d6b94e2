"""``attune-ray show``: one run as it stands. What is imported at the top is there for ``validate`` as well."""

import sys
from typing import Annotated

import typer

from attune_ray.cli.options import DEFAULT_STATE, AsJson, Keystore, Results, Run, State, kept_settings

__all__ = ["show"]

_MOST_FAILED_ITEMS = 5
_ALL = 2**63 - 1


def show(  # the signature is the usage
    run: Run,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="All failed items, not only the first 5 of a task.")] = False,
    state: State = DEFAULT_STATE,
    results: Results = None,
    keystore: Keystore = None,
    as_json: AsJson = False,
) -> None:
    """Show how a run stands, what failed, and what it asks."""
    from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.cli.printing import Printer  # noqa: PLC0415
    from attune_ray.cli.standing import Standing, to_json, to_text  # noqa: PLC0415

    kept = KeptRuns(kept_settings(state, results), state)
    most = _ALL if show_all else _MOST_FAILED_ITEMS
    standing = Standing.of(kept, run, keystore=keystore, most_failed=most)
    if as_json:
        Printer(out=sys.stdout).json(to_json(standing))
    else:
        for line in to_text(standing):
            typer.echo(line)
