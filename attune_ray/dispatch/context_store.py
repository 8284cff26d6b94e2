"""Encoding the context of a run: each part once per version, and where Ray will need it, put once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.results import FanOutResult, Part, PlainResult
from attune_ray.dispatch.worker.snapshot import Snapshot
from attune_ray.dispatch.worker.stored import IN_PLACE_BYTES, Entry, LocalRows, RayBytes, RayRows, RowSource
from attune_ray.errors import EngineError
from attune_ray.expression import References
from attune_ray.ports import RunContext

__all__ = ["ContextStore"]

_Put = Callable[[Any], Any]


class ContextStore:
    """Snapshots of run contexts, in Ray's object store.

    Whatever is put is held here while its run lives: an object dies with the last reference of its owner.
    """

    def __init__(self, put: _Put) -> None:
        self._put = put
        self._snapshots: dict[tuple[Any, ...], tuple[Snapshot, list[Any]]] = {}
        self._entries: dict[tuple[Any, ...], Entry] = {}
        self._rows: dict[tuple[str, int], tuple[LocalRows, RayRows]] = {}

    def snapshot(self, context: RunContext, references: References) -> Snapshot:
        """The snapshot that holds what ``references`` name; the same one while the context is the same.

        O(results that are named), and O(bytes) only for values that were not put before.
        """
        names = sorted(context.results) if references.all_tasks else sorted(references.tasks & context.results.keys())
        key = (
            context.run_id,
            context.variables_version if _needs_variables(references) else None,
            references.parameters,
            references.config,
            references.keystore,
            *((name, id(context.results[name])) for name in names),
        )
        if key not in self._snapshots:
            snapshot = self._snapshot(context, references, names)
            # the results are kept beside it: their ids in the key stay theirs
            self._snapshots[key] = (snapshot, [context.results[name] for name in names])
        return self._snapshots[key][0]

    def forget(self, run_id: str) -> None:
        """Let go of everything of a run."""
        self._snapshots = {key: held for key, held in self._snapshots.items() if key[0] != run_id}
        self._entries = {key: held for key, held in self._entries.items() if key[0] != run_id}
        self._rows = {key: held for key, held in self._rows.items() if key[0] != run_id}

    def _snapshot(self, context: RunContext, references: References, names: list[str]) -> Snapshot:
        version = context.variables_version
        return Snapshot(
            parameters=self._entry(context, "parameters", 0, needed=references.parameters),
            variables=self._entry(context, "variables", version, needed=_needs_variables(references)),
            config=self._entry(context, "config", 0, needed=references.config),
            keystore=self._entry(context, "keystore", 0, needed=references.keystore),
            system=dict(context.system),
            around=None if context.around is None else self._entry(context, "around", 0, needed=True),
            results={name: self._result(context.run_id, _own(context.results[name])) for name in names},
        )

    def _entry(self, context: RunContext, name: str, version: int, *, needed: bool) -> Entry:
        if not needed:
            return Entry(b"null")
        key = (context.run_id, name, version)
        if key not in self._entries:
            self._entries[key] = self._stored(encode(getattr(context, name)))
        return self._entries[key]

    def _stored(self, encoded: bytes) -> Entry:
        if len(encoded) < IN_PLACE_BYTES:
            return Entry(encoded)
        import numpy as np  # noqa: PLC0415  only where there is something large to share

        return Entry(RayBytes(self._put(np.frombuffer(encoded, dtype=np.uint8)), len(encoded)))

    def _result(self, run_id: str, result: PlainResult | FanOutResult) -> PlainResult | FanOutResult:
        """The result with its local rows put into the object store, where they are large."""
        if isinstance(result, PlainResult):
            return PlainResult(self._source(run_id, result.source), result.succeeded)
        parts = tuple(Part(part.items, self._source(run_id, part.source)) for part in result.parts)
        return replace(result, parts=parts)

    def _source(self, run_id: str, source: RowSource) -> RowSource:
        if not isinstance(source, LocalRows) or source.rows.n_bytes < IN_PLACE_BYTES:
            return source
        key = (run_id, id(source))  # the source is kept beside its copy, so that its id stays its own
        if key not in self._rows:
            self._rows[key] = (source, RayRows(self._put(source.rows)))
        return self._rows[key][1]


def _own(result: Any) -> PlainResult | FanOutResult:
    """A stored result as the executors here make them."""
    if not isinstance(result, PlainResult | FanOutResult):
        raise EngineError(f"a result of type {type(result).__name__} cannot be sent to workers")
    return result


def _needs_variables(references: References) -> bool:
    return bool(references.variables) or references.all_variables
