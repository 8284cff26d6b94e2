"""What tasks run: Python functions, scripts of packs, and the core actions."""

from attune_ray.actions.catalog import Catalog
from attune_ray.actions.execution import CURRENT, Execution
from attune_ray.actions.output import Output
from attune_ray.actions.pack import PackFile, PackSource, ScriptAction
from attune_ray.actions.python import Action, Kind, Nature, action
from attune_ray.actions.script_spec import ScriptSpec
from attune_ray.actions.sources import Source, sources_of

__all__ = [
    "CURRENT",
    "Action",
    "Catalog",
    "Execution",
    "Kind",
    "Nature",
    "Output",
    "PackFile",
    "PackSource",
    "ScriptAction",
    "ScriptSpec",
    "Source",
    "action",
    "sources_of",
]
