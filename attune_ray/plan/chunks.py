"""Cutting a fan-out into chunks: arithmetic on ranges, nothing else."""

from dataclasses import dataclass

__all__ = ["Chunk", "ChunkId", "Items", "Shape", "failed_for_good", "next_size", "split", "widths"]

ChunkId = int
Items = range | tuple[int, ...]

_GROWTH = 16  # a chunk is at most this many times larger than the one measured: first durations are noisy
_SMALLEST_SHARE = 16  # of the chunk that the time would allow
_MANY = 1e9  # items: more than any chunk; a coarse clock may say that they take next to no time


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How wide a fan-out may run; decided when it is prepared, by its action's kind and the executor's size.

    Attributes:
        lanes: chunks in flight at once.
        slots: how many of them run at once; the others are there when these end. None: all.
        width: items at once over all lanes (``concurrency``), or None: every lane is as wide as ``lane_width``.
        lane_width: items at once within one chunk; 1 for actions that run one after the other.
        target_s: seconds of work that a chunk should hold; a worker starts no item of it after them.
        first_items: items of the first chunks, before a duration is known.
        max_items: upper bound of a chunk.
    """

    lanes: int
    slots: int | None = None
    width: int | None = None
    lane_width: int = 1
    target_s: float = 0.15
    first_items: int = 8_192
    max_items: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some items of a fan-out that travel together.

    Attributes:
        items: their indexes: a range, or a tuple where failed items are tried again.
        attempt: 1-based, the same for all its items.
        width: items that may run at once within it.
        crashes: workers that died under exactly these items.
    """

    id: ChunkId
    items: Items
    attempt: int = 1
    width: int = 1
    crashes: int = 0


def widths(shape: Shape) -> tuple[int, ...]:
    """How many items at once each lane may run; their sum never exceeds ``shape.width``.

    >>> widths(Shape(lanes=4, width=10, lane_width=256))
    (3, 3, 2, 2)
    >>> widths(Shape(lanes=4, width=3))
    (1, 1, 1)
    """
    if shape.width is None:
        return (shape.lane_width,) * shape.lanes
    lanes = min(shape.lanes, shape.width)
    share, rest = divmod(shape.width, lanes)
    return tuple(min(share + (lane < rest), shape.lane_width) for lane in range(lanes))


def next_size(shape: Shape, *, n_items: int, remaining: int, width: int, last_items: int, item_s: float | None) -> int:
    """Items of the next chunk, 1..remaining.

    The first chunks share the items evenly, up to ``first_items`` each: a worker hands back what it has no time for, so
    a guess that is too large costs nothing. Later ones hold ``target_s`` of work, and shrink towards the end of the
    fan-out so that no lane waits long for the last one; but not below a sixteenth of ``target_s``, where sending them
    would cost more than it saves.

    Args:
        n_items: items of the whole fan-out.
        remaining: items not yet handed out, ≥ 1.
        width: items at once within the chunk: with fewer a lane is not filled.
        last_items: items of the largest chunk that ``item_s`` was measured on.
        item_s: mean seconds of a lane per item so far, or None when no chunk has ended.
    """
    if item_s is None:
        size = min(shape.first_items, -(-n_items // (shape.slots or shape.lanes)))
    else:
        by_time = int(min(shape.target_s / item_s, _MANY)) if item_s > 0 else shape.max_items
        wanted = min(by_time, last_items * _GROWTH, shape.max_items)
        least = min(wanted, by_time // _SMALLEST_SHARE)
        size = max(least, min(wanted, remaining // shape.lanes))
    return max(1, min(remaining, max(width, size)))


def failed_for_good(chunk: Chunk, n_succeeded: int, n_failed: int) -> int:
    """What a chunk's end adds to the failed items of its fan-out: those that it tried again were counted before."""
    return n_failed - (n_succeeded + n_failed if chunk.attempt > 1 else 0)


def split(items: Items) -> tuple[Items, Items]:
    """Two halves of at least two items, in order."""
    middle = len(items) // 2
    return items[:middle], items[middle:]
