"""What tasks run: Python functions, and the core actions."""

from attune_ray.actions.catalog import Catalog
from attune_ray.actions.output import Output
from attune_ray.actions.python import Action, Kind, action
from attune_ray.actions.sources import Source, sources_of

__all__ = ["Action", "Catalog", "Kind", "Output", "Source", "action", "sources_of"]
