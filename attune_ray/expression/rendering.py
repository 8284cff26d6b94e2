"""What was read → a function that gives its value, and that tells where it fails."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from jinja2 import nodes

from attune_ray.errors import ActionError, AttuneError, EvaluationError, ExpressionSyntaxError
from attune_ray.expression.compile import FILENAME, Code, Site
from attune_ray.expression.constants import fresh
from attune_ray.expression.context import ItemContext
from attune_ray.expression.explain import reason_for
from attune_ray.expression.parse import Expression, excerpt
from attune_ray.expression.reader import Fixed, Kind, Parsed

__all__ = ["function_of"]

_Render = Callable[[ItemContext], Any]


def function_of(kind: Kind, parsed: Parsed, path: str) -> _Render:
    """``render(scope) -> value``.

    Args:
        path: where the value stands, for errors without a site.

    Raises:
        ExpressionSyntaxError: it is nested too deeply to be compiled.
    """
    if isinstance(parsed, Fixed):
        return _constant(parsed.value)
    code = Code()
    try:
        found: _Render = code.function(code.body(kind, parsed), _Explainer(code.sites, path))
    except (RecursionError, MemoryError):
        raise ExpressionSyntaxError("the value is nested too deeply", path=path) from None
    return found


def _constant(value: Any) -> _Render:
    if not isinstance(value, Mapping | list | tuple):
        return lambda _: value
    make = fresh(value)
    return lambda _: make()


class _Explainer:
    """Words the errors of one function."""

    def __init__(self, sites: list[Site], path: str) -> None:
        self._sites = sites
        self._path = path

    def __call__(self, error: Exception, scope: ItemContext) -> AttuneError:
        """What Python raised, as an error that tells the expression, its place and the reason."""
        if isinstance(error, AttuneError) and not isinstance(error, ActionError):
            return error
        site = self._site(error.__traceback__)
        node = None if site is None else site.node
        try:
            reason = reason_for(error, node, scope, lambda part: _evaluated(part, site, scope))
        except Exception:  # noqa: BLE001 - the wording of an error must not raise another
            reason = f"it cannot be evaluated ({type(error).__name__})"
        if site is None:
            return EvaluationError(reason, path=self._path)
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
