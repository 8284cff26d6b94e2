"""Where the runs of an engine are kept."""

from dataclasses import dataclass

from attune_ray.ports import Inbox, Journal
from attune_ray.values.keeping import Keeping

__all__ = ["State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the runs of an engine are kept.

    Attributes:
        journal: their facts; ``inbox``: what other processes ask of them, looked into every ``beat_s`` seconds.
        keeping: their results.
    """

    journal: Journal
    inbox: Inbox
    keeping: Keeping
    beat_s: float = 1.0
