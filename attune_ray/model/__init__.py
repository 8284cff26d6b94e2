"""① YAML → Workflow."""

from attune_ray.model.graph import components, data_edges, entry_tasks, inbound, unreachable
from attune_ray.model.parse import Draft, parse_workflow, read_draft
from attune_ray.model.schema import to_json_schema
from attune_ray.model.workflow import (
    Backoff,
    Cache,
    CancellationPolicy,
    OnItemError,
    RateLimit,
    Resources,
    Retry,
    Task,
    TaskType,
    Tolerate,
    Transition,
    Workflow,
)
from attune_ray.values.given import apply_schema

__all__ = [
    "Backoff",
    "Cache",
    "CancellationPolicy",
    "Draft",
    "OnItemError",
    "RateLimit",
    "Resources",
    "Retry",
    "Task",
    "TaskType",
    "Tolerate",
    "Transition",
    "Workflow",
    "apply_schema",
    "components",
    "data_edges",
    "entry_tasks",
    "inbound",
    "parse_workflow",
    "read_draft",
    "to_json_schema",
    "unreachable",
]
