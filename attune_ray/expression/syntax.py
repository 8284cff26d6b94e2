"""Nodes of Python's syntax, each made with its line: compiled as they are, without a second walk to place them."""

import ast
from typing import Any, Final

__all__ = [
    "assign",
    "attribute",
    "call",
    "class_of",
    "compare",
    "conditional",
    "constant",
    "index",
    "joined",
    "listed",
    "mapped",
    "name",
    "named",
    "negated",
    "passed",
    "render",
    "spread",
    "thunk",
]

_LOAD: Final = ast.Load()
_STORE: Final = ast.Store()
_NOT: Final = ast.Not()
_NOTHING: Final = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def name(text: str, line: int) -> ast.expr:
    """``text``."""
    return ast.Name(text, _LOAD, lineno=line, col_offset=0)


def constant(value: Any, line: int) -> ast.Constant:
    """A literal."""
    return ast.Constant(value, lineno=line, col_offset=0)


def named(text: str, value: ast.expr, line: int) -> ast.expr:
    """``(text := value)``."""
    target = ast.Name(text, _STORE, lineno=line, col_offset=0)
    return ast.NamedExpr(target, value, lineno=line, col_offset=0)


def attribute(of: str, key: str, line: int) -> ast.expr:
    """``of.key``."""
    return ast.Attribute(name(of, line), key, _LOAD, lineno=line, col_offset=0)


def class_of(value: ast.expr, line: int) -> ast.expr:
    """``(v := value).__class__``."""
    return ast.Attribute(named("v", value, line), "__class__", _LOAD, lineno=line, col_offset=0)


def index(of: ast.expr, key: str | int, line: int) -> ast.expr:
    """``of[key]``."""
    return ast.Subscript(of, constant(key, line), _LOAD, lineno=line, col_offset=0)


def call(function: str, *arguments: ast.expr, line: int, options: list[ast.keyword] | None = None) -> ast.expr:
    """``function(*arguments, **options)``."""
    return ast.Call(name(function, line), list(arguments), options or [], lineno=line, col_offset=0)


def passed(option: str | None, value: ast.expr, line: int) -> ast.keyword:
    """``option=value`` in a call; of None ``**value``."""
    return ast.keyword(option, value, lineno=line, col_offset=0)


def spread(value: ast.expr, line: int) -> ast.expr:
    """``*value`` in a call."""
    return ast.Starred(value, _LOAD, lineno=line, col_offset=0)


def compare(left: ast.expr, sign: ast.cmpop, right: ast.expr, line: int) -> ast.expr:
    """``left sign right``."""
    return ast.Compare(left, [sign], [right], lineno=line, col_offset=0)


def conditional(test: ast.expr, then: ast.expr, otherwise: ast.expr, line: int) -> ast.expr:
    """``then if test else otherwise``."""
    return ast.IfExp(test, then, otherwise, lineno=line, col_offset=0)


def negated(value: ast.expr, line: int, *, times: int = 1) -> ast.expr:
    """``not value``; twice: its truth."""
    for _ in range(times):
        value = ast.UnaryOp(_NOT, value, lineno=line, col_offset=0)
    return value


def listed(items: list[ast.expr], line: int) -> ast.expr:
    """``[items]``."""
    return ast.List(items, _LOAD, lineno=line, col_offset=0)


def mapped(keys: list[ast.expr], values: list[ast.expr], line: int) -> ast.expr:
    """``{key: value}``."""
    return ast.Dict(list(keys), values, lineno=line, col_offset=0)


def joined(pieces: list[str | tuple[ast.expr, int]], line: int) -> ast.expr:
    """An f-string: texts, and values with their own lines."""
    values: list[ast.expr] = [
        constant(piece, line)
        if isinstance(piece, str)
        else ast.FormattedValue(piece[0], -1, lineno=piece[1], col_offset=0)
        for piece in pieces
    ]
    return ast.JoinedStr(values, lineno=line, col_offset=0)


def thunk(body: ast.expr, line: int) -> ast.expr:
    """``lambda: body``."""
    return ast.Lambda(_NOTHING, body, lineno=line, col_offset=0)


def assign(target: str, value: ast.expr) -> ast.stmt:
    """``target = value``, in the first line."""
    return ast.Assign([ast.Name(target, _STORE, lineno=1, col_offset=0)], value, lineno=1, col_offset=0)


def render(attempt: list[ast.stmt], body: ast.expr) -> ast.Module:
    """The function ``render(scope)``: the attempt, then the body's value; ``explain`` words what they raise."""
    place: dict[str, Any] = {"lineno": 1, "col_offset": 0}
    failed = ast.Raise(
        call("explain", name("error", 1), name("scope", 1), line=1), ast.Constant(value=None, **place), **place
    )
    handler = ast.ExceptHandler(name("Exception", 1), "error", [failed], **place)
    guarded = ast.Try([*attempt, ast.Return(body, **place)], [handler], [], [], **place)
    scope = ast.arg("scope", **place)
    arguments = ast.arguments(posonlyargs=[], args=[scope], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef("render", arguments, [guarded], [], **place)
    return ast.Module([function], [])
