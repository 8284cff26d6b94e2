"""YAML text → nodes that know their line and column.

A plain scalar has the value that ``values/scalars.py`` tells, and remembers the text it was written with, so that
``version: 1.10`` is "1.10". Merge keys (``<<: *base``) are resolved, own keys first.
The parser is libyaml's, read as events: what is nested too deep or expanded too far is never built.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from attune_ray.errors import Location
from attune_ray.model.findings import Findings
from attune_ray.values.scalars import resolve_plain
from attune_ray.values.words import key_path

__all__ = ["MAX_ALIASED_NODES", "MAX_BYTES", "MAX_DEPTH", "Map", "Node", "Scalar", "Sequence", "compose"]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
MAX_ALIASED_NODES = 10_000

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_JSON_START = re.compile(r"(?:\s|#.*\n)*(?=[\[{])")  # editors are told of the schema by a comment
_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # the anchor and the tag before a scalar
_BLANK_ESCAPES = {"\\n", "\\t", "\\r", "\\v", "\\f", "\\ ", "\\_", "\\N", "\\L", "\\P", "\\\n"}
_ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {"!", f"{_TAG}str"}
_VALUE_TAGS = {f"{_TAG}{name}" for name in ("int", "float", "bool", "null")}
_COLLECTION_TAGS = {None, "!", f"{_TAG}map", f"{_TAG}seq"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar: its value, its text, and how it stands in the file (``raw``, quotes and indentation included)."""

    value: str | float | bool | None
    text: str
    location: Location
    raw: str
    plain: bool = False

    size = 1
    height = 0

    def json(self) -> Any:
        """The value."""
        return self.value

    def at(self, offset: int | None) -> Location:
        """The place of the character at ``offset`` of the text: on the right line also in block scalars.

        Blanks are folded by YAML and are not counted on the way.
        """
        if offset is None:
            return self.location
        visible = sum(not char.isspace() for char in self.text[:offset])
        seen = 0
        end = len(self.raw)
        for position, width in _characters(self.raw):
            written = self.raw[position : position + width]
            if not written.isspace() and written not in _BLANK_ESCAPES:
                if seen == visible:
                    end = position
                    break
                seen += 1
        before = self.raw[:end]
        lines = before.count("\n")
        column = end - before.rfind("\n") if lines else self.location.column + end
        return Location(self.location.source, self.location.line + lines, column)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One list; ``size`` counts its nodes with aliases written out, ``height`` is how deep they nest."""

    items: tuple["Node", ...]
    location: Location
    size: int
    height: int

    def json(self) -> list[Any]:
        """The list of plain values."""
        return [item.json() for item in self.items]


@dataclass(frozen=True, slots=True)
class Map:
    """One map, in the order of the file, merge keys resolved."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    location: Location
    size: int
    height: int

    def json(self) -> dict[str, Any]:
        """The dict of plain values."""
        return {key.text: node.json() for key, node in self.entries}


Node = Scalar | Sequence | Map


