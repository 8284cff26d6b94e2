"""The ``core.*`` actions, one file each, loaded when it is asked for: HTTP brings sockets, TLS and an event loop."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from typing import Final

from attune_ray.actions.output import Output

__all__ = ["CORE", "HARMLESS", "WAITING"]

_NAMES: Final = ("ask", "echo", "http_request", "noop", "sleep")


class _Core(Mapping[str, Callable[..., Awaitable[Output]]]):
    """``core.x`` → the function ``x`` of the module ``x``."""

    def __getitem__(self, ref: str) -> Callable[..., Awaitable[Output]]:
        pack, _, name = ref.partition(".")
        if pack != "core" or name not in _NAMES:
            raise KeyError(ref)
        found: Callable[..., Awaitable[Output]] = getattr(import_module(f"attune_ray.actions.core.{name}"), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (f"core.{name}" for name in _NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


CORE: Final = _Core()
"""Every core action by its ref."""
WAITING: Final = frozenset({"core.ask", "core.sleep"})
"""Those that do nothing but wait."""
HARMLESS: Final = frozenset({"core.ask", "core.echo", "core.noop", "core.sleep"})
"""Those that leave nothing in the world: done twice they are as done once."""
