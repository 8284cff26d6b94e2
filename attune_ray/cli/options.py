"""Options that several verbs have, and what they mean."""

import enum
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from attune_ray.errors import UsageError
from attune_ray.settings import RaySettings, StateSettings

__all__ = [
    "DEFAULT_STATE",
    "Address",
    "AsJson",
    "Durability",
    "Keystore",
    "Memray",
    "NumCpus",
    "Quiet",
    "Results",
    "Run",
    "RunId",
    "State",
    "kept_settings",
    "ray_settings",
    "state_settings",
]


_ID = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}"


class Durability(enum.StrEnum):
    """How safe what is kept of a run is when the run goes on."""

    STRICT = "strict"
    RELAXED = "relaxed"
    OFF = "off"


def _checked_id(run_id: str | None) -> str | None:
    """An id that can be typed, and that is no child's."""
    if run_id is not None and not re.fullmatch(_ID, run_id):
        raise UsageError(f"--run-id {run_id}: an id begins with a letter or digit; up to 99 of these and ._:@- follow")
    return run_id


DEFAULT_STATE = StateSettings().url

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False)]
State = Annotated[
    str,
    typer.Option(
        envvar="ATTUNE_STATE", metavar="FOLDER_OR_URL", help="Where runs are kept: a folder, or postgresql://…"
    ),
]
Results = Annotated[
    str | None,
    typer.Option(metavar="FOLDER_OR_URL", help="Where results are kept, as s3://…; without it beside the runs."),
]
RunId = Annotated[
    str | None,
    typer.Option(metavar="ID", callback=_checked_id, help="The run's id; a known one is not run twice."),
]
Address = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster: auto, or host:port; without it RAY_ADDRESS, else one is started."),
]
NumCpus = Annotated[int | None, typer.Option(min=1, help="Slots of the Ray that is started.")]
Keystore = Annotated[
    str | None, typer.Option(metavar="FILE", help="A YAML map of secrets that templates read as keystore.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Quiet = Annotated[bool, typer.Option(help="No live view and no table.")]
Memray = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Record the memory of coordinator and workers into this folder.")
]


def ray_settings(address: str | None, num_cpus: int | None) -> RaySettings:
    """Where Ray runs. Raises UsageError: it cannot be both."""
    if address is not None and num_cpus is not None:
        raise UsageError("--num-cpus is for a Ray that is started here: leave it out, or --address")
    return RaySettings(address=address, num_cpus=num_cpus)


def state_settings(state: str, results: str | None, durability: Durability) -> StateSettings | None:
    """Where a new run is kept, and how; None: nowhere."""
    match durability:
        case Durability.OFF:
            return None
        case Durability.STRICT:
            return kept_settings(state, results)
        case Durability.RELAXED:
            return replace(kept_settings(state, results), level="relaxed")


def kept_settings(state: str, results: str | None = None) -> StateSettings:
    """Where runs are kept; folders are absolute, since a run may be gone on with in another one."""
    return StateSettings(url=state if "://" in state else str(Path(state).absolute()), results=results)
