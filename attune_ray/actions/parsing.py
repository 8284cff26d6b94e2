"""What a script wrote → its data. Never raises: what cannot be read stays text."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
import yaml

from attune_ray.values.formats import OutputFormat
from attune_ray.values.scalars import resolve_plain

__all__ = ["parse_output"]

MAX_YAML_CHARACTERS: Final = 1024 * 1024  # as of every YAML file: the parser takes a second for that much
_MAX_DEPTH = 64
_MAX_ALIASED = 10_000
_STORABLE_DEPTH = 200  # orjson writes 254 levels and reads 1,024: what was read must be written again
_JSON_BLANKS = " \t\r\n"
_JSON_STARTS = frozenset('{["-0123456789tfn')
_TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
_COLLECTION_TAGS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


def parse_output(stdout: str, form: OutputFormat) -> Any:
    """The value that ``stdout`` holds, or None where it holds none in that format.

    json: the whole text, else its last line. jsonl: the lines that are JSON, as a list. yaml: one document.
    """
    text = stdout.strip()
    if not text or form is OutputFormat.TEXT:
        return None
    return _READERS[form](text)


def _json(text: str) -> Any:
    try:
        return _from_json(text)
    except ValueError:
        return _or_none(_from_json, text.rpartition("\n")[2])


def _jsonl(text: str) -> list[Any] | None:
    found = []
    for line in text.split("\n"):  # up to ten million
        bare = line.strip(_JSON_BLANKS)
        if bare[:1] not in _JSON_STARTS:  # a refusal by the reader costs twenty times as much
            continue
        try:
            found.append(_from_json(bare))
        except ValueError:
            continue
    return found or None


def _from_json(text: str) -> Any:
    value = orjson.loads(text)
    if len(text) > _STORABLE_DEPTH and text.count("[") + text.count("{") > _STORABLE_DEPTH < _depth(value):
        raise ValueError("nested too deep")
    return value


def _depth(value: Any) -> int:
    """How deep a value nests; without recursion."""
    level, depth = [value], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = list(itertools.chain.from_iterable(part.values() if isinstance(part, dict) else part for part in level))
    return depth


def _yaml(text: str) -> Any:
    if len(text) > MAX_YAML_CHARACTERS:
        return None
    return _or_none(lambda whole: _YamlReader().read(whole), text)


_READERS: Mapping[OutputFormat, Callable[[str], Any]] = {
    OutputFormat.JSON: _json,
    OutputFormat.JSONL: _jsonl,
    OutputFormat.YAML: _yaml,
}


def _or_none(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, yaml.YAMLError):
        return None


class _YamlReader:
    """Builds one document from the parser's events, so that what is too deep or too often repeated is never built."""

    def __init__(self) -> None:
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._n_aliased = 0
        self._n_nodes = 0

    def read(self, text: str) -> Any:
        """The document's value.

        Raises:
            ValueError, yaml.YAMLError: it is not one document of JSON values within the limits.
        """
        events = (event for event in yaml.parse(text, Loader=yaml.CSafeLoader))
        value: Any = None
        n_documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    raise ValueError("more than one document")
                value = self._node(next(events), events, 0)
        return value

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        before = self._n_nodes
        self._n_nodes += 1
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif event.tag not in _COLLECTION_TAGS:  # type: ignore[attr-defined]  # a list or a map begins
            raise ValueError("a tag that is not supported")
        elif isinstance(event, yaml.SequenceStartEvent):
            value = [self._node(inner, events, depth + 1) for inner in _until(events, yaml.SequenceEndEvent)]
        else:
            value = self._map(events, depth + 1)
        if event.anchor is not None:  # type: ignore[attr-defined]  # every event that begins a node has one
            self._anchors[event.anchor] = value, self._n_nodes - before  # type: ignore[attr-defined]
        return value

    def _map(self, events: Iterator[yaml.Event], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in _until(events, yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.value in found:
                raise ValueError("a key is no text, or stands twice")
            found[event.value] = self._node(next(events), events, depth)
        return found

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Any:
        if event.anchor not in self._anchors:
            raise ValueError("an unknown anchor, or one inside of itself")
        value, n_nodes = self._anchors[event.anchor]
        self._n_aliased += n_nodes
        self._n_nodes += n_nodes
        if self._n_aliased > _MAX_ALIASED or depth + _depth(value) > _MAX_DEPTH:
            raise ValueError("aliases expand too far")
        return value


def _until(events: Iterator[yaml.Event], end: type[yaml.Event]) -> Iterator[yaml.Event]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _scalar(event: yaml.ScalarEvent) -> Any:
    if event.tag is None and event.implicit[0]:
        return resolve_plain(event.value)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return event.value
    raise ValueError(f"the tag {event.tag} is not supported")
