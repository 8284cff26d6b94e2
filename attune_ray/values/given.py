"""Given parameters against a schema: all problems at once, and the defaults filled in."""

import copy
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attune_ray.errors import InvalidParametersError, Location, Problem
from attune_ray.values.words import closest, did_you_mean, key_path

__all__ = ["apply_schema"]

_ROOT = "parameters"
_TYPE_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (Mapping, "an object"),
    (Sequence, "an array"),
    (type(None), "null"),
)


def apply_schema(schema: Mapping[str, Any] | None, given: Mapping[str, Any], *, location: Location) -> dict[str, Any]:
    """The given parameters, with the schema's defaults for what is missing or null.

    An optional parameter that is given as null stays null. Parameters that the schema does not name pass through,
    unless it says ``additionalProperties: false``. No text of a problem holds a given value.

    Args:
        schema: ``Workflow.parameters``; None accepts everything.
        location: what the problems point to.

    Raises:
        InvalidParametersError: they do not fit; carries all problems.
    """
    if schema is None:
        return dict(given)
    filled = _filled(schema, given)
    declared = schema.get("properties", {})
    nulls = {name for name, value in filled.items() if value is None and not _takes_null(declared.get(name))}
    checked = {name: value for name, value in filled.items() if name not in nulls}
    own = {name for name in filled if given.get(name) is not None}
    problems = tuple(
        Problem(message=message, location=location, path=path, hint=hint)
        for path, message, hint in dict.fromkeys(_misfits(schema, checked, own))
    )
    if problems:
        raise InvalidParametersError(problems)
    return filled


def _filled(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with the defaults of ``schema``, also inside of the objects and arrays that are there."""
    filled = dict(given)
    for name, inner in schema.get("properties", {}).items():
        if filled.get(name) is not None:
            filled[name] = _filled_value(inner, filled[name])
        elif isinstance(inner, Mapping) and inner.get("default") is not None:
            filled[name] = copy.deepcopy(inner["default"])
    return filled


def _filled_value(schema: Any, value: Any) -> Any:
    if not _has_default(schema):
        return value
    if isinstance(value, Mapping):
        return _filled(schema, value)
    if isinstance(value, list) and _has_default(schema.get("items")):
        return [_filled_value(schema["items"], element) for element in value]
    return value


def _has_default(schema: Any) -> bool:
    """Whether a default may have to be filled in somewhere inside of ``schema``."""
    if not isinstance(schema, Mapping):
        return False
    inner = [*schema.get("properties", {}).values(), schema.get("items")]
    return any(isinstance(part, Mapping) and ("default" in part or _has_default(part)) for part in inner)


def _takes_null(schema: Any) -> bool:
    """Whether null is a value of the parameter, and not its absence."""
    kind = schema.get("type") if isinstance(schema, Mapping) else "null"
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _misfits(schema: Mapping[str, Any], checked: Mapping[str, Any], own: set[str]) -> Iterator[tuple[str, str, str]]:
    """(path, message, hint) of whatever does not fit; a default is its author's and not looked at."""
    try:
        for error in _validator(schema).iter_errors(checked):
            path = list(error.absolute_path)
            if not path or path[0] in own:
                yield from _told(schema, error, path, own)
    except (RecursionError, re.error, _unresolvable()) as error:
        yield _ROOT, f"the schema cannot be applied: {type(error).__name__}", "mend its $ref and pattern"


def _told(
    schema: Mapping[str, Any], error: Any, path: list[str | int], own: set[str]
) -> Iterator[tuple[str, str, str]]:
    """The problems that one error of the validator stands for, in an author's words."""
    visible, secret = _visible(schema, path)
    place = _written(visible)
    limit, value = error.validator_value, error.instance
    match error.validator:
        case "required":
            extra = own - schema.get("properties", {}).keys() if not path else ()
            for name in limit:
                if name not in value:
                    yield key_path(place, name), "is missing", _missing_hint(error.schema, name, extra)
        case "additionalProperties" if limit is False and not secret:
            known = error.schema.get("properties", {})
            for name in value:
                if name not in known:
                    yield key_path(place, name), "is not a parameter", did_you_mean(name, known)
        case "type":
            kinds = " or ".join(limit) if isinstance(limit, list) else limit
            yield place, f"must be of type {kinds}; it is {_type_name(value)}", _description(error.schema)
        case keyword if secret:
            yield place, f"does not fit the schema's `{keyword}`", _description(error.schema)
        case "enum":
            yield place, f"must be one of {', '.join(map(str, limit))}", _description(error.schema)
        case keyword if keyword in _LIMITS:
            yield place, _LIMITS[keyword].format(limit), _description(error.schema)
        case keyword:
            yield place, f"does not fit the schema's `{keyword}`", _description(error.schema)


_LIMITS: Mapping[str, str] = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be above {}",
    "exclusiveMaximum": "must be below {}",
    "minItems": "must have at least {} elements",
    "maxItems": "must have at most {} elements",
    "minLength": "must be at least {} characters long",
    "maxLength": "must be at most {} characters long",
    "pattern": "must match {}",
    "const": "must be {}",
}


def _visible(schema: Any, path: list[str | int]) -> tuple[list[str | int], bool]:
    """The part of ``path`` that may be told, and whether it ends in a secret: keys inside of one are not told."""
    for depth, step in enumerate(path):
        if not isinstance(schema, Mapping):
            return path, False
        schema = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
        if isinstance(schema, Mapping) and schema.get("secret") is True:
            return path[: depth + 1], True
    return path, False


def _written(path: list[str | int]) -> str:
    text = _ROOT
    for step in path:
        text = f"{text}[{step}]" if isinstance(step, int) else key_path(text, step)
    return text


def _missing_hint(schema: Mapping[str, Any], name: str, extra: Any) -> str:
    if word := closest(name, extra):
        return f"you gave `{word}`: is that it?"
    return _description(schema.get("properties", {}).get(name))


def _description(schema: Any) -> str:
    """What the schema says of a parameter: the best hint there is."""
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return text if isinstance(text, str) else ""


def _type_name(value: Any) -> str:
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), "no JSON value")


def _validator(schema: Mapping[str, Any]) -> Any:
    import referencing  # noqa: PLC0415  # comes with jsonschema

    # An empty registry: a $ref outside of the schema is an error, never a download.
    return _validator_class()(schema, registry=referencing.Registry())


@functools.cache
def _validator_class() -> Any:
    """Draft 2020-12, with any sequence as an array and any mapping as an object: results are read lazily."""
    import jsonschema  # noqa: PLC0415  # 0.15 s, only when parameters are checked

    base = jsonschema.Draft202012Validator
    checker = base.TYPE_CHECKER.redefine_many(
        {
            "array": lambda _, value: isinstance(value, Sequence) and not isinstance(value, str | bytes),
            "object": lambda _, value: isinstance(value, Mapping),
        }
    )
    return jsonschema.validators.extend(base, type_checker=checker)  # type: ignore[no-untyped-call]  # so in its stubs


def _unresolvable() -> type[Exception]:
    import referencing.exceptions  # noqa: PLC0415  # comes with jsonschema

    return referencing.exceptions.Unresolvable
