"""Results of ended tasks, and what expressions see of them (LANGUAGE §5)."""

import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol, overload

from attune_ray.dispatch.worker.encoding import decode, decode_all
from attune_ray.dispatch.worker.native import Columns
from attune_ray.dispatch.worker.rows import AnyRows, BatchRows, Failure, Rows
from attune_ray.dispatch.worker.shelf import shelved
from attune_ray.dispatch.worker.stored import LocalRows, RowSource
from attune_ray.expression import LazyList

__all__ = [
    "COUNTED_BYTES",
    "FailedItems",
    "FanOutResult",
    "FanOutView",
    "Part",
    "PlainResult",
    "ResultList",
    "RowCache",
    "TaskView",
    "detached",
    "lists_in",
]

_MAPPED = 4
"""Chunks of a list of results that stay mapped: neighbours are mostly read together."""


class TaskView(dict[str, Any]):
    """The stored result of a plain task, the keys of its data lifted to the top (never over its own).

    ``result`` and ``output`` are the view itself where the data is an object or there is none, else the data (which a
    table is too).
    """

    __slots__ = ()

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "TaskView":
        """The view of a stored result object."""
        lifted = stored["data"] if "data" in stored else _object_in(stored.get("stdout"))
        return cls({**lifted, **stored} if isinstance(lifted, dict) else stored)

    def __missing__(self, key: str) -> Any:
        if key not in {"result", "output"}:
            raise KeyError(key)
        data = self.get("data")
        if isinstance(data, Columns):
            return data
        return self if isinstance(data, dict) or "data" not in self else data


def _object_in(stdout: Any) -> Any:
    """The JSON object that a text is, if it is one."""
    if not (isinstance(stdout, str) and stdout.lstrip().startswith("{")):
        return None
    try:
        return decode(stdout)
    except ValueError:
        return None


class FanOutView(dict[str, Any]):
    """The result of a fan-out: counts, and lists that are decoded when they are read."""

    __slots__ = ()

    def __missing__(self, key: str) -> Any:
        if key not in {"result", "output"}:
            raise KeyError(key)
        return self["results"]


def lists_in(stored: Mapping[str, Any]) -> dict[str, int]:
    """The lists that the view of a stored result object names: name → length; ``result`` is the data as a whole.

    An object with a ``result`` or ``output`` of its own has none: it would be read there.
    """
    data = stored.get("data")
    if type(data) is list:
        return {"result": len(data)}
    if type(data) is not dict or not _WHOLE.isdisjoint(data):
        return {}
    named = (name for name, value in data.items() if type(value) is list and name not in stored)
    return {name: len(data[name]) for name in islice(named, _COUNTED)}


COUNTED_BYTES = 4 * 1024 * 1024
"""Of an encoded value whose lists are counted: making items of those of a larger one takes more than a moment."""
_WHOLE = frozenset({"result", "output"})
_COUNTED = 32
"""Lists of a result whose lengths are told: what a task gives to be fanned out over is among the first."""


