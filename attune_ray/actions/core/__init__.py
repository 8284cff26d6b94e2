"""The ``core.*`` actions, one file each."""

from collections.abc import Awaitable, Callable

from attune_ray.actions.core.echo import echo
from attune_ray.actions.core.http_request import http_request
from attune_ray.actions.core.noop import noop
from attune_ray.actions.core.sleep import sleep
from attune_ray.actions.output import Output

__all__ = ["CORE"]

CORE: dict[str, Callable[..., Awaitable[Output]]] = {
    "core.echo": echo,
    "core.http_request": http_request,
    "core.noop": noop,
    "core.sleep": sleep,
}
"""Every core action that is a function, by its ref. ``core.ask`` waits for a person: the engine itself runs it."""
