"""Text → tokens: Jinja2's, held to the strictness of the language, each with its place in the text.

A token's "line number" is its 1-based character offset: Jinja2 hands it on to every node it builds, so a node knows
where it stands.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jinja2 import Environment
from jinja2._identifier import pattern as name_re
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import (
    Lexer,
    Token,
    TokenStream,
    _Rule,
    float_re,
    integer_re,
    operator_re,
    operators,
    string_re,
    whitespace_re,
)
from jinja2.lexer import ignored_tokens as _IGNORED  # noqa: N812 - a constant in spite of its name

__all__ = ["ExpressionLexer", "StrictLexer"]

_INTEGER: Final = re.compile(r"0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[0-9](?:_?[0-9])*")
_ANYTHING: Final = re.compile(".+", re.DOTALL)
_CLOSED: Final = re.compile(r"-}}\s*|}}")
_MOST: Final = 2**63 - 1
_MAX_DEPTH: Final = 32
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_CLOSING: Final = {"rparen": ")", "rbracket": "]", "rbrace": "}", "variable_end": "}}"}
_RAW: Final = frozenset({"raw_begin", "raw_end"})


class StrictLexer(Lexer):
    """Jinja2's lexer; the tokens that Attune does not have are errors."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        for rules in self.rules.values():
            for place, rule in enumerate(rules):
                if rule.pattern is integer_re:  # Jinja2 splits 007 into 00 and 7
                    rules[place] = _Rule(_INTEGER, rule.tokens, rule.command)

    def _normalize_newlines(self, value: str) -> str:
        return value

    def tokenize(
        self, source: str, name: str | None = None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        """The tokens of a text, or, with ``state="variable"``, of one expression."""
        return TokenStream(_strict(_placed(source, self.tokeniter(source, name, filename, state))), name, filename)


class ExpressionLexer(StrictLexer):
    """The same for single expressions alone: the patterns of whole texts, 5 ms to compile, are left out."""

    def __init__(self) -> None:
        self.lstrip_blocks, self.keep_trailing_newline, self.newline_sequence = False, True, "\n"
        self.rules = {
            "root": [_Rule(_ANYTHING, "data", None)],
            "variable_begin": [
                _Rule(_CLOSED, "variable_end", "#pop"),
                _Rule(whitespace_re, "whitespace", None),
                _Rule(float_re, "float", None),
                _Rule(_INTEGER, "integer", None),
                _Rule(name_re, "name", None),
                _Rule(string_re, "string", None),
                _Rule(operator_re, "operator", None),
            ],
        }


def _placed(source: str, pieces: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """The same pieces with their 1-based offset instead of their line."""
    at = 0
    for _, kind, text in pieces:
        found = source.find(text, at)
        at = at if found < 0 else found  # carriage returns were dropped from the text: near enough
        yield at + 1, kind, text
        at += len(text)


def _strict(pieces: Iterable[tuple[int, str, str]]) -> Iterator[Token]:
    before, depth = Token(0, "initial", ""), 0
    for offset, kind, text in pieces:
        if kind in _IGNORED or kind in _RAW:
            continue
        token = Token(offset, *_read(offset, kind, text))
        depth += (token.type in {"lparen", "lbracket", "lbrace"}) - (token.type in {"rparen", "rbracket", "rbrace"})
        _refuse(before, token, depth)
        yield token
        before = token


def _read(offset: int, kind: str, text: str) -> tuple[str, Any]:
    if kind == "operator":
        return operators[text], text
    if kind == "string":
        return kind, _unescaped(text)
    if kind == "integer":
        return kind, _integer(offset, text)
    if kind == "float":
        number = float(text.replace("_", ""))
        if number in {float("inf"), float("-inf")}:
            raise TemplateSyntaxError("the number is too large", offset)
        return kind, number
    if kind == "name" and not (text.isascii() and text.isidentifier()):
        raise TemplateSyntaxError("a name is made of ASCII letters, digits and '_'", offset)
    return kind, text


def _integer(offset: int, text: str) -> int:
    digits = text.replace("_", "")
    if len(digits) <= 100:
        number = int(digits) if digits.isdecimal() else int(digits, 0)
        if number <= _MOST:
            return number
    raise TemplateSyntaxError("the integer does not fit into 64 bits", offset)


def _unescaped(literal: str) -> str:
    quote = literal[0]

    def char(match: re.Match[str]) -> str:
        return quote if match[1] == quote else _ESCAPES.get(match[1], match[0])

    return _ESCAPE.sub(char, literal[1:-1])


def _refuse(before: Token, token: Token, depth: int) -> None:
    """Raise for what Jinja2 would accept here and Attune does not."""
    reason = None
    if token.type in {"pow", "floordiv"} and not (token.type == "pow" and before.type in {"lparen", "comma"}):
        reason = f"there is no operator '{token.value}'"
    elif before.type == "comma" and token.type in _CLOSING:
        reason = f"there is a comma too many before '{_CLOSING[token.type]}'"
    elif before.type == token.type == "string":
        reason = "two texts stand side by side; join them with '+'"
    elif before.type == "dot" and token.type != "name":
        reason = "after '.' a name is due"
    elif depth > _MAX_DEPTH:
        reason = f"it is nested deeper than {_MAX_DEPTH} brackets"
    if reason is not None:
        raise TemplateSyntaxError(reason, token.lineno)
