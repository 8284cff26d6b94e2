"""④ The asyncio shell: one queue of events → step → perform; decides nothing."""

from attune_ray.coordinator.outcome import FanOutStats, RunResult, TaskResult
from attune_ray.coordinator.run import Coordinator
from attune_ray.coordinator.start import LiveRun, Runs
from attune_ray.coordinator.world import World

__all__ = ["Coordinator", "FanOutStats", "LiveRun", "RunResult", "Runs", "TaskResult", "World"]
