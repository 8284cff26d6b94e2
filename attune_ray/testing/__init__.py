"""For those who write workflows, and for our own tests: evaluate a text, or simulate a whole run.

``simulate`` runs the real engine on a virtual clock with scripted actions: no Ray, no network, and an hour of
waiting takes no time.

>>> from attune_ray.testing import simulate
>>> run = simulate(
...     "tasks: [{name: fetch, action: web.get, input: {url: x}, retry: {count: 2, delay: 3600}}]",
...     actions={"web.get": {"attempts": [{"fail": "timeout"}, {"data": {"ok": True}}]}},
... )
>>> run.status, [(e.attempt, e.status, e.started_s) for e in run.executions]
('completed', [(1, 'failed', 0.0), (2, 'completed', 3600.0)])
"""

from attune_ray.store import DyingJournal, MemoryJournal, MemoryResults
from attune_ray.testing.clock import ManualClock, VirtualLoop
from attune_ray.testing.script import Execution, ScriptedExecutor
from attune_ray.testing.simulate import Simulation, condition, evaluate, load_workflow, render, simulate

__all__ = [
    "DyingJournal",
    "Execution",
    "ManualClock",
    "MemoryJournal",
    "MemoryResults",
    "ScriptedExecutor",
    "Simulation",
    "VirtualLoop",
    "condition",
    "evaluate",
    "load_workflow",
    "render",
    "simulate",
]
