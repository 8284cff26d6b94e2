"""``attune-ray export``: all of a run. What is imported at the top is there for ``validate`` as well."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from attune_ray.cli.options import DEFAULT_STATE, Keystore, Results, Run, State, kept_settings
from attune_ray.errors import UsageError

__all__ = ["export"]


def export(  # the signature is the usage
    run: Run,
    *,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="A file instead of standard output.")] = None,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help="Write secrets as they are.")] = False,
    state: State = DEFAULT_STATE,
    results: Results = None,
    keystore: Keystore = None,
) -> None:
    """Write all of a run as one JSON document."""
    from attune_ray.cli.document import document, written  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415
    from attune_ray.cli.telling import told  # noqa: PLC0415

    kept = KeptRuns(kept_settings(state, results), state)
    line = kept.line(run)
    found, knows_secrets = told(kept, run, keystore=keystore)
    if not (knows_secrets or with_secrets):
        raise UsageError(
            f"the secrets of run {run} cannot be masked: its keystore, packs or configuration have changed or are "
            f"gone; name its keystore with --keystore, or write secrets as they are with --with-secrets"
        )
    parts = document(found, line.status, with_secrets=with_secrets)
    if output is None:
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    else:
        written(output, parts)
        typer.echo(f"run {run} is in {output}", err=True)
