"""``core.sleep``: waits."""

import asyncio
from typing import Any

from attune_ray.actions.core.arguments import as_integer, as_text
from attune_ray.actions.output import Output

__all__ = ["sleep"]

_MAX_SECONDS = 3600


async def sleep(*, seconds: Any = 1, message: Any = "") -> Output:
    """Wait, without holding a thread.

    Args:
        seconds: 0..3600, an integer.
        message: written before the sleep's own line, unless it is empty.
    """
    duration_s = as_integer(seconds)
    if duration_s is None or duration_s < 0:
        return Output(stdout="", exit_code=1, error="ERROR: seconds must be a positive integer\n")
    if duration_s > _MAX_SECONDS:
        return Output(stdout="", exit_code=1, error="ERROR: seconds must be between 0 and 3600\n")
    await asyncio.sleep(duration_s)
    written = f"{text}\n" if (text := as_text(message)) else ""
    return Output(stdout=f"{written}Slept for {duration_s} seconds\n")
