"""A compiled template: what it reads, what it gives, and where it fails."""

import ast
import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal

from jinja2 import nodes

from attune_ray.errors import AttuneError, EvaluationError, ExpressionSyntaxError
from attune_ray.expression.compile import FILENAME, Code, Site
from attune_ray.expression.constants import decoded, encoded_or_none, fresh
from attune_ray.expression.context import ItemContext
from attune_ray.expression.explain import reason_for
from attune_ray.expression.parse import Expression, excerpt, has_expression, is_pure, parse_expression
from attune_ray.expression.references import References

__all__ = ["Template", "compile_condition", "compile_expression", "compile_text", "compile_value"]

_Kind = Literal["value", "condition", "expression"]
_MAX_CACHED_BYTES = 64 * 1024  # of a value with its templates; larger ones are compiled where they are used


class Template:
    """A value with templates in it, compiled to one function.

    Evaluating it is pure: the same scope gives the same value, each time and on each machine.

    Attributes:
        render: ``render(scope) -> value``. Lists and objects that are written in it are new each time; what an
            expression takes from the context is shared with it. Raises EvaluationError.
        references: what it reads from its context.
        is_constant: there is no template in it; ``render`` gives the value that was compiled.
    """

    __slots__ = ("_arguments", "_sites", "is_constant", "references", "render")

    render: Callable[[ItemContext], Any]

    def __init__(self, kind: _Kind, source: Any, path: str) -> None:
        self._arguments = (kind, source, path)
        code = Code()
        try:
            body = _BODIES[kind](code, source, path)
            self.is_constant = body is None
            self.render = _constant(source) if body is None else code.function(body, self._explained)
        except (RecursionError, MemoryError):
            raise ExpressionSyntaxError("the value is nested too deeply", path=path) from None
        self.references: References = code.references
        self._sites = code.sites

    def __reduce__(self) -> tuple[type["Template"], tuple[Any, ...]]:
        """Pickle by the source; it is compiled where it arrives."""
        return type(self), self._arguments

    def __repr__(self) -> str:
        return f"<Template of a {self._arguments[0]} at '{self._arguments[2]}'>"

    def _explained(self, error: Exception, scope: ItemContext) -> AttuneError:
        """What Python raised, as an error that tells the expression, its place and the reason."""
        if isinstance(error, AttuneError):
            return error
        site = self._site(error.__traceback__)
        node = None if site is None else site.node
        try:
            reason = reason_for(error, node, scope, lambda part: _evaluated(part, site, scope))
        except Exception:  # noqa: BLE001 - the wording of an error must not raise another
            reason = f"it cannot be evaluated ({type(error).__name__})"
        if site is None:
            return EvaluationError(reason, path=self._arguments[2])
        at = site.expression
        start = site.node.expr if isinstance(site.node, nodes.Compare) else site.node  # Jinja2 places one at its end
        offset = at.offset + max(start.lineno, 1) - 1
        return EvaluationError(reason, expression=excerpt(at.source), path=at.path, offset=offset)

    def _site(self, traceback: TracebackType | None) -> Site | None:
        line = 0
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == FILENAME:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return self._sites[line - 2] if 2 <= line < len(self._sites) + 2 else None


def _evaluated(node: nodes.Node, site: Site | None, scope: ItemContext) -> Any:
    if site is None or not isinstance(node, nodes.Expr):
        return None
    at = site.expression
    code = Code()
    body = code.expression(Expression(source=at.source, path=at.path, offset=at.offset, node=node))
    return code.function(body, lambda error, _: error)(scope)


def _constant(value: Any) -> Callable[[ItemContext], Any]:
    if not isinstance(value, Mapping | list | tuple):
        return lambda _: value
    make = fresh(value)
    return lambda _: make()


def _compiled(kind: _Kind, value: Any, path: str) -> Template:
    """A template, compiled once per process: runs of a workflow, and the tasks of a fan-out, ask for the same ones."""
    if isinstance(value, str):
        return _of_text(kind, value, path)
    encoded = encoded_or_none(value)
    if encoded is None or len(encoded) > _MAX_CACHED_BYTES:
        return Template(kind, value, path)
    return _of_encoded(encoded, path)


@functools.lru_cache(maxsize=4096)
def _of_text(kind: _Kind, text: str, path: str) -> Template:
    return Template(kind, text, path)


@functools.lru_cache(maxsize=1024)
def _of_encoded(encoded: bytes, path: str) -> Template:
    return Template("value", decoded(encoded), path)


def _value_body(code: Code, value: Any, path: str) -> ast.expr | None:
    return code.value(value, path)


def _expression_body(code: Code, text: str, path: str) -> ast.expr | None:
    return code.leaf(parse_expression(text, path=path))


def _condition_body(code: Code, text: str, path: str) -> ast.expr | None:
    if not has_expression(text):
        value = code.expression(parse_expression(text, path=path))
    elif is_pure(text):
        start = text.index("{{") + 2
        value = code.expression(parse_expression(text[start : text.rindex("}}")], path=path, offset=start))
    else:
        mixed = code.text(text, path) or ast.Constant(text)
        return ast.Call(ast.Name("word", ast.Load()), [mixed], [])
    return ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), value))


_BODIES: dict[_Kind, Callable[[Code, Any, str], ast.expr | None]] = {
    "value": _value_body,
    "condition": _condition_body,
    "expression": _expression_body,
}


def compile_value(value: Any, *, path: str = "") -> Template:
    """A nested value whose texts may be templates; keys of mappings are taken as they are.

    Args:
        value: JSON: texts, numbers, booleans, null, lists and mappings.
        path: where the value stands (``input``, ``tasks[2].input``): the start of the path in errors. ``uuid()``
            differs between paths.

    Raises:
        ExpressionSyntaxError: an expression in it is wrong; names its path and offset.
    """
    return _compiled("value", value, path)


def compile_text(text: str, *, path: str = "") -> Template:
    """One text that may be a template; as `compile_value`."""
    return _compiled("value", text, path)


def compile_condition(text: str, *, path: str = "") -> Template:
    """A condition: one expression with or without ``{{ }}``, whose truthiness is the value, or a longer text.

    A longer text is true where it renders to true, 1 or yes, false where it renders to false, 0, no or nothing (in any
    case), and an EvaluationError else.

    Raises:
        ExpressionSyntaxError: an expression in it is wrong.
    """
    return _compiled("condition", text, path)


def compile_expression(text: str, *, path: str = "") -> Template:
    """A bare expression, without ``{{ }}``.

    Raises:
        ExpressionSyntaxError: it is wrong.
    """
    return _compiled("expression", text, path)
