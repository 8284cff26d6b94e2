"""``attune-ray runs``: the runs that are kept. What is imported at the top is there for ``validate`` as well."""

import enum
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attune_ray.cli.options import DEFAULT_STATE, AsJson, State, kept_settings
from attune_ray.observe.text import clipped, moment, table

if TYPE_CHECKING:
    from attune_ray.store.archive import RunLine

__all__ = ["runs"]

_TITLE_WIDTH = 40


class _Status(enum.StrEnum):
    """How a run stands, as listings say it."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def runs(
    *,
    status: Annotated[list[_Status] | None, typer.Option(help="Only runs that stand like this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="As many at the most.")] = 50,
    before: Annotated[str | None, typer.Option(metavar="RUN", help="Only runs listed behind this one.")] = None,
    state: State = DEFAULT_STATE,
    as_json: AsJson = False,
) -> None:
    """List the runs that are kept, newest first."""
    from attune_ray.cli.kept import KeptRuns  # noqa: PLC0415  imports the engine: not for `validate`

    kept = KeptRuns(kept_settings(state), state)
    if before is not None:
        kept.line(before)
    wanted = [each.value for each in status or ()]
    lines = kept.archive.runs(status=wanted, limit=limit + 1, before=before)
    listed = lines[:limit]
    if as_json:
        typer.echo(json.dumps(list(map(_told, listed)), indent=2))
        return
    if listed:
        titles = ("run", "title", "status", "begun", "rerun of", "seconds")
        typer.echo(table(titles, list(map(_row, listed)), left=5))
    else:
        typer.echo("no run is kept" if not (wanted or before) else "there are no more such runs", err=True)
    if len(lines) > limit:
        more = [word for each in wanted for word in ("--status", each)]
        typer.echo(f"there are more: `{kept.how('runs', *more, '--before', listed[-1].id)}`", err=True)


def _told(line: "RunLine") -> dict[str, Any]:
    """A run as JSON."""
    return {
        "id": line.id,
        "title": line.title,
        "source": line.source,
        "status": line.status,
        "begun_at": line.begun_at,
        "ended_at": line.ended_at,
        "seconds": _seconds(line),
        "rerun_of": line.rerun_of,
    }


def _row(line: "RunLine") -> tuple[str, ...]:
    begun, taken_s = moment(line.begun_at), _seconds(line)
    shown = "" if taken_s is None else f"{taken_s:,.1f}"
    return (line.id, clipped(line.title, _TITLE_WIDTH), line.status, begun, line.rerun_of or "", shown)


def _seconds(line: "RunLine") -> float | None:
    """Seconds from its begin to its end, or to now where it is live; None: it was interrupted at some moment."""
    from attune_ray.cli.kept import seconds_of  # noqa: PLC0415

    return seconds_of(line)
