"""Parameters as a script reads them: JSON, dotenv or YAML, as text that no shell ever sees."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import yaml

from attune_ray.errors import PermanentError
from attune_ray.expression import LazyList
from attune_ray.values.formats import ParameterFormat

__all__ = ["plain_parameters", "to_text"]

_NAME = re.compile(r"[\w.:@/+%,\[\]-]+")
_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w ./-]*", re.ASCII)
_MAX_DEPTH = 64


def plain_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as plain JSON values, lazy lists read, bytes as the UTF-8 that they are.

    Raises:
        PermanentError: a part of them is no JSON value.
    """
    try:
        plain: dict[str, Any] = orjson.loads(orjson.dumps(parameters, default=_jsonable, option=_NUMPY))
    except (TypeError, ValueError) as error:
        raise PermanentError(f"the parameters cannot be handed to a script: {error}") from None
    return plain


def to_text(parameters: Mapping[str, Any], form: ParameterFormat) -> str:
    """Plain parameters in one of the formats, without a line end.

    Raises:
        PermanentError: a name cannot stand in dotenv, or they nest too deep for YAML.
    """
    match form:
        case ParameterFormat.JSON:
            return orjson.dumps(parameters).decode()
        case ParameterFormat.DOTENV:
            return "\n".join(sorted(_dotenv_lines(parameters, "", 0)))
        case ParameterFormat.YAML:
            return _to_yaml(parameters)


_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def _jsonable(value: Any) -> Any:
    if isinstance(value, LazyList):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"a value of type {type(value).__name__} is no JSON value")


def _dotenv_lines(parameters: Mapping[str, Any], prefix: str, depth: int) -> Iterator[str]:
    """``name='value'``; nested objects as dotted names, an empty one as nothing."""
    if depth > _MAX_DEPTH:
        raise PermanentError(f"the parameters are nested deeper than {_MAX_DEPTH} levels: use parameter_format json")
    for key, value in parameters.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotenv_lines(value, f"{name}.", depth + 1)
        elif not _NAME.fullmatch(name):
            raise PermanentError(f"the parameter name {name[:100]!r} cannot stand in dotenv: use parameter_format json")
        else:
            quoted = _value_text(value).replace("'", "'\\''")
            yield f"{name}='{quoted}'"


def _value_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class _Dumper(yaml.CSafeDumper):
    """Texts are quoted unless every YAML reads them as text: 1.1 and 1.2 do not agree on ``1e3`` or ``0o7``."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  equal parts are written out
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN_TEXT.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _to_yaml(parameters: Mapping[str, Any]) -> str:
    try:
        text: str = yaml.dump(
            dict(parameters), Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=2**30
        )
    except RecursionError:
        raise PermanentError("the parameters are nested too deep for YAML: use parameter_format json") from None
    return text.removesuffix("\n")
