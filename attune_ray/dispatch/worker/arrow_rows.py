"""Rows of Arrow tables as JSON values: what expressions and templates see of them."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from attune_ray.errors import ActionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["columns_of", "require_names", "rows_of", "values_of"]


def rows_of(table: "pa.Table | pa.RecordBatch") -> list[dict[str, Any]]:
    """The rows as objects, in the order of the table.

    Raises:
        ActionError: a column has no JSON form, or two have one name.
    """
    columns = columns_of(table)
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def columns_of(table: "pa.Table | pa.RecordBatch") -> dict[str, list[Any]]:
    """The columns as lists.

    Raises:
        ActionError: a column has no JSON form, or two have one name.
    """
    names = table.schema.names
    require_names(names)
    return {name: values_of(column, name) for name, column in zip(names, table.columns, strict=True)}


def require_names(names: Sequence[Any]) -> None:
    """Raise ActionError where two columns have one name: an object would have but one of them."""
    if len(set(names)) < len(names):
        raise ActionError("two columns of the table have the same name")


def values_of(column: "pa.Array | pa.ChunkedArray", name: str) -> list[Any]:
    """A column as JSON values: moments as ISO 8601 texts, decimals as texts, NaN and infinities as null.

    Raises:
        ActionError: its type has no JSON form, or one of its values has none.
    """
    import pyarrow as pa  # noqa: PLC0415  heavy

    try:
        values = _python_values(column)
        return values if _is_plain(column.type) else orjson.loads(orjson.dumps(values, default=_plain))
    except orjson.JSONEncodeError:  # a TypeError too
        raise ActionError(f"the column {name!r} is of type {column.type}, which has no JSON form") from None
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:  # a moment beyond year 9999, no UTF-8
        told = f"the column {name!r} is of type {column.type}, and a value of it has no JSON form: {error}"
        raise ActionError(told) from error


def _python_values(column: "pa.Array | pa.ChunkedArray") -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415  heavy
    import pyarrow.compute as pc  # noqa: PLC0415

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)  # Python's own moments end there
    elif pa.types.is_duration(kind):
        column = pc.cast(column, pa.int64())
    elif pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, None)
    found: list[Any] = column.to_pylist()
    return found


def _is_plain(kind: "pa.DataType") -> bool:
    import pyarrow as pa  # noqa: PLC0415  heavy

    types = pa.types
    return any(
        test(kind)
        for test in (
            types.is_boolean,
            types.is_integer,
            types.is_floating,
            types.is_string,
            types.is_large_string,
            types.is_null,
            types.is_duration,
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.datetime):  # pandas' own kind of it
        return value.isoformat()
    raise TypeError(type(value).__name__)
