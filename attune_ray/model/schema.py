"""Parameter schemas: the flat form and JSON Schema objects, both made into one JSON Schema (draft 2020-12).

``jsonschema`` does the checking; it is imported when something is checked, since that costs 0.15 s.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attune_ray.errors import Location
from attune_ray.model.fields import Field
from attune_ray.model.findings import Findings
from attune_ray.model.source import Map, Node, Sequence
from attune_ray.values.words import did_you_mean, key_path

__all__ = ["TYPES", "read_schema", "to_json_schema"]

TYPES: Final = ("string", "integer", "number", "boolean", "array", "object")
Path = tuple[str | int, ...]
Report = Callable[..., None]  # (path, message, *, hint, fatal)

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_CHECKED = {"type", "required", "secret", "enum", "minimum", "maximum", "minItems", "items", "properties"}
_FREE = {"description", "default", "title", "examples", "$comment", "$schema", "$id", "deprecated"}
_FURTHER = {
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "dependentRequired",
    "else",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minLength",
    "minProperties",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "readOnly",
    "then",
    "uniqueItems",
    "writeOnly",
}


def read_schema(field: Field) -> dict[str, Any] | None:
    """The schema at ``field``, problems recorded where they stand."""
    if not isinstance(field.node, Map):
        field.error("a schema is a map", hint="write `name: {type: string, required: true}`")
        return None

    def report(path: Path, message: str, *, hint: str = "", fatal: bool = True) -> None:
        place = Field(_descend(field.node, path), _written(field.path, path), field.findings)
        (place.error if fatal else place.warning)(message, hint=hint)

    return _Normaliser(report).schema(field.json())


def to_json_schema(declared: Mapping[str, Any], *, source: str = "<schema>") -> dict[str, Any]:
    """A flat schema, or a JSON Schema object, as a JSON Schema object (draft 2020-12).

    Raises:
        InvalidWorkflowError: it is no schema; carries all problems.
    """
    findings = Findings(source)

    def report(path: Path, message: str, *, hint: str = "", fatal: bool = True) -> None:
        record = findings.error if fatal else findings.warning
        record(Location(source), _written("", path), message, hint=hint)

    schema = _Normaliser(report).schema(declared)
    findings.raise_errors()
    return schema


def _descend(node: Node, path: Path) -> Node:
    """The node at ``path``, or the last one on the way that there is."""
    for step in path:
        if isinstance(node, Map) and (found := [value for key, value in node.entries if key.text == step]):
            node = found[0]
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
        else:
            break
    return node


def _written(base: str, path: Path) -> str:
    for step in path:
        base = f"{base}[{step}]" if isinstance(step, int) else key_path(base, step)
    return base


def _is_json_schema(declared: Mapping[str, Any]) -> bool:
    """Whether this is a JSON Schema object; else it is a map of parameter names."""
    if any(isinstance(declared.get(key), str) for key in ("type", "$schema", "$ref")):
        return True
    properties = declared.get("properties")
    return isinstance(declared.get("required"), list) or (
        isinstance(properties, dict)
        and bool(properties)
        and all(isinstance(value, dict) for value in properties.values())
    )


class _Normaliser:
    """Makes one JSON Schema of a declared schema; ``report`` is told what is wrong, and where."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._further = False

    def schema(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        if not _is_json_schema(declared):
            return self._whole(self._object(declared, ()))
        if declared.get("type", "object") != "object":
            self._report(("type",), "parameters are an object", hint="write `type: object`")
        return self._whole({"type": "object", **self._property(declared, ())})

    def _whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        if self._further:
            self._check_further(schema)
        return schema

    def _object(self, declared: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The object whose properties are ``declared``, each with its own ``required``."""
        properties = {name: self._property(value, (*path, name)) for name, value in declared.items()}
        required = [
            name for name, value in declared.items() if isinstance(value, Mapping) and value.get("required") is True
        ]
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}

    def _property(self, declared: Any, path: Path) -> dict[str, Any]:
        if not isinstance(declared, Mapping):
            self._report(path, "a schema is a map", hint="write `{type: string}`")
            return {}
        found: dict[str, Any] = {}
        for keyword, value in declared.items():
            self._keyword(keyword, value, (*path, keyword), found)
        if isinstance(declared.get("properties"), Mapping):
            inner = self._object(declared["properties"], (*path, "properties"))
            found["properties"] = inner["properties"]
            if required := [*found.get("required", []), *inner.get("required", [])]:
                found["required"] = list(dict.fromkeys(required))
        self._check_default(declared, path)
        return found

    def _keyword(self, keyword: str, value: Any, path: Path, found: dict[str, Any]) -> None:
        """Check one keyword; what is fit to stand in the JSON Schema goes into ``found``."""
        if keyword in _FURTHER:
            self._further = True
            if keyword == "$ref" and not str(value).startswith("#"):
                self._report(path, "names another document", hint="put it in `$defs` and write `#/$defs/name`")
        elif keyword not in _CHECKED | _FREE:
            hint = did_you_mean(keyword, sorted(_CHECKED | _FREE | _FURTHER))
            self._report(path, f"unknown keyword `{keyword}`: it has no effect", hint=hint, fatal=False)
        elif wanted := _WANTED.get(keyword):
            fits, words = wanted
            if not fits(value):
                self._report(path, f"must be {words}", hint=_type_hint(value) if keyword == "type" else "")
                return
        if keyword == "items":
            found[keyword] = self._property(value, path)
        elif keyword != "required" or isinstance(value, list):  # `required: true` belongs to the object around it
            found[keyword] = value

    def _check_default(self, declared: Mapping[str, Any], path: Path) -> None:
        default, kind = declared.get("default"), declared.get("type")
        if default is None or not isinstance(kind, str) or kind not in TYPES:
            return
        if isinstance(default, str) and "{{" in default:
            return
        if not isinstance(default, _PYTHON_TYPES[kind]) or (isinstance(default, bool) and kind != "boolean"):
            self._report((*path, "default"), f"the default is not of type {kind}", hint="", fatal=False)

    def _check_further(self, schema: dict[str, Any]) -> None:
        """Check the keywords beyond the flat form's."""
        import jsonschema  # noqa: PLC0415  # 0.15 s, for few schemas

        validator = jsonschema.Draft202012Validator
        meta = validator(validator.META_SCHEMA, format_checker=validator.FORMAT_CHECKER)
        for error in meta.iter_errors(schema):
            self._report(tuple(error.absolute_path), f"no JSON Schema: {error.message}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(kind, str) and kind in _PYTHON_TYPES for kind in value)
    return isinstance(value, str) and value in _PYTHON_TYPES


def _is_required(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _type_hint(value: Any) -> str:
    return did_you_mean(value, TYPES) if isinstance(value, str) else ""


_WANTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "type": (_is_type, f"one of {', '.join(TYPES)}"),
    "required": (_is_required, "true or false"),
    "secret": (lambda value: isinstance(value, bool), "true or false"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of values, not empty"),
    "minimum": (_is_number, "a number"),
    "maximum": (_is_number, "a number"),
    "minItems": (_is_count, "an integer of at least 0"),
    "items": (lambda value: isinstance(value, Mapping), "a schema, as `{type: string}`"),
    "properties": (lambda value: isinstance(value, Mapping), "a map name → schema"),
}
