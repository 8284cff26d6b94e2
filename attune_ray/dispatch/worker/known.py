"""Results of earlier calls, by digests of what was called: what a task with ``cache`` looks into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Known", "Lookup", "Reuse"]


class Lookup(Protocol):
    """Results of earlier calls."""

    def find(self, digest: bytes, *, now_s: float, ttl_s: float) -> bytes | None:
        """The stored result object of a call that ended less than ``ttl_s`` ago; None: there is none."""


@dataclass(frozen=True, slots=True)
class Known:
    """Results of earlier calls of one action, as they travel to workers.

    Attributes:
        index: digest → where its text begins and ends in ``data``, when the call ended, until when it may be reused.
        data: the texts behind each other: any buffer, mapped where it is in the object store.
    """

    index: Mapping[bytes, tuple[int, int, float, float]]
    data: Any = field(repr=False)

    def to_shared(self) -> "Known":
        """The same with a NumPy array, which other processes map instead of copying."""
        import numpy as np  # noqa: PLC0415  a run without Ray never needs it

        return Known(self.index, np.frombuffer(self.data, dtype=np.uint8))

    def find(self, digest: bytes, *, now_s: float, ttl_s: float) -> bytes | None:
        """As of ``Lookup``."""
        found = self.index.get(digest)
        if found is None or now_s >= min(found[2] + ttl_s, found[3]):
            return None
        return bytes(memoryview(self.data)[found[0] : found[1]])


@dataclass(slots=True, kw_only=True)
class Reuse:
    """What the items of one task run share in this process.

    Attributes:
        known: what was known when the task run began.
        most_bytes: of results that are kept here, and told of by one chunk.
    """

    known: Lookup
    ttl_s: float
    most_bytes: int
    _own: dict[bytes, tuple[bytes, float]] = field(default_factory=dict, repr=False)
    _own_bytes: int = 0

    def find(self, digest: bytes, now_s: float) -> bytes | None:
        """The stored result object of an earlier call: of this process, or of one before the task run began."""
        own = self._own.get(digest)
        if own is not None and now_s < own[1] + self.ttl_s:
            return own[0]
        return self.known.find(digest, now_s=now_s, ttl_s=self.ttl_s)

    def keep(self, digest: bytes, stored: bytes, now_s: float) -> None:
        """Note a result for the items that come after it, as long as there is room."""
        self._own_bytes += len(stored)
        if self._own_bytes <= self.most_bytes:
            self._own[digest] = (stored, now_s)
