"""Parameters that an action takes as they are, not as JSON: stored tables and arrays, and batches of items."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attune_ray.actions.python import Action
from attune_ray.dispatch.worker.arrow_rows import rows_of
from attune_ray.dispatch.worker.native import Columns, NativeList, as_batch
from attune_ray.errors import PermanentError
from attune_ray.expression import WorkflowContext

__all__ = ["Bound", "bind"]

_RESULT = re.compile(r"\s*\{\{-?\s*tasks?\.([\w-]+(?:\.[\w-]+){1,2})\s*-?\}\}\s*")
_ITEM = re.compile(r"\s*\{\{-?\s*item\s*-?\}\}\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What of a task's input is not rendered.

    Attributes:
        results: parameter → a stored table or array, in the form that the parameter's annotation asks for.
        batches: parameters that take the item as a record batch.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    batches: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.results or name in self.batches

    def values(self, item: Any) -> dict[str, Any]:
        """The parameters for an item.

        Raises:
            PermanentError: its rows do not make a batch.
        """
        if not self.batches:
            return dict(self.results)
        batch = as_batch(item)
        return {**self.results, **dict.fromkeys(self.batches, batch)}


def bind(templates: Mapping[str, Any], action: Action, context: WorkflowContext) -> Bound | None:
    """Find the inputs that are one whole table, array or batch: ``{{ task.x.result }}``, ``{{ item }}``; None: none is.

    Raises:
        PermanentError: a table or array has not the form that a parameter asks for.
    """
    if not action.takes_native:
        return None
    results, batches = {}, []
    for name, template in templates.items():
        if not isinstance(template, str):
            continue
        if action.batch is not None and _ITEM.fullmatch(template):
            batches.append(name)
        elif (found := _RESULT.fullmatch(template)) is not None:
            value = _stored(found[1].split("."), context)
            if isinstance(value, Columns | NativeList):
                parameter = inspect.signature(action.function).parameters.get(name)
                results[name] = _handed(value, parameter, f"{action.ref}: {name}")
    return Bound(results=results, batches=tuple(batches)) if results or batches else None


def _stored(path: list[str], context: WorkflowContext) -> Any:
    """What stands at a path of results; None where nothing does, which the template will tell."""
    value: Any = context.tasks
    for key in path:
        if not isinstance(value, Mapping):
            return None
        try:
            value = value[key]
        except KeyError:
            return None
    return value


def _handed(value: Columns | NativeList, parameter: inspect.Parameter | None, where: str) -> Any:
    """A table or array in the form that a parameter's annotation names; without one, as it is stored."""
    wanted = _name_of(parameter.annotation) if parameter is not None else ""
    try:
        if isinstance(value, Columns):
            return _table(value, wanted)
        return _array(value, wanted)
    except Exception as error:  # Arrow and pandas raise whatever they like at a type that they do not convert
        raise PermanentError(f"{where}: the stored value cannot be handed over as {wanted}: {error}") from error


def _table(value: Columns, wanted: str) -> Any:
    match wanted:
        case "DataFrame":
            return value.table.to_pandas()
        case "RecordBatch":
            return as_batch(NativeList(value.table))
        case "list" | "Sequence":
            return rows_of(value.table)
        case "dict" | "Mapping":
            return {name: list(column) for name, column in value.items()}
    return value.table


def _array(value: NativeList, wanted: str) -> Any:
    import numpy as np  # noqa: PLC0415  heavy
    import pyarrow as pa  # noqa: PLC0415

    is_array = isinstance(value.source, np.ndarray)
    match wanted:
        case "ndarray" | "NDArray":
            return value.source if is_array else value.source.to_numpy()
        case "ChunkedArray":
            return pa.chunked_array([pa.array(value.source)]) if is_array else value.source
        case "Series":
            return (pa.array(value.source) if is_array else value.source).to_pandas()
        case "":
            return value.source if is_array else list(value)
    return list(value)


def _name_of(annotation: Any) -> str:
    """The last word of an annotation, without what stands in brackets: ``DataFrame`` of ``"pd.DataFrame"``."""
    if annotation is inspect.Parameter.empty or annotation is Any:
        return ""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    last = text.partition("[")[0].strip().rpartition(".")[2]
    return "" if last == "Any" else last
