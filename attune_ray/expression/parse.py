"""Text → parts: literals, expressions as Jinja2 trees, or, where ``{% %}`` is in it, one block."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from attune_ray.errors import ExpressionSyntaxError
from attune_ray.expression.check import check, require_shallow
from attune_ray.expression.lexer import ExpressionLexer, StrictLexer

__all__ = ["BlockSource", "Expression", "Strict", "excerpt", "has_expression", "is_pure", "parse_expression", "split"]

_TAGS: Final = (("{%", "%}"), ("{#", "#}"))
_MAX_SHOWN: Final = 300
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One expression: its source, where it stands, and its tree.

    Attributes:
        source: the text between ``{{`` and ``}}``.
        path: the place of its text in the nested value.
        offset: where the source starts in its text.
        node: the tree; a node's ``lineno`` is its 1-based offset in the source.
    """

    source: str
    path: str
    offset: int
    node: nodes.Expr


@dataclass(frozen=True, slots=True)
class BlockSource:
    """A text that goes through Jinja2 whole, because it has ``{% %}`` or ``{# #}`` next to its expressions."""

    source: str
    path: str


class Strict(Environment):
    """A Jinja2 environment that reads the strict language; mixed into those that run it."""

    @cached_property
    def _strict_lexer(self) -> StrictLexer:
        return StrictLexer(self)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return self._strict_lexer.tokenize(source, name, filename, state)


class _Expressions(Strict):
    """What single expressions are read in."""

    @cached_property
    def _strict_lexer(self) -> StrictLexer:
        return ExpressionLexer()


_ENVIRONMENT: Final = _Expressions()


def excerpt(source: str) -> str:
    """An expression's text as errors show it: whole, unless it is very long."""
    stripped = source.strip()
    return stripped if len(stripped) <= _MAX_SHOWN else f"{stripped[:_MAX_SHOWN]}…"


def is_pure(text: str) -> bool:
    """Whether a text is one expression and nothing else but blanks, so that the value's type is kept."""
    stripped = text.strip()
    return stripped.startswith("{{") and _end(stripped) == len(stripped)


def has_expression(text: str) -> bool:
    """Whether a text has a closed ``{{ }}``; without one it is literal, whatever else is in it."""
    start = text.find("{{")
    return start >= 0 and text.find("}}", start + 2) >= 0


def _has_tag(text: str) -> bool:
    """Whether a text has a closed ``{% %}`` or ``{# #}``; linear, unlike a pattern's search from each start."""
    return any((start := text.find(opened)) >= 0 and text.find(closed, start + 2) >= 0 for opened, closed in _TAGS)


def split(text: str, path: str) -> list[str | Expression] | BlockSource:
    """The parts of a text, in order; a pure text is one expression.

    Raises:
        ExpressionSyntaxError: an expression in it is not one.
    """
    if is_pure(text):
        start = text.index("{{") + 2
        return [parse_expression(text[start : text.rindex("}}")], path=path, offset=start)]
    if has_expression(text) and _has_tag(text):
        return BlockSource(text, path)
    return list(_parts(text, path))


def _parts(text: str, path: str) -> Iterator[str | Expression]:
    at = 0
    while (start := text.find("{{", at)) >= 0:
        end = text.find("}}", start + 2)
        if end < 0:
            break
        if start > at:
            yield text[at:start]
        yield parse_expression(text[start + 2 : end], path=path, offset=start + 2)
        at = end + 2
    if at < len(text):
        yield text[at:]


def _end(text: str) -> int:
    """Where the expression that ``text`` opens with ends, past its ``}}``; -1 if it does not."""
    open_brackets: list[str] = []
    quote, at = "", 2
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _CLOSERS:
            open_brackets.append(_CLOSERS[char])
        elif open_brackets:
            if char == open_brackets[-1]:
                open_brackets.pop()
        elif text.startswith("}}", at):
            return at + 2
        at += 1
    return -1


def parse_expression(source: str, *, path: str = "", offset: int = 0) -> Expression:
    """One expression, checked to be of the language.

    Raises:
        ExpressionSyntaxError: it is not one; its offset is in the text that the source stands in.
    """

    def wrong(reason: str, place: int) -> ExpressionSyntaxError:
        return ExpressionSyntaxError(reason, expression=excerpt(source), path=path, offset=offset + max(place, 1) - 1)

    if not source.strip():
        raise wrong("the expression is empty", 1)
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        node = parser.parse_expression()
        if not parser.stream.eos:
            token: Any = parser.stream.current
            raise wrong(f"unexpected {token.value!r}", token.lineno)
        require_shallow(node)
        check(node)
    except TemplateSyntaxError as error:
        reason = (error.message or "").rstrip(".").replace("end of template", "end of the expression")
        raise wrong(reason, error.lineno) from None
    except RecursionError:
        raise wrong("it is nested too deeply", 1) from None
    return Expression(source=source, path=path, offset=offset, node=node)
