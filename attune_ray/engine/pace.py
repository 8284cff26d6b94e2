"""``rate_limit``: how many items of a fan-out may start, by ticks of a timer.

Theory
======

A tick gives a *quota* of starts; what is not used until the next one is lost. The first chunk that is sent starts the
timer, and a tick after which nothing is sent stops it. With ``rate`` starts a second, the quota is what half a second
gives, at least 1, and ticks are ``quota / rate`` seconds apart. An item starts at most half a second (``STRAGGLE_S``)
after its chunk did, or is handed back; what is handed back within its tick is given again.

So in any ``T`` seconds there are ticks that gave at most ``quota * (1 + (T + STRAGGLE_S) / tick)`` starts, which is not
above ``rate * T`` and one second's worth, or for less than two a second ``rate * (T + STRAGGLE_S)`` and one. It holds
for chunks that begin when they are sent: those that have to wait for a slot of the cluster begin later, and may bunch.
"""

from dataclasses import dataclass, field

from attune_ray.model import RateLimit
from attune_ray.plan import ChunkId

__all__ = ["STRAGGLE_S", "TICK", "Pace"]

TICK: ChunkId = 0
"""What the timer of the ticks is known by, where others are by their chunks; these are numbered from 1."""
STRAGGLE_S = 0.5


@dataclass(slots=True)
class Pace:
    """The starts that one fan-out has left.

    Attributes:
        quota: starts that each tick gives.
        tick_s: seconds between two ticks.
        left: starts until the next tick.
        is_ticking: the timer runs.
    """

    quota: int
    tick_s: float
    left: int
    is_ticking: bool = False
    _sent: set[ChunkId] = field(default_factory=set)

    @classmethod
    def of(cls, limit: RateLimit | None) -> "Pace | None":
        """That of a task; None: it has no limit."""
        if limit is None:
            return None
        quota = max(1, int(limit.per_second * STRAGGLE_S))
        return cls(quota, quota / limit.per_second, quota)

    @property
    def is_spent(self) -> bool:
        """Whether nothing may start before the next tick."""
        return self.left == 0

    def share(self, n_lanes: int) -> int:
        """What one of the free lanes may start."""
        return -(-self.left // n_lanes)

    def send(self, chunk: ChunkId, n_items: int) -> bool:
        """Take the starts of a chunk; whether the timer is to be started."""
        self.left -= n_items
        self._sent.add(chunk)
        starts_timer, self.is_ticking = not self.is_ticking, True
        return starts_timer

    def give_back(self, chunk: ChunkId, n_items: int) -> None:
        """Some items of a chunk were not started: others may be, in the tick that they were meant for."""
        if chunk in self._sent:
            self.left += n_items

    def tick(self) -> None:
        """The timer has rung."""
        self.left, self.is_ticking = self.quota, False
        self._sent.clear()
