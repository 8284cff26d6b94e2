"""Typed reading of one field: every reader gives the value, or records what is wrong and gives None."""

import enum
from dataclasses import dataclass
from typing import Any, TypeVar, final

from attune_ray.errors import Location
from attune_ray.model.findings import Findings
from attune_ray.model.source import Map, Node, Scalar, Sequence
from attune_ray.values.words import key_path

__all__ = ["Choice", "Field", "Fields", "is_variable_name", "kind_of"]

Choice = TypeVar("Choice", bound=enum.Enum)

_SILENT = "__chart_meta__"  # the visual editor's layout: kept by it, without meaning here


@final  # so that it is never falsy: `field and field.text()` is a text or None
@dataclass(frozen=True, slots=True)
class Field:
    """One node of the file and its path."""

    node: Node
    path: str
    findings: Findings

    @property
    def location(self) -> Location:
        """Where the node begins."""
        return self.node.location

    def error(self, message: str, *, hint: str = "") -> None:
        """Record an error at this field."""
        self.findings.error(self.location, self.path, message, hint=hint)

    def warning(self, message: str, *, hint: str = "") -> None:
        """Record a warning at this field."""
        self.findings.warning(self.location, self.path, message, hint=hint)

    def is_null(self) -> bool:
        """Whether there is a key, but nothing (or null) behind it."""
        return isinstance(self.node, Scalar) and self.node.value is None

    def json(self) -> Any:
        """The value as it is."""
        return self.node.json()

    def text(self, *, most: int | None = None, empty: bool = True) -> str | None:
        """Text; a plain scalar as it is written."""
        if not isinstance(self.node, Scalar) or self.is_null():
            self._wrong("text")
            return None
        if not empty and not self.node.text.strip():
            self._wrong("text that is not empty", got="empty")
            return None
        if most is not None and len(self.node.text) > most:
            self._wrong(f"at most {most} characters", got=f"{len(self.node.text)} long")
            return None
        return self.node.text

    def texts(self) -> tuple[str, ...]:
        """A list of texts, or one text."""
        if isinstance(self.node, Sequence):
            found = [item.text(empty=False) for item in self.items()]
            return tuple(text for text in found if text is not None)
        if isinstance(self.node, Map):
            self._wrong("text or a list of texts")
            return ()
        text = self.text(empty=False)
        return () if text is None else (text,)

    def integer(self, *, least: int, most: int | None = None) -> int | None:
        """An integer in a range, both ends included."""
        wanted = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(wanted)
            return None
        if value < least or (most is not None and value > most):
            self._wrong(wanted, got=str(value))
            return None
        return value

    def number(self, *, least: float = 0, above: bool = False) -> float | None:
        """A number of at least ``least``; with ``above``, more than it."""
        wanted = f"a number {'above' if above else 'of at least'} {least:g}"
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self._wrong(wanted)
            return None
        if value < least or (above and value == least):
            self._wrong(wanted, got=f"{value:g}")
            return None
        return float(value)

    def boolean(self) -> bool | None:
        """True or false."""
        if isinstance(self.node, Scalar) and isinstance(self.node.value, bool):
            return self.node.value
        self._wrong("true or false")
        return None

    def choice(self, kind: type[Choice]) -> Choice | None:
        """One of the values of an enum of texts."""
        names = [member.value for member in kind]
        if isinstance(self.node, Scalar) and self.node.text in names:
            return kind(self.node.text)
        got = f"`{self.node.text}`" if isinstance(self.node, Scalar) and not self.is_null() else kind_of(self.node)
        hint = self.findings.did_you_mean(self.node.text, names) if isinstance(self.node, Scalar) else ""
        self.error(f"must be one of {', '.join(names)}; it is {got}", hint=hint)
        return None

    def items(self) -> tuple["Field", ...]:
        """The elements of a list."""
        if not isinstance(self.node, Sequence):
            self._wrong("a list")
            return ()
        return tuple(Field(node, f"{self.path}[{i}]", self.findings) for i, node in enumerate(self.node.items))

    def entries(self) -> tuple[tuple[Scalar, "Field"], ...]:
        """The keys of a map and their values, in the order of the file."""
        if not isinstance(self.node, Map):
            self._wrong("a map")
            return ()
        return tuple(
            (key, Field(node, key_path(self.path, key.text), self.findings)) for key, node in self.node.entries
        )

    def mapping(self) -> dict[str, Any]:
        """A map of any values."""
        return {key.text: value.json() for key, value in self.entries()}

    def fields(self, what: str, *, hint: str = "") -> "Fields | None":
        """A map with known keys; ``what`` says what it should be, with its article."""
        if isinstance(self.node, Map):
            return Fields(self)
        self.error(f"{what} is a map, this is {kind_of(self.node)}", hint=hint)
        return None

    def _wrong(self, wanted: str, *, got: str = "") -> None:
        self.error(f"must be {wanted}; it is {got or kind_of(self.node)}")


class Fields:
    """A map with known keys, in either spelling (``with-items``, ``with_items``).

    The keys that are asked for are the known ones: ``close`` warns of all others.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.path = field.path
        self._entries: dict[str, tuple[Scalar, Field]] = {}
        self._asked: dict[str, None] = {}
        for key, value in field.entries():
            name = key.text.replace("-", "_")
            if name in self._entries:
                first = self._entries[name][0].text
                field.findings.error(key.location, value.path, f"`{first}` and `{key.text}` are the same field")
            else:
                self._entries[name] = (key, value)

    def has(self, name: str) -> bool:
        """Whether the key is there, even with nothing behind it."""
        return name in self._entries

    def take(self, name: str) -> Field | None:
        """The field of that name; None where it is absent or null."""
        self._asked[name] = None
        entry = self._entries.get(name)
        return None if entry is None or entry[1].is_null() else entry[1]

    def need(self, name: str, *, hint: str) -> Field | None:
        """The field of that name; an error where it is absent or null."""
        found = self.take(name)
        if found is None:
            self.field.error(f"`{name}` is missing", hint=hint)
        return found

    def close(self) -> None:
        """Warn of the keys that nothing asked for."""
        for name, (key, value) in self._entries.items():
            if name not in self._asked and name != _SILENT and not name.startswith("x_"):
                self.field.findings.warning(
                    key.location,
                    value.path,
                    f"unknown key `{key.text}`: it has no effect",
                    hint=self.field.findings.did_you_mean(name, self._asked),
                )


def is_variable_name(name: str) -> bool:
    """Whether a workflow variable may be called so: letters, digits, ``_`` and ``-``, not empty."""
    return bool(name) and all(char.isalnum() or char in "_-" for char in name)


def kind_of(node: Node) -> str:
    """What a node is, in an author's words."""
    match node:
        case Map():
            return "a map"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "empty"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=int() | float()):
            return "a number"
        case _:
            return "text"
