"""Run Attune workflows on Ray: fan out over thousands of items without copying the workflow context.

>>> import attune_ray
>>> attune_ray.run("tasks: [{name: hi, action: core.echo, input: {message: hi}}]").status.value
'completed'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attune_ray.actions import Execution, action
    from attune_ray.bootstrap import Engine, load, run
    from attune_ray.coordinator import RunResult, TaskResult
    from attune_ray.errors import AttuneError
    from attune_ray.model import Workflow
    from attune_ray.settings import Settings

__all__ = [
    "AttuneError",
    "Engine",
    "Execution",
    "RunResult",
    "Settings",
    "TaskResult",
    "Workflow",
    "action",
    "load",
    "run",
]

_HOMES = {
    "AttuneError": "errors",
    "Engine": "bootstrap",
    "Execution": "actions",
    "RunResult": "coordinator",
    "Settings": "settings",
    "TaskResult": "coordinator",
    "Workflow": "model",
    "action": "actions",
    "load": "bootstrap",
    "run": "bootstrap",
}


def __getattr__(name: str) -> Any:
    """Import on first use: a worker, or ``attune-ray validate``, pays only for what it needs."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attune_ray' has no attribute {name!r}")
    return getattr(import_module(f"attune_ray.{_HOMES[name]}"), name)
