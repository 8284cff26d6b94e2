"""Which attempt of which item an action runs for: what it may hand on so that a repetition is recognised."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import UUID, uuid5

__all__ = ["CURRENT", "Execution"]

_NAMESPACE = UUID("3d4c1c0e-6f5e-4a3d-9a55-0d1f0c7b2e61")


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt of one item; an action with a parameter of this type gets its own.

    Attributes:
        seed: run, task and its number, as ``run/task#2``.
        index: of the item; 0 for a plain task.
        attempt: 1-based.
        environment: variables that a script gets in addition.
        allowed_hosts: hosts, addresses and networks that ``core.http_request`` may reach although they are link-local.
        permission_set_refs: as the task names them; nothing here acts on them.
    """

    seed: str
    index: int = 0
    attempt: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    allowed_hosts: tuple[str, ...] = ()
    permission_set_refs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``run/task/index/attempt``: another one for each attempt."""
        return f"{self.seed}/{self.index}/{self.attempt}"

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts of an item, also after a resume; ASCII, so that it may stand in a header."""
        return str(uuid5(_NAMESPACE, f"{self.seed}|{self.index}"))


CURRENT: ContextVar[Execution] = ContextVar("attune_execution", default=Execution("none"))  # noqa: B039  frozen
"""The attempt that the current asyncio task runs."""
