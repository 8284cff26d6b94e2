"""The run's parameters, from a file and from the command line."""

import json
import math
from collections.abc import Iterable
from typing import Any

from attune_ray.cli.source import name_of, read_text
from attune_ray.errors import UsageError
from attune_ray.model.findings import Findings
from attune_ray.model.source import compose

__all__ = ["MAX_BYTES", "gather", "parse_document", "parse_pair", "parse_value"]

MAX_BYTES = 16 * 1024 * 1024
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1


def gather(file: str | None, pairs: Iterable[str]) -> dict[str, Any]:
    """The parameters of a file, overridden by ``key=value`` pairs, of which a later one overrides an earlier one.

    Raises:
        UsageError: the file cannot be read, is no map, or a pair is none.
        InvalidWorkflowError: the file is neither JSON nor YAML; told with every place.
    """
    given: dict[str, Any] = {}
    if file is not None:
        given |= parse_document(read_text(file, what="the parameters", most_bytes=MAX_BYTES), name_of(file))
    for pair in pairs:
        key, value = parse_pair(pair)
        given[key] = value
    return given


def parse_pair(pair: str) -> tuple[str, Any]:
    """A key and a value: JSON where it is, else the text itself.

    >>> [parse_pair(pair)[1] for pair in ("a=1", "a=[true]", "a=yes", 'a="1"', "a=x=y", "a=")]
    [1, [True], 'yes', '1', 'x=y', '']

    Raises:
        UsageError: it has no key, or is not UTF-8.
    """
    key, equals, text = pair.partition("=")
    if not equals or not key:
        raise UsageError("-p takes key=value: one is given without an = or a key before it")
    if any("\ud800" <= char <= "\udfff" for char in pair):
        raise UsageError(f"-p {key}: the value is not UTF-8")
    return key, parse_value(text)


def parse_value(text: str) -> Any:
    """A value: JSON where it is, else the text itself."""
    try:
        return _json(text)
    except ValueError:
        return text


def parse_document(text: str, source: str) -> dict[str, Any]:
    """The map that a JSON or YAML text holds; scalars as in workflows: ``yes`` is a text.

    Raises:
        UsageError: it is no map.
        InvalidWorkflowError: it is neither JSON nor YAML.
    """
    if not text.strip():
        raise UsageError(f"the parameters {source} are empty: write a map of name: value, or {{}}")
    try:
        document = _json(text)
    except ValueError:
        document = _yaml(text, source)
    if not isinstance(document, dict):
        raise UsageError(f"the parameters {source} must be a map of name: value, not {_kind(document)}")
    return document


def _json(text: str) -> Any:
    """The value of JSON text that JSON can carry back: numbers within 64 bits, whole characters.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is a UnicodeEncodeError, a ValueError
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _integer(digits: str) -> int:
    if len(digits) > len(str(_INT64_MIN)) or not _INT64_MIN <= int(digits) <= _UINT64_MAX:
        raise ValueError("beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError("beyond a double")
    return value


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _yaml(text: str, source: str) -> Any:
    findings = Findings(source)
    root = compose(text, findings)
    findings.raise_errors()
    return None if root is None else root.json()


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
