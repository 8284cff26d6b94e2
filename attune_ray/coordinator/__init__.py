"""④ The asyncio shell: one queue of events → step → perform; decides nothing."""

from attune_ray.coordinator.outcome import FanOutStats, RunResult, TaskResult
from attune_ray.coordinator.run import Coordinator, World
from attune_ray.coordinator.start import LiveRun, Runs

__all__ = ["Coordinator", "FanOutStats", "LiveRun", "RunResult", "Runs", "TaskResult", "World"]
