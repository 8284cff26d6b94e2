"""``core.ask``: a question to a person."""

from typing import Any

from attune_ray.actions.output import Output
from attune_ray.errors import PermanentError

__all__ = ["ask"]


async def ask(*, prompt: str = "", response_schema: Any = None, assigned_to: Any = None) -> Output:
    """Ask, and give ``{"response": answer}``.

    The engine runs it, since an answer comes from outside of the run: this function only tells what it takes.

    Raises:
        PermanentError: always; nobody can answer a bare function.
    """
    del prompt, response_schema, assigned_to
    raise PermanentError("core.ask waits for an answer from outside of a run")
