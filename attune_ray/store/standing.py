"""How a run stands, for those who list runs: what a fact changes of it."""

from typing import Final

from attune_ray.engine import CancelRequested, PauseRequested, ResumeRequested, RunStatus
from attune_ray.records import Fact

__all__ = ["INTERRUPTED", "UNFINISHED", "status_after"]

UNFINISHED: Final = (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.CANCELLING)
"""The states of a run that has not ended."""

INTERRUPTED: Final = "interrupted"
"""How a run is shown that has not ended and that no living coordinator has."""


def status_after(fact: Fact) -> RunStatus | None:
    """How a run that was asked for stands after a fact; None: as before."""
    if "/" in fact.run_id:
        return None
    match fact.event:
        case PauseRequested():
            return RunStatus.PAUSED
        case ResumeRequested():
            return RunStatus.RUNNING
        case CancelRequested():
            return RunStatus.CANCELLING
        case _:
            return None
