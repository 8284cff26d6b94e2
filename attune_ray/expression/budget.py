"""What one rendering of a text with ``{% %}`` may do: so many steps, worth a microsecond each, and so much output."""

from collections.abc import Callable
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context

from attune_ray.expression.context import LazyList
from attune_ray.expression.fault import LIMIT, Fault
from attune_ray.expression.text import n_elements

__all__ = ["BUDGET", "Budget", "counted"]

BUDGET: Final = "ƒbudget"
"""The name under which a rendering's context has it; non-ASCII, so that no template can say it."""
_MAX_STEPS: Final = 1_000_000


class Budget:
    """What one rendering may still do: steps of loops and calls, characters of output, also in parts thrown away."""

    def __init__(self) -> None:
        self._steps = _MAX_STEPS
        self._chars = 4 * LIMIT

    def step(self, n: int) -> None:
        """Take steps."""
        self._steps -= n
        if self._steps < 0:
            raise Fault(f"the text takes more than {_MAX_STEPS:,} steps of loops and calls")

    def write(self, text: str) -> str:
        """Take the characters of a text."""
        self._chars -= len(text)
        if self._chars < 0:
            raise Fault("the text is above 10 MiB")
        return text


def counted(function: Callable[..., Any], *, cheap: bool = False) -> Callable[..., Any]:
    """The same function, whose operands and result are taken from the budget.

    Args:
        cheap: it does not look into its operands.
    """

    @pass_context
    def call(context: Context, *arguments: Any, **options: Any) -> Any:
        budget: Budget = context.parent[BUDGET]
        if not cheap:
            budget.step(sum(map(_looked_at, (*arguments, *options.values()))))
        result = function(*arguments, **options)
        budget.step(_made(result) if cheap else 8 * _made(result))
        return result

    return call


def _looked_at(value: Any) -> int:
    if isinstance(value, str):
        return len(value) // 1_024
    return n_elements(value) // 2 if isinstance(value, list | dict | LazyList) else 0


def _made(value: Any) -> int:
    """Its parts were there before."""
    return len(value) // (8_192 if isinstance(value, str) else 64) if isinstance(value, str | list | dict) else 0