@dataclass(frozen=True, slots=True)
class PlainResult:
    """The one row of a plain task: its stored result object.

    Attributes:
        lists: as of ``lists_in``, where whoever stored it has told; else empty.
    """

    source: RowSource
    succeeded: bool
    lists: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def length(self, names: Sequence[str]) -> int | None:
        """Of the list that ``task.x.name.name`` is; None: there is none, or it has not been counted."""
        match names:
            case ("output",):
                return self.lists.get("result")
            case (name,):
                return self.lists.get(name)
            case ("result" | "output", name) if name not in _WHOLE:
                return self.lists.get(name)
        return None

    def view(self) -> TaskView:
        """Decode it."""
        return TaskView.of(self.source.open().value(0))

    def detached(self) -> "PlainResult":
        """The same in this process's memory."""
        return PlainResult(LocalRows(self.source.open().detached()), self.succeeded)


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one chunk and the items they belong to."""

    items: range | tuple[int, ...]
    source: RowSource


def detached(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The same in memory of this process, or in a file of its own where they are many; one at a time is opened."""
    own: dict[int, Rows] = {}

    def batches() -> Iterator[Any]:
        for number, part in enumerate(parts):
            rows = part.source.open()
            if isinstance(rows, Rows):
                own[number] = rows.detached()
            else:
                yield rows.batch

    copies = (BatchRows(batch) for batch in shelved(batches()))
    kept = (own[number] if number in own else next(copies) for number in range(len(parts)))
    return tuple(Part(part.items, LocalRows(rows)) for part, rows in zip(parts, kept, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutResult:
    """What the chunks of a fan-out stored.

    Attributes:
        parts: in the order in which they ended; a later one supersedes an earlier one for the items both have.
        cancelled: before all its items had ended.
    """

    parts: tuple[Part, ...]
    n_items: int
    n_succeeded: int
    n_failed: int
    succeeded: bool
    cancelled: bool = False
    max_failed_items: int = 1_000

    def view(self, cache: "RowCache | None" = None) -> FanOutView:
        """Counts at once, lists when they are read; what they decode is kept in the cache."""
        results = ResultList(self.parts, self.n_items, cache)
        view = FanOutView(
            results=results,
            total_count=self.n_items,
            succeeded_count=self.n_succeeded,
            failed_count=self.n_failed,
            failed_items=FailedItems(self, results),
            succeeded=self.succeeded,
        )
        if self.cancelled:
            n_ended = self.n_succeeded + self.n_failed
            view |= {"cancelled": True, "error": f"Execution cancelled after {n_ended} of {self.n_items} item(s)"}
        elif not self.succeeded:
            view["error"] = f"{self.n_failed} of {self.n_items} item(s) failed"
        return view

    def length(self, names: Sequence[str]) -> int | None:
        """As of ``PlainResult``."""
        return self.n_items if len(names) == 1 and names[0] in {"results", *_WHOLE} else None

    def detached(self) -> "FanOutResult":
        """The same in this process's memory."""
        return replace(self, parts=detached(self.parts))


class RowCache(Protocol):
    """Keeps decoded rows, so that each is decoded once in its process."""

    def rows(self, key: bytes | None, rows: range, read: Callable[[int, int], list[bytes | None]]) -> list[Any]:
        """The decoded values of some rows of a source; ``read`` gives the texts of those that are not known."""


class ResultList(LazyList):
    """The data of the items of a fan-out in item order, null where an item failed or did not run.

    Rows are mapped and decoded when they are read: one element decodes one row; walking it decodes all, once. A few
    chunks at a time stay mapped: what is mapped cannot leave the object store, and the whole may not fit in.
    """

    __slots__ = ("__dict__", "_cache", "_n_items", "_opened", "parts")

    def __init__(self, parts: Sequence[Part], n_items: int, cache: RowCache | None = None) -> None:
        self.parts = tuple(parts)
        self._n_items = n_items
        self._cache = cache
        self._opened: OrderedDict[int, AnyRows] = OrderedDict()

    def __len__(self) -> int:
        return self._n_items

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            indexes = range(*index.indices(self._n_items))
            return self.between(indexes.start, indexes.stop) if indexes.step == 1 else [self[at] for at in indexes]
        if not -self._n_items <= index < self._n_items:
            raise IndexError(f"index {index} is out of range: there are {self._n_items}")
        return self._read(index % self._n_items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | LazyList) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a list has none either

    def __repr__(self) -> str:
        return f"<ResultList of {self._n_items}>"

    def failures(self, most: int) -> list[Failure]:
        """The first failed items, in item order."""
        superseded = self._retried
        found = [
            failure
            for number in range(len(self.parts))
            for failure in self._rows(number).failures()
            if superseded.get(failure[0], (number, 0))[0] == number
        ]
        return sorted(found, key=itemgetter(0))[:most]

    def between(self, start: int, stop: int) -> list[Any]:
        """The values from one index up to another, which opens only the chunks that have them."""
        values: list[Any] = [None] * max(0, stop - start)
        starts, numbers = self._ranges
        for place in range(max(0, bisect.bisect_right(starts, start) - 1), bisect.bisect_left(starts, stop)):
            items = self.parts[numbers[place]].items
            first, last = max(start, starts[place]), min(stop, starts[place] + len(items))
            if first < last:
                rows = range(first - starts[place], last - starts[place])
                values[first - start : last - start] = self._decoded(numbers[place], rows)
        for index in self._retried.keys() & range(start, stop):
            number, row = self._retried[index]
            values[index - start] = self._decoded(number, range(row, row + 1))[0]
        return values

    @cached_property
    def _values(self) -> list[Any]:
        return self.between(0, self._n_items)

    def _read(self, index: int) -> Any:
        if "_values" in self.__dict__:
            return self._values[index]
        place = self._retried.get(index) or self._in_ranges(index)
        return None if place is None else self._decoded(place[0], range(place[1], place[1] + 1))[0]

    def _decoded(self, number: int, rows: range) -> list[Any]:
        if self._cache is not None:
            return self._cache.rows(self.parts[number].source.key, rows, lambda *some: self._rows(number).texts(*some))
        return decode_all(self._rows(number).texts(rows.start, rows.stop))

    def _rows(self, number: int) -> AnyRows:
        if number not in self._opened:
            self._opened[number] = self.parts[number].source.open()
            if len(self._opened) > _MAPPED:
                self._opened.popitem(last=False)
        return self._opened[number]

    @cached_property
    def _retried(self) -> dict[int, tuple[int, int]]:
        """Part and row of the items that were tried again, by the last attempt."""
        return {
            index: (number, row)
            for number, part in enumerate(self.parts)
            if not isinstance(part.items, range)
            for row, index in enumerate(part.items)
        }

    @cached_property
    def _ranges(self) -> tuple[list[int], list[int]]:
        """First items of the parts that are ranges, ascending, and the parts' numbers."""
        found = sorted(
            (part.items.start, number) for number, part in enumerate(self.parts) if isinstance(part.items, range)
        )
        return [start for start, _ in found], [number for _, number in found]

    def _in_ranges(self, index: int) -> tuple[int, int] | None:
        starts, numbers = self._ranges
        place = bisect.bisect_right(starts, index) - 1
        if place < 0 or index not in self.parts[numbers[place]].items:
            return None
        return numbers[place], index - starts[place]


class FailedItems(LazyList):
    """The failed items of a fan-out as ``{index, item, error}``, in item order, at most ``max_failed_items``.

    An item that could not be read is null.
    """

    __slots__ = ("__dict__", "_fan_out", "_results")

    def __init__(self, fan_out: FanOutResult, results: ResultList) -> None:
        self._fan_out = fan_out
        self._results = results

    @cached_property
    def _listed(self) -> list[dict[str, Any]]:
        return [
            {"index": index, "item": None if item is None else decode(item), "error": error}
            for index, error, item in self._results.failures(self._fan_out.max_failed_items)
        ]

    def __len__(self) -> int:
        return len(self._listed) if self._fan_out.n_failed else 0  # fewer than failed: some did not run at all

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._listed[index]

    def __repr__(self) -> str:
        return f"<FailedItems of {len(self)}>"
