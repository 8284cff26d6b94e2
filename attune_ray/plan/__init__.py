"""② Workflow → Plan."""

from attune_ray.plan.chunks import Chunk, ChunkId, Items, Shape
from attune_ray.plan.plan import Plan, PlanTask, PlanTransition, build

__all__ = ["Chunk", "ChunkId", "Items", "Plan", "PlanTask", "PlanTransition", "Shape", "build"]
