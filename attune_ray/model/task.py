"""One task of the file → Task."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from attune_ray.model.fields import Field, Fields
from attune_ray.model.options import read_cache, read_rate_limit, read_resources, read_retry, read_source, read_tolerate
from attune_ray.model.outline import Moment, Outline, Owner, Seat
from attune_ray.model.placement import check_placement, warn_of_idle_placement
from attune_ray.model.references import Kind
from attune_ray.model.source import Map, Scalar, Sequence
from attune_ray.model.transition import TransitionReader
from attune_ray.model.workflow import Cache, OnItemError, Task, TaskType, Tolerate
from attune_ray.values.item_source import ItemSource
from attune_ray.values.words import did_you_mean

__all__ = ["RESERVED_NAMES", "read_tasks"]

RESERVED_NAMES = frozenset(
    {"parameters", "workflow", "vars", "variables", "task", "tasks", "config", "keystore", "item", "index", "system"}
)

_ACTION = re.compile(r"[^\s.{}]+(\.[^\s.{}]+)+")
_DEFAULT_TIMEOUT_S = 300.0
_PLACEMENT = ("worker_selector", "worker_tolerations", "worker_affinity")
_FAN_OUT_ONLY = ("batch_size", "concurrency", "on_item_error", "tolerate", "rate_limit")


def read_tasks(field: Field, outline: Outline, *, in_fan_out: bool = False) -> tuple[Task, ...]:
    """A list of tasks, or a map name → task; ``in_fan_out``: a task around them has ``with_items``."""
    named: list[tuple[str | None, Field]]
    if isinstance(field.node, Map):
        named = [(key.text, value) for key, value in field.entries()]
    elif isinstance(field.node, Sequence):
        named = [(None, item) for item in field.items()]
    else:
        field.error("`tasks` is a list of tasks", hint="write `tasks: [{name: …, action: pack.action}]`")
        return ()
    if not named:
        field.error("`tasks` is empty", hint="a workflow, and a parallel task, has at least one task")
    tasks: list[Task] = []
    for name, item in named:
        fields = item.fields("a task", hint="write `{name: …, action: pack.action}`")
        if fields is not None:
            reader = _TaskReader(fields=fields, outline=outline, group=field.path, in_fan_out=in_fan_out)
            tasks.append(reader.read(name))
    return tuple(tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskReader:
    fields: Fields
    outline: Outline
    group: str
    in_fan_out: bool

    def read(self, key: str | None) -> Task:
        fields, outline = self.fields, self.outline
        place, name = self._name(key)
        items = fields.take("with_items")
        owner = Owner(name, fan_out=self.in_fan_out or items is not None)
        kind, action, subtasks = self._work(owner)
        batch_size, retry, join = fields.take("batch_size"), fields.take("retry"), fields.take("join")
        cache, timeout, rate_limit = fields.take("cache"), fields.take("timeout"), fields.take("rate_limit")
        on_item_error, tolerate, delay = fields.take("on_item_error"), fields.take("tolerate"), fields.take("delay")
        task = Task(
            name=name,
            type=kind,
            action=action,
            input=self._input(owner),
            with_items=items and self._with_items(items, owner),
            batch_size=batch_size and batch_size.integer(least=1),
            concurrency=self._concurrency(owner),
            retry=retry and read_retry(retry, outline, owner),
            timeout_s=_timeout(timeout, action),
            delay_s=(delay and delay.number()) or 0.0,
            join=join and _join(join),
            when=self._when(owner),
            next=TransitionReader(outline, owner, self.group).read(fields),
            on_item_error=(on_item_error and on_item_error.choice(OnItemError)) or OnItemError.CONTINUE,
            tolerate=(tolerate and read_tolerate(tolerate)) or Tolerate(),
            rate_limit=rate_limit and read_rate_limit(rate_limit),
            **self._placement(owner, kind, action),
            permission_set_refs=self._permission_sets(),
            cache=cache and _cache(cache, outline, owner, kind, action),
            tasks=subtasks,
            path=fields.path,
            location=fields.field.location,
        )
        fields.close()
        self._warn_of_idle_fields(items)
        outline.seats.append(Seat(task, place, join, self.group))
        return task

    def _name(self, key: str | None) -> tuple[Field, str]:
        """Where the name stands, and the name; "" where there is none."""
        field = self.fields.take("name")
        if field is None and key is None:
            self.fields.field.error("`name` is missing", hint="every task has a name of its own")
        name = key if field is None else field.text(empty=False)
        if field is not None and key is not None and name not in {None, key}:
            field.error(f"the name `{name}` is not the key `{key}`", hint="leave `name` out")
        place = field or self.fields.field
        if name in RESERVED_NAMES:
            place.error(f"a task cannot be called `{name}`: templates use that word", hint="choose another name")
        return place, name or ""

    def _work(self, owner: Owner) -> tuple[TaskType, str | None, tuple[Task, ...]]:
        """What the task runs: its type, its action, its sub-tasks."""
        field, action, tasks = (self.fields.take(name) for name in ("type", "action", "tasks"))
        kind = TaskType.ACTION if field is None else field.choice(TaskType)
        if kind is TaskType.PARALLEL:
            if action is not None:
                action.warning("a parallel task runs its `tasks`: `action` has no effect", hint="remove it")
            if tasks is None:
                self.fields.field.error("`tasks` is missing", hint="a parallel task lists what runs side by side")
                return kind, None, ()
            return kind, None, read_tasks(tasks, self.outline, in_fan_out=owner.fan_out)
        if tasks is not None and action is not None:
            tasks.warning("`tasks` has no effect here", hint="sub-tasks need `type: parallel`")
        if action is None and kind is not None:
            hint = "add `type: parallel`" if tasks else "say what the task runs, as `action: pack.action`"
            self.fields.field.error("`action` is missing", hint=hint)
        return kind or TaskType.ACTION, action and _action(action), ()

    def _input(self, owner: Owner) -> dict[str, Any]:
        field = self.fields.take("input")
        if field is None:
            return {}
        for _, value in field.entries():
            self.outline.template(value, Kind.VALUE, Moment.START, owner)
        return field.mapping() if isinstance(field.node, Map) else {}

    def _with_items(self, field: Field, owner: Owner) -> str | tuple[Any, ...] | ItemSource | None:
        if isinstance(field.node, Sequence):
            self.outline.template(field, Kind.VALUE, Moment.START, owner)
            return tuple(field.json())
        if isinstance(field.node, Map):
            return read_source(field, self.outline, owner)
        text = field.text(empty=False)
        if text is not None:
            self.outline.template(field, Kind.TEXT, Moment.START, owner)
        return text

    def _concurrency(self, owner: Owner) -> int | str | None:
        field = self.fields.take("concurrency")
        if field is None or (isinstance(field.node, Scalar) and field.node.text == "auto"):
            return None
        if isinstance(field.node, Scalar) and isinstance(field.node.value, str) and "{" in field.node.value:
            self.outline.template(field, Kind.TEXT, Moment.START, owner)
            return field.node.value
        return field.integer(least=1)

    def _when(self, owner: Owner) -> str | None:
        field = self.fields.take("when")
        text = field and field.text(empty=False)
        if field is not None and text is not None:
            self.outline.template(field, Kind.CONDITION, Moment.START, owner)
        return text

    def _placement(self, owner: Owner, kind: TaskType, action: str | None) -> dict[str, Any]:
        """The fields that say where the task runs, and with how much."""
        resources = self.fields.take("resources")
        named = {name: self._value(name, owner) for name in _PLACEMENT}
        selector, tolerations, affinity = named.values()
        check_placement(selector, affinity)
        warn_of_idle_placement(kind, action, resources, selector, affinity)
        if tolerations is not None:
            tolerations.warning("`worker_tolerations` has no effect: nodes of Ray have no taints to be tolerated")
        placed = {name: field and field.json() for name, field in named.items()}
        return {"resources": resources and read_resources(resources), **placed}

    def _value(self, name: str, owner: Owner) -> Field | None:
        field = self.fields.take(name)
        if field is not None:
            self.outline.template(field, Kind.VALUE, Moment.START, owner)
        return field

    def _permission_sets(self) -> tuple[str, ...]:
        many, one = self.fields.take("permission_set_refs"), self.fields.take("permission_set_ref")
        if many is not None and one is not None:
            one.error("`permission_set_refs` and `permission_set_ref` say the same", hint="keep one of them")
        field = many or one
        return field.texts() if field is not None else ()

    def _warn_of_idle_fields(self, items: Field | None) -> None:
        for name in _FAN_OUT_ONLY if items is None else ():
            if field := self.fields.take(name):
                field.warning(f"`{name}` has no effect without `with_items`")


def _action(field: Field) -> str | None:
    text = field.text(empty=False)
    if text is None or _ACTION.fullmatch(text):
        return text
    field.error(f"`{text}` is no action", hint="write `pack.action`, as `core.http_request`")
    return text


def _cache(field: Field, outline: Outline, owner: Owner, kind: TaskType, action: str | None) -> Cache | None:
    found = read_cache(field, outline, owner)
    if kind is not TaskType.PARALLEL and action != "core.ask":
        return found
    reason = "each of its sub-tasks may have one" if kind is TaskType.PARALLEL else "people are asked every time"
    field.warning(f"`cache` has no effect here: {reason}", hint="remove it")
    return None


def _timeout(field: Field | None, action: str | None) -> float | None:
    if field is None:
        return None if action == "core.ask" else _DEFAULT_TIMEOUT_S  # people take the time they take
    return field.number() or None  # 0: no limit


def _join(field: Field) -> int | Literal["all"] | None:
    if isinstance(field.node, Scalar) and isinstance(field.node.value, str):
        if field.node.value == "all":
            return "all"
        hint = did_you_mean(field.node.value, ["all"]) or "write `join: 2` or `join: all`"
        field.error("must be a number of tasks, or `all`", hint=hint)
        return None
    return field.integer(least=1)
