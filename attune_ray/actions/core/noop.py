"""``core.noop``: does nothing, and can be told to fail."""

from typing import Any

from attune_ray.actions.core.arguments import as_integer, as_text
from attune_ray.actions.output import Output

__all__ = ["noop"]

_MAX_EXIT_CODE = 255


async def noop(*, message: Any = "", exit_code: Any = 0) -> Output:
    """Do nothing and end with ``exit_code``.

    Args:
        message: logged first, as ``[NOOP] message``, unless it is empty.
        exit_code: 0..255; anything but 0 fails the attempt, with the text kept.
    """
    code = as_integer(exit_code)
    if code is None or code < 0:
        return Output(stdout="", exit_code=1, error="ERROR: exit_code must be a positive integer\n")
    if code > _MAX_EXIT_CODE:
        return Output(stdout="", exit_code=1, error="ERROR: exit_code must be between 0 and 255\n")
    logged = f"[NOOP] {text}\n" if (text := as_text(message)) else ""
    return Output(
        stdout=f"{logged}No operation completed successfully\n",
        exit_code=code,
        error=f"Command exited with code {code}" if code else None,
    )
