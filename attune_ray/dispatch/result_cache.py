"""Results of tasks with ``cache``, kept for as long as the engine lives and there is room."""

import datetime as dt
import heapq
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attune_ray.dispatch.worker.known import Known
from attune_ray.ports import Clock
from attune_ray.settings import LimitSettings

__all__ = ["ResultCache"]


class _Stored(NamedTuple):
    """A result: the action that gave it, its stored result object, when it came, and until when it is good."""

    action: str
    encoded: bytes
    made_s: float
    until_s: float


@dataclass(slots=True)
class ResultCache:
    """Digest of a call → its stored result object; the oldest go first where there are too many.

    Attributes:
        max_entries, max_bytes: of encoded results.
    """

    clock: Clock
    max_entries: int
    max_bytes: int
    _held: OrderedDict[bytes, _Stored] = field(default_factory=OrderedDict, repr=False)
    _ends: list[tuple[float, bytes]] = field(default_factory=list)
    _known: dict[str, Known | None] = field(default_factory=dict)
    _n_bytes: int = 0

    def __len__(self) -> int:
        return len(self._held)

    @classmethod
    def of(cls, clock: Clock, limits: LimitSettings) -> "ResultCache":
        """An empty one."""
        return cls(clock, limits.reused_results, limits.reused_bytes)

    def now_s(self) -> float:
        """Seconds since 1970."""
        return dt.datetime.fromisoformat(self.clock.now()).timestamp()

    def find(self, digest: bytes, *, now_s: float, ttl_s: float) -> bytes | None:
        """As of ``Lookup``; a result is good for what its own task says, and for what the asking one says."""
        found = self._held.get(digest)
        return None if found is None or now_s >= min(found.made_s + ttl_s, found.until_s) else found.encoded

    def keep(self, action: str, fresh: Mapping[bytes, bytes], *, ttl_s: float) -> None:
        """Take the results of a chunk; let go of those that are no longer good, and of the oldest."""
        now_s = self.now_s()
        for digest, encoded in fresh.items():
            self._drop(digest)
            self._held[digest] = _Stored(action, encoded, now_s, now_s + ttl_s)
            self._n_bytes += len(encoded)
            heapq.heappush(self._ends, (now_s + ttl_s, digest))
        self._known.pop(action, None)
        self._let_go(now_s)

    def known(self, action: str) -> Known | None:
        """All results of an action, to travel; the same object until they change; None: there are none."""
        self._let_go(self.now_s())
        if action not in self._known:
            self._known[action] = self._join(action)
        return self._known[action]

    def _join(self, action: str) -> Known | None:
        texts, index, position = [], {}, 0
        for digest, stored in self._held.items():
            if stored.action == action:
                texts.append(stored.encoded)
                end = position + len(stored.encoded)
                index[digest] = (position, end, stored.made_s, stored.until_s)
                position = end
        return Known(index, b"".join(texts)) if index else None

    def _let_go(self, now_s: float) -> None:
        while self._ends and (self._ends[0][0] <= now_s or len(self._ends) > 2 * self.max_entries):
            until_s, digest = heapq.heappop(self._ends)
            if digest in self._held and self._held[digest].until_s == until_s:
                self._drop(digest)
        while len(self._held) > self.max_entries or self._n_bytes > self.max_bytes:
            self._drop(next(iter(self._held)))

    def _drop(self, digest: bytes) -> None:
        stored = self._held.pop(digest, None)
        if stored is not None:
            self._n_bytes -= len(stored.encoded)
            self._known.pop(stored.action, None)
