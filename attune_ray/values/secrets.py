"""Secret texts, and the masking of whatever is shown: ``***`` in their place, in every form that they may stand in."""

import base64
import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

import re2

__all__ = [
    "MASK",
    "MIN_CHARACTERS",
    "NO_SECRETS",
    "RunSecrets",
    "Secrets",
    "secret_defaults",
    "secret_parts",
    "texts_of",
]

MASK: Final = "***"
MIN_CHARACTERS: Final = 4
"""A shorter text is not looked for: it stands in too many words, and masking it would tell which ones."""
_WORDS: Final = {"true", "false", "null", "none"}
_PIECE: Final = 64
"""A longer secret is looked for in pieces of this many characters, so that one that was cut is masked, too."""
_MAX_FORMS_BYTES: Final = 2 * 1024 * 1024
"""Of all forms of a run's secrets: 200 KiB of secrets or more. The automaton of so many takes a second to make."""
_MAX_MEMORY_BYTES: Final = 256 * 1024 * 1024
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Texts that must not be shown."""

    texts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Secrets":
        """The texts of values that are secret as a whole."""
        found = (text for value in values for text in texts_of(value))
        return cls(frozenset(text for text in found if _is_maskable(text)))

    def __bool__(self) -> bool:
        return bool(self.texts)

    def __or__(self, other: "Secrets") -> "Secrets":
        return Secrets(self.texts | other.texts) if self.texts and other.texts else self if self.texts else other

    def __repr__(self) -> str:
        return f"<Secrets: {len(self.texts)}>"

    def mask(self, text: str) -> str:
        """The text with ``***`` for each secret; O(characters), nothing where there are no secrets.

        Found are a secret itself and what becomes of it in JSON, in a URL, in base64 at any offset, in quotes of
        Python and of shells; and single lines of one that has several.
        """
        if not self.texts or not text:
            return text
        pattern = _pattern(self.texts)
        if pattern is None:
            return MASK
        masked: bytes = pattern.sub(MASK.encode(), text.encode("utf-8", "surrogatepass"))
        return masked.decode("utf-8", "surrogatepass")

    def masked(self, value: Any) -> Any:
        """A JSON value with every text in it masked, keys too, and numbers that are secret as texts."""
        if not self.texts or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, int | float):
            return MASK if str(value) in self.texts else value
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.masked(part) for key, part in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.masked(part) for part in value]
        return self.mask(str(value))

    def found_in(self, value: Any) -> "Secrets":
        """Those that the texts of a value hold as they are."""
        if not self.texts:
            return self
        held = list(texts_of(value))
        return Secrets(frozenset(secret for secret in self.texts if any(secret in text for text in held)))


NO_SECRETS: Final = Secrets()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSecrets:
    """The secrets of a run by where templates read them, so that a worker gets those alone that it may meet."""

    parameters: Secrets = NO_SECRETS
    config: Secrets = NO_SECRETS
    keystore: Secrets = NO_SECRETS

    def all(self) -> Secrets:
        """Those of all three."""
        return self.parameters | self.config | self.keystore

    def read_by(self, references: Any, *, takes_parameters: bool) -> Secrets:
        """Those that templates with these ``References`` may read.

        Args:
            takes_parameters: the run's own parameters are handed on as well.
        """
        found = self.parameters if references.parameters or takes_parameters else NO_SECRETS
        found |= self.config if references.config else NO_SECRETS
        return found | (self.keystore if references.keystore else NO_SECRETS)


def texts_of(value: Any) -> Iterator[str]:
    """The texts and numbers in a JSON value, as texts; names of keys are none."""
    todo = [value]
    while todo:
        match todo.pop():
            case str() as text:
                yield text
            case bool() | None:
                continue
            case int() | float() as number:
                yield str(number)
            case Mapping() as inner:
                todo += inner.values()
            case Sequence() as inner if not isinstance(inner, bytes):
                todo += inner


def secret_parts(schema: Any, value: Any, root: Any = None, depth: int = 0) -> Iterator[Any]:
    """The parts of a value that its JSON Schema marks with ``secret: true``; in doubt more than fewer.

    A value of a schema that marks none is not walked through: it may be a list of a million items.

    Args:
        root: the schema that ``$ref`` is resolved in; None: ``schema``.
    """
    if not isinstance(schema, Mapping) or value is None or depth > _MAX_DEPTH:
        return
    if root is None:
        root = schema
        if not any(True for _ in secret_defaults(schema)):
            return
    if schema.get("secret") is True:
        yield value
        return
    for inner, part in (*_same(schema, value, root), *_inside(schema, value)):
        yield from secret_parts(inner, part, root, depth + 1)


def secret_defaults(schema: Any) -> Iterator[Any]:
    """The default of everything that a JSON Schema marks as secret; None where it has none."""
    todo = [schema]
    while todo:
        match todo.pop():
            case Mapping() as inner:
                if inner.get("secret") is True:
                    yield inner.get("default")
                todo += inner.values()
            case list() as listed:
                todo += listed


def _same(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Schemas that the value itself is held to as well."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(keyword)
        yield from ((inner, value) for inner in (listed if isinstance(listed, list) else ()))
    yield from ((schema.get(keyword), value) for keyword in ("if", "then", "else"))
    if isinstance(ref := schema.get("$ref"), str) and ref.startswith("#"):
        found: Any = root
        for step in ref.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, Mapping) else None
        yield found, value


def _inside(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
    """Schemas of the parts of the value."""
    if isinstance(value, Mapping):
        declared = schema.get("properties")
        declared = declared if isinstance(declared, Mapping) else {}
        patterns = schema.get("patternProperties")
        loose = [*patterns.values()] if isinstance(patterns, Mapping) else []
        loose.append(schema.get("additionalProperties"))
        for name, part in value.items():
            yield from ((inner, part) for inner in ([declared[name]] if name in declared else loose))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        first = schema.get("prefixItems")
        if isinstance(first, list):
            yield from zip(first, value, strict=False)
        held = [inner for keyword in ("items", "contains") if isinstance(inner := schema.get(keyword), Mapping)]
        yield from ((inner, part) for inner in held for part in value)


def _is_maskable(text: str) -> bool:
    return len(text.strip()) >= MIN_CHARACTERS and text.strip().lower() not in _WORDS


@functools.lru_cache(maxsize=16)
def _pattern(texts: frozenset[str]) -> Any:
    """All forms of the secrets as one automaton, the longest first; None where they are too many for one.

    RE2, since ``re`` would try one alternative after the other at every character.
    """
    forms = {form for text in texts for piece in _pieces(text) for form in _forms(piece)}
    if sum(map(len, forms)) > _MAX_FORMS_BYTES:
        return None
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    options = re2.Options()
    options.max_mem, options.log_errors = _MAX_MEMORY_BYTES, False
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are matched, of whatever encoding
    try:
        return re2.compile(b"(?:" + b"|".join(map(re2.escape, ordered)) + b")+", options)
    except re2.error:
        return None


def _pieces(text: str) -> Iterator[str]:
    """The secret, its lines, and these cut where they are long; what is too short to be told from others is left."""
    whole = text.strip()
    lines = [line.strip() for line in whole.splitlines()]
    for line in {whole, *lines}:
        starts = range(0, max(1, len(line)), _PIECE)
        yield from (piece for start in starts if _is_maskable(piece := line[start : start + _PIECE]))


def _forms(text: str) -> Iterator[bytes]:
    """What a secret may look like where it was written out."""
    json_ascii, json_text = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    written = {
        text,
        json_ascii,
        json_text,
        json.dumps(json_ascii)[1:-1],
        json.dumps(json_text, ensure_ascii=False)[1:-1],
    }
    written |= {repr(text)[1:-1], ascii(text)[1:-1], text.encode("unicode_escape").decode(), text.replace("'", "'\\''")}
    written.add(text.replace("'", "'\"'\"'"))  # as Python's shlex quotes
    raw = text.encode("utf-8", "surrogatepass")
    for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        written |= {quoted, _lower_escapes(quoted)}
    yield from (form.encode("utf-8", "surrogatepass") for form in written)
    for offset in range(3):
        yield from _base64_forms(raw, offset)


def _lower_escapes(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "".join([head, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)])


def _base64_forms(raw: bytes, offset: int) -> Iterator[bytes]:
    """The characters of base64 that depend on the secret alone, where it begins ``offset`` bytes into a group."""
    first, end = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
    padded = bytes(offset) + raw
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        form = encode(padded)[first:end]
        if len(form) >= MIN_CHARACTERS:
            yield form
