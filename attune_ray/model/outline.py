"""What checking needs of a file beyond the workflow's values: where its names, targets and templates stand."""

import enum
from dataclasses import dataclass, field

from attune_ray.model.fields import Field
from attune_ray.model.findings import Findings
from attune_ray.model.references import Kind
from attune_ray.model.workflow import Task

__all__ = ["Moment", "Outline", "Owner", "Seat", "Target", "TemplateSite"]


class Moment(enum.Enum):
    """When a template is evaluated: as a task starts, as it (or an attempt) ends, or as the run ends."""

    START = "start"
    END = "end"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Owner:
    """The task that a template belongs to; ``fan_out``: it, or a task around it, has ``with_items``."""

    task: str
    fan_out: bool


@dataclass(frozen=True, slots=True)
class TemplateSite:
    """One field that is or holds templates; ``owner`` is None for ``output_map``."""

    field: Field
    kind: Kind
    moment: Moment
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Target:
    """One task name in a ``do``; ``group`` is the path of the list of tasks that it must be in."""

    name: str
    field: Field
    group: str


@dataclass(frozen=True, slots=True)
class Seat:
    """One task and the fields that checks of the whole graph point to."""

    task: Task
    name: Field
    join: Field | None
    group: str


@dataclass(slots=True)
class Outline:
    """Filled while a file is read."""

    findings: Findings
    top: str = "tasks"  # the path of the workflow's own list of tasks
    seats: list[Seat] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    templates: list[TemplateSite] = field(default_factory=list)
    published: set[str] = field(default_factory=set)

    def template(self, place: Field, kind: Kind, moment: Moment, owner: Owner | None) -> None:
        """Note that templates stand at ``place``."""
        self.templates.append(TemplateSite(place, kind, moment, owner))
