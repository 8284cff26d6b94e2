"""The context of a task run as it travels: encoded values and references, opened lazily and once per process."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from attune_ray.dispatch.worker.encoding import decode_all
from attune_ray.dispatch.worker.results import FanOutResult, PlainResult
from attune_ray.dispatch.worker.stored import Entry
from attune_ray.expression import References, WorkflowContext

__all__ = ["DecodedCache", "Snapshot", "TaskViews", "open_context"]

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the templates of a task may read; put once per version of the context, and shared by its chunks.

    Attributes:
        results: only of the tasks that its templates name.
        around: as of ``WorkflowContext``.
    """

    parameters: Entry
    variables: Entry
    config: Entry | None
    keystore: Entry | None
    system: Mapping[str, Any]
    results: Mapping[str, PlainResult | FanOutResult]
    around: Entry | None = None


@dataclass(slots=True)
class DecodedCache:
    """Decoded entries of this process, by the id of the object that holds them; the least recently used go first.

    Attributes:
        max_bytes: encoded bytes it may hold.
        bytes_decoded: encoded bytes that were ever decoded through it: what context sharing costs this process.
    """

    max_bytes: int = 256 * 1024 * 1024
    bytes_decoded: int = 0
    _held: OrderedDict[bytes, tuple[Any, int]] = field(default_factory=OrderedDict)
    _held_bytes: int = 0

    def entry(self, entry: Entry) -> Any:
        """The decoded value of an entry."""
        return self._once(b"entry", entry.key, entry.decode, lambda: entry.n_bytes)

    def view(self, result: PlainResult | FanOutResult) -> Any:
        """The view of a task's result; the rows of a fan-out are decoded when they are read."""
        if isinstance(result, FanOutResult):
            return result.view(self)
        source = result.source
        return self._once(b"view", source.key, result.view, lambda: source.open().n_bytes)

    def rows(self, key: bytes | None, rows: range, read: Callable[[int, int], list[bytes | None]]) -> list[Any]:
        """The decoded values of some rows of a fan-out's chunk; as of ``RowCache``."""
        key = None if key is None else b"rows" + key  # equal texts have equal keys in place, whatever they are read as
        known: dict[int, Any] = self._held[key][0] if self._has(key) else {}
        missing = [row for row in rows if row not in known]
        if missing:
            texts = read(rows.start, rows.stop)
            found = [texts[row - rows.start] for row in missing]
            known |= zip(missing, decode_all(found), strict=True)
            self._keep(key, known, sum(len(text) for text in found if text is not None))
        return [known[row] for row in rows]

    def _once(self, kind: bytes, key: bytes | None, decode: Callable[[], Any], n_bytes: Callable[[], int]) -> Any:
        key = None if key is None else kind + key
        return self._held[key][0] if self._has(key) else self._keep(key, decode(), n_bytes())

    def _has(self, key: bytes | None) -> TypeGuard[bytes]:
        if key is None or key not in self._held:
            return False
        self._held.move_to_end(key)
        return True

    def _keep(self, key: bytes | None, value: Any, n_bytes: int) -> Any:
        """Count what was decoded now, and hold it beside what is held of the same object."""
        self.bytes_decoded += n_bytes
        if key is not None:
            held_bytes = self._held[key][1] if key in self._held else 0
            self._held[key] = (value, held_bytes + n_bytes)
            self._held_bytes += n_bytes
            while self._held_bytes > self.max_bytes and len(self._held) > 1:
                self._held_bytes -= self._held.popitem(last=False)[1][1]
        return value


class TaskViews(Mapping[str, Any]):
    """Task name → view of its result, decoded when it is first read."""

    __slots__ = ("_cache", "_results", "_views")

    def __init__(self, results: Mapping[str, Any], cache: DecodedCache) -> None:
        self._results = results
        self._cache = cache
        self._views: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._views[name]
        except KeyError:
            view = self._views[name] = self._cache.view(self._results[name])
            return view

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


def open_context(
    snapshot: Snapshot, references: References, *, cache: DecodedCache, now: str, seed: str
) -> WorkflowContext:
    """The context of a snapshot: of its shared values only those that ``references`` names are decoded."""
    needs_variables = bool(references.variables) or references.all_variables
    return WorkflowContext(
        parameters=cache.entry(snapshot.parameters) if references.parameters else _NOTHING,
        variables=cache.entry(snapshot.variables) if needs_variables else _NOTHING,
        tasks=TaskViews(snapshot.results, cache),
        config=cache.entry(snapshot.config) if references.config and snapshot.config else None,
        keystore=cache.entry(snapshot.keystore) if references.keystore and snapshot.keystore else None,
        system=snapshot.system,
        now=now,
        seed=seed,
        around=cache.entry(snapshot.around) if snapshot.around else None,
    )
