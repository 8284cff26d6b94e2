"""Settings → a wired engine: the one package that knows every adapter."""

from attune_ray.bootstrap.engine import Engine, run
from attune_ray.bootstrap.given import load
from attune_ray.bootstrap.state import State, open_results
from attune_ray.bootstrap.wiring import SystemClock

__all__ = ["Engine", "State", "SystemClock", "load", "open_results", "run"]
