"""Values that are stored outside the coordinator's Python heap: Ray objects, opened when they are read.

Everything here may travel to another process. A reference to an object never outlives its cluster.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from attune_ray.dispatch.worker.encoding import decode
from attune_ray.dispatch.worker.rows import AnyRows, BatchRows, Rows

__all__ = ["IN_PLACE_BYTES", "Entry", "LocalRows", "RayBytes", "RayRows", "RowSource", "fetch"]

IN_PLACE_BYTES = 16 * 1024
"""Encoded values below this travel within the snapshot: an object of their own would cost more (a put is ~1 ms)."""


def fetch(ref: Any) -> Any:
    """The object behind a Ray reference; buffers are mapped, not copied."""
    import ray  # noqa: PLC0415  a run without Ray never needs it

    return ray.get(ref)


def _digest(*texts: bytes | None) -> bytes:
    """What a small value is known by that travels in place, to every task run that reads it."""
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        found.update(b"-" if text is None else b"%d:" % len(text))
        found.update(text or b"")
    return found.digest()


class RowSource(Protocol):
    """Where the rows of a chunk are."""

    @property
    def key(self) -> bytes | None:
        """What a cache may know it by; None: it is not worth caching."""

    def open(self) -> AnyRows:
        """The rows; may wait for another machine."""


@dataclass(frozen=True, slots=True)
class LocalRows:
    """Rows in this very value."""

    rows: AnyRows

    @property
    def key(self) -> bytes | None:
        """A digest of small ones, which travel with the value to many a task run; None for others.

        And for a table or array, which is not in the texts: two of them would be known by the same ones.
        """
        if not isinstance(self.rows, Rows) or self.rows.native is not None or self.rows.n_bytes >= IN_PLACE_BYTES:
            return None
        return _digest(*self.rows.data)

    def open(self) -> AnyRows:
        """The rows."""
        return self.rows


@dataclass(frozen=True, slots=True)
class RayRows:
    """Rows in the object store, as a record batch or (made by the coordinator) as Python columns."""

    ref: Any

    @property
    def key(self) -> bytes | None:
        """The object's id."""
        return bytes(self.ref.binary())

    def open(self) -> AnyRows:
        """Map the rows."""
        found = fetch(self.ref)
        return found if isinstance(found, Rows) else BatchRows(found)


@dataclass(frozen=True, slots=True)
class RayBytes:
    """An encoded value in the object store, as a NumPy uint8 array: mapped, where plain bytes would be copied."""

    ref: Any
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One encoded value of a snapshot: in place when it is small, else in the object store."""

    encoded: bytes | RayBytes = field(repr=False)

    @property
    def key(self) -> bytes | None:
        """The object's id, or a digest of a value in place."""
        return bytes(self.encoded.ref.binary()) if isinstance(self.encoded, RayBytes) else _digest(self.encoded)

    @property
    def n_bytes(self) -> int:
        """Bytes of the encoded value."""
        return self.encoded.n_bytes if isinstance(self.encoded, RayBytes) else len(self.encoded)

    def decode(self) -> Any:
        """The value."""
        if isinstance(self.encoded, RayBytes):
            return decode(memoryview(fetch(self.encoded.ref)))
        return decode(self.encoded)
