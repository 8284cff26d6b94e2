"""A template: read and checked when it is made, compiled when it is first rendered."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attune_ray.expression.constants import decoded, encoded_or_none
from attune_ray.expression.context import ItemContext
from attune_ray.expression.parse import Expression
from attune_ray.expression.reader import Fixed, Kind, Reader
from attune_ray.expression.references import References, path_of

__all__ = ["Template", "compile_condition", "compile_expression", "compile_items", "compile_text", "compile_value"]

_MAX_CACHED_BYTES = 64 * 1024  # of a value with its templates; larger ones are compiled where they are used


class Template:
    """A value with templates in it, compiled to one function.

    Evaluating it is pure: the same scope gives the same value, each time and on each machine.

    Attributes:
        render: ``render(scope) -> value``. Lists and objects that are written in it are new each time; what an
            expression takes from the context is shared with it. Raises EvaluationError. It is compiled when it is
            first asked for; from then on it is the compiled function itself.
        references: what it reads from its context.
        is_constant: there is no template in it; ``render`` gives the value that was compiled.
        names: root and keys of a template that is nothing but a path (``{{ task.x.output.y }}``); None for any other.

    Raises:
        ExpressionSyntaxError: an expression in it is wrong.
    """

    __slots__ = ("_arguments", "_parsed", "is_constant", "names", "references", "render")

    render: Callable[[ItemContext], Any]

    def __init__(self, kind: Kind, source: Any, path: str) -> None:
        self._arguments = (kind, source, path)
        reader = Reader()
        self._parsed = reader.read(kind, source, path)
        self.is_constant = kind == "value" and isinstance(self._parsed, Fixed)
        self.references: References = reader.references
        self.names = path_of(self._parsed.node) if isinstance(self._parsed, Expression) else None

    if not TYPE_CHECKING:  # so that a misspelt attribute stays an error of types

        def __getattr__(self, name: str) -> Any:
            """``render``, while it is not there: whoever only checks a workflow never pays for it."""
            if name != "render":
                raise AttributeError(f"a template has no attribute {name!r}")
            from attune_ray.expression.rendering import function_of  # noqa: PLC0415  loads all filters, and RE2

            self.render = function_of(self._arguments[0], self._parsed, self._arguments[2])
            return self.render

    def __reduce__(self) -> tuple[type["Template"], tuple[Any, ...]]:
        """Pickle by the source; it is compiled where it arrives."""
        return type(self), self._arguments

    def __repr__(self) -> str:
        return f"<Template of a {self._arguments[0]} at '{self._arguments[2]}'>"


def _compiled(kind: Kind, value: Any, path: str) -> Template:
    """A template, compiled once per process: runs of a workflow, and the tasks of a fan-out, ask for the same ones."""
    if isinstance(value, str):
        return _of_text(kind, value, path)
    encoded = encoded_or_none(value)
    if encoded is None or len(encoded) > _MAX_CACHED_BYTES:
        return Template(kind, value, path)
    return _of_encoded(encoded, path)


@functools.lru_cache(maxsize=4096)
def _of_text(kind: Kind, text: str, path: str) -> Template:
    return Template(kind, text, path)


@functools.lru_cache(maxsize=1024)
def _of_encoded(encoded: bytes, path: str) -> Template:
    return Template("value", decoded(encoded), path)


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


def compile_items(value: Any, *, path: str = "") -> Template:
    """The items of a fan-out: as `compile_value`, but a lazy list that is the whole of them stays one.

    Raises:
        ExpressionSyntaxError: an expression in it is wrong.
    """
    return _compiled("items", value, path)


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
