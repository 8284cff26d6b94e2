"""``attune-ray gc``: remove old runs. What is imported at the top is there for ``validate`` as well."""

import datetime as dt
import re
from typing import Annotated

import typer

from attune_ray.cli.options import DEFAULT_STATE, Results, State, kept_settings
from attune_ray.errors import UsageError
from attune_ray.observe.text import byte_count, harmless

__all__ = ["gc", "parse_age"]

_UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_MAX_AGE_S = 100 * 365 * 86_400


def gc(
    *,
    older_than: Annotated[str, typer.Option(metavar="AGE", help="As 30d, 12h, 90m or 45s.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    state: State = DEFAULT_STATE,
    results: Results = None,
) -> None:
    """Remove runs that ended long ago.

    With all that is kept of them. Runs that a younger run has repeated stay: it refers to their results.
    """
    from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.cli.removing import remove  # noqa: PLC0415

    age_s = parse_age(older_than)
    kept = KeptRuns(kept_settings(state, results), state)
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
    n_runs = n_bytes = 0
    try:
        for removed in remove(kept, at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), dry_run=dry_run):
            if isinstance(removed, str):
                typer.echo(f"warning: {harmless(removed)}", err=True)
            else:
                n_runs += 1
                n_bytes += removed
    finally:
        told = "would be removed" if dry_run else "removed"
        size = f", {byte_count(n_bytes)} of results" if n_bytes else ""
        typer.echo(f"{n_runs:,} run{'' if n_runs == 1 else 's'} {told}{size}")


def parse_age(text: str) -> float:
    """Seconds.

    >>> [parse_age(text) for text in ("30d", "1.5h", "90m", "45s")]
    [2592000.0, 5400.0, 5400.0, 45.0]

    Raises:
        UsageError: it is no age.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([dhms])", text.strip())
    age_s = float(found[1]) * _UNITS_S[found[2]] if found else -1.0
    if not 0 <= age_s <= _MAX_AGE_S:
        raise UsageError(f"--older-than {text}: write a number and d, h, m or s, as 30d")
    return age_s