def compose(text: str, findings: Findings) -> Node | None:
    """The one document of ``text``; None where it cannot be read at all: ``findings`` tell why."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        findings.error(Location(findings.source), "", "the file is larger than 1 MiB")
        return None
    if unreadable := _UNREADABLE.search(text):
        place = _place(text, unreadable.start(), findings.source)
        findings.error(place, "", f"the character U+{ord(unreadable[0]):04X} may not stand in YAML", hint="remove it")
        return None
    if start := _JSON_START.match(text):
        text = _as_yaml(text, start.end())
    composer = _Composer(text, findings)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.feed(event)
    except yaml.YAMLError as error:
        _report_syntax(error, findings)
        return None
    except _TooMuchError:
        return None
    if composer.root is None:
        findings.error(Location(findings.source, 1, 1), "", "the file is empty", hint="a workflow has at least `tasks`")
    return composer.root


def _as_yaml(text: str, start: int) -> str:
    """JSON made readable as YAML: no tab before ``start``, its bracket; no escape that is one half of a character."""

    def joined(match: re.Match[str]) -> str:
        high, low = int(match[2], 16), int(match[3], 16)
        return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"

    return text[:start].replace("\t", " ") + _SURROGATE_PAIR.sub(joined, text[start:])


def _place(text: str, index: int, source: str) -> Location:
    line_start = text.rfind("\n", 0, index) + 1
    return Location(source, text.count("\n", 0, index) + 1, index - line_start + 1)


_SYNTAX_HINTS = {
    "mapping values are not allowed": "put a text with a colon in quotes, or mend the indentation",
    "cannot start any token": "indent with blanks, not tabs; put a text that starts with %, @ or ` in quotes",
    "expected ',' or": "close the bracket, and put texts with {{ }} in quotes",
    "block end": "mend the indentation: keys of one map start in the same column",
    "expected ':'": "write `key: value`",
    "unexpected end of stream": "close the quote",
    "Unicode character escape": "write the character itself",
    "unknown escape": "in double quotes write \\\\ for a backslash, or use single quotes",
}


def _report_syntax(error: yaml.YAMLError, findings: Findings) -> None:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    mark, begin = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    message = f"not YAML: {problem}"
    if context := getattr(error, "context", None):
        message += f" {context}" + (f" that begins in line {begin.line + 1}" if begin else "")
    if "end of stream" in problem:
        mark = begin or mark  # the end of the file tells nothing; the open quote does
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    if "nesting depth" in problem:  # libyaml's own limit, which its scanner meets before the first event
        message = _TOO_DEEP
    hint = next((hint for words, hint in _SYNTAX_HINTS.items() if words in problem), "")
    findings.error(Location(findings.source, line, column), "", message, hint=hint)


class _TooMuchError(Exception):
    """A limit is passed: reading on would cost more than the file is worth."""


@dataclass(slots=True)
class _Open:
    """A list or map whose end has not come; of a map, ``items`` are keys and values in turn."""

    is_map: bool
    location: Location
    anchor: str | None
    items: list[Node] = field(default_factory=list)


class _Composer:
    """Builds nodes from the parser's events; ``root`` is the first document."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.root: Node | None = None
        self._text = text
        self._findings = findings
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._n_aliased = 0
        self._n_documents = 0

    def feed(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._add(self._aliased(event), None)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.DocumentStartEvent():
                self._start_document(event)
            case _:
                pass

    def _location(self, event: yaml.Event) -> Location:
        mark = event.start_mark
        return Location(self._findings.source, mark.line + 1, mark.column + 1) if mark else Location("")

    def _path(self) -> str:
        path = ""
        for level in self._open:
            if not level.is_map:
                path = f"{path}[{len(level.items)}]"
            elif len(level.items) % 2 and isinstance(key := level.items[-1], Scalar):
                path = key_path(path, key.text)
        return path

    def _error(self, location: Location, message: str, hint: str = "") -> None:
        self._findings.error(location, self._path(), message, hint=hint)

    def _start_document(self, event: yaml.Event) -> None:
        self._n_documents += 1
        if self._n_documents > 1:
            self._error(self._location(event), "a second document starts here", "one file holds one workflow")
            raise _TooMuchError

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        location = self._location(event)
        if len(self._open) >= MAX_DEPTH:
            self._error(location, _TOO_DEEP)
            raise _TooMuchError
        if event.tag not in _COLLECTION_TAGS:
            self._error(location, f"the tag {event.tag} is not supported", "remove it: values are JSON")
        self._open.append(_Open(isinstance(event, yaml.MappingStartEvent), location, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        size = 1 + sum(node.size for node in done.items)
        height = 1 + max((node.height for node in done.items), default=0)
        if done.is_map:
            self._add(Map(self._entries(done.items), done.location, size, height), done.anchor)
        else:
            self._add(Sequence(tuple(done.items), done.location, size, height), done.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].items.append(node)
        else:
            self.root = node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        raw = self._text[event.start_mark.index : event.end_mark.index] if event.start_mark and event.end_mark else ""
        location = self._location(event)
        plain = event.tag not in _TEXT_TAGS and (event.implicit[0] or event.tag in _VALUE_TAGS)
        if event.tag is not None and event.tag not in _TEXT_TAGS | _VALUE_TAGS:
            self._error(location, f"the tag {event.tag} is not supported", "remove it: values are JSON")
        return Scalar(resolve_plain(event.value) if plain else event.value, event.value, location, raw, plain)

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        name, location = event.anchor or "", self._location(event)
        if any(level.anchor == name for level in self._open):
            self._error(location, f"*{name} stands inside of &{name}: a value cannot hold itself")
        elif name not in self._anchors:
            self._error(location, f"*{name} names no anchor", self._findings.did_you_mean(name, self._anchors))
        else:
            node = self._anchors[name]
            self._n_aliased += node.size
            if self._n_aliased > MAX_ALIASED_NODES:
                self._error(location, f"aliases expand to more than {MAX_ALIASED_NODES:,} values")
                raise _TooMuchError
            if len(self._open) + node.height > MAX_DEPTH:
                self._error(location, _TOO_DEEP)
                raise _TooMuchError
            return node
        return Scalar(None, "", location, "")

    def _entries(self, items: list[Node]) -> tuple[tuple[Scalar, Node], ...]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Node] = []
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._error(key.location, "a key must be text, not a list or map", 'quote templates: "{{ … }}"')
            elif key.plain and key.text == "<<":
                merged.append(value)
            elif not isinstance(key.value, str):
                self._error(key.location, f"the key {key.text or 'null'} must be text", "put it in quotes")
            elif key.text in entries:
                first = entries[key.text][0].location.line
                self._error(key.location, f"the key `{key.text}` stands in line {first} already", "keep one of them")
            else:
                entries[key.text] = (key, value)
        for base in itertools.chain.from_iterable(map(self._bases, merged)):
            for key, value in base.entries:
                entries.setdefault(key.text, (key, value))
        return tuple(entries.values())

    def _bases(self, node: Node) -> Iterator[Map]:
        """The maps that a merge key names: one, or a list of them."""
        for base in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(base, Map):
                yield base
            else:
                self._error(base.location, "`<<` merges maps only", "name a map, as `<<: *base`")


def _characters(raw: str) -> Iterator[tuple[int, int]]:
    """(position, width) of the characters that ``raw``, a scalar as it stands in the file, writes."""
    position = _PROPERTIES.match(raw).end()  # type: ignore[union-attr]  # matches the empty text too
    quote = raw[position : position + 1]
    if quote in {"|", ">"}:
        position = raw.find("\n", position) + 1
    elif quote in {'"', "'"}:
        position += 1
    while position < len(raw):
        width = _width(raw, position, quote)
        yield position, width
        position += width


def _width(raw: str, position: int, quote: str) -> int:
    if quote == "'" and raw.startswith("''", position):
        return 2
    if quote == '"' and raw[position] == "\\":
        return 2 + _ESCAPE_DIGITS.get(raw[position + 1 : position + 2], 0)
    return 1
