"""④ The asyncio shell: one queue of events → step → perform; decides nothing."""

from attune_ray.coordinator.outcome import FanOutStats, RunResult, TaskResult
from attune_ray.coordinator.run import Coordinator, World
from attune_ray.coordinator.start import Runs

__all__ = ["Coordinator", "FanOutStats", "RunResult", "Runs", "TaskResult", "World"]
