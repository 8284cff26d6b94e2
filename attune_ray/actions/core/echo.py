"""``core.echo``: a message as text."""

from typing import Any

from attune_ray.actions.core.arguments import as_text
from attune_ray.actions.output import Output

__all__ = ["echo"]


async def echo(*, message: Any = "") -> Output:
    """Write ``message``, as it is and without a line end.

    Args:
        message: text; any other value is written as a template would show it (5 is ``5``).
    """
    return Output(stdout=as_text(message))
