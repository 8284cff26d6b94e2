"""The JSON Schema (draft 2020-12) of workflow files, for completion and checks while one is written.

One table per map of the language: field → what it says, and what it may hold. The parser reads the same names; a test
holds the two together. What the schema cannot say (unknown tasks, joins, expressions) ``attune-ray validate`` does.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attune_ray.model.schema import TYPES
from attune_ray.model.task import RESERVED_NAMES
from attune_ray.model.workflow import Backoff, CancellationPolicy, OnItemError, TaskType
from attune_ray.values.item_source import Compression, FileFormat

__all__ = ["FIELDS", "workflow_schema"]

Schema = Mapping[str, Any]
Table = Mapping[str, tuple[str, Schema]]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _one_of(*choices: Schema) -> Schema:
    return {"anyOf": list(choices)}


def _choice(kind: type[enum.Enum], default: enum.Enum) -> Schema:
    return {"enum": [member.value for member in kind], "default": default.value}


_TEXT: Final[Schema] = {"type": ["string", "number", "boolean"]}  # a plain scalar is taken as it is written
_WORDS: Final[Schema] = {**_TEXT, "pattern": r"\S"}
_NAMES: Final = _one_of(_WORDS, _list(_WORDS))
_ANY: Final[Schema] = {}
_MAP: Final[Schema] = {"type": "object"}
_VARIABLES: Final[Schema] = {"type": "object", "propertyNames": {"pattern": r"^[^\s.,:;(){}\[\]\"'/\\|]+$"}}
_SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
_AMOUNT: Final[Schema] = {"type": "number", "minimum": 0}
_PUBLISH: Final = _one_of(_VARIABLES, _list(_one_of(_VARIABLES, {"type": "string", "minLength": 1})))
_TASKS: Final = _one_of(
    _list(_ref("task"), minItems=1),
    {"type": "object", "minProperties": 1, "additionalProperties": _ref("task_body")},
)

_WORKFLOW: Final[Table] = {
    "ref": ("Name by which others run this workflow, as pack.name.", _TEXT),
    "label": ("Name for people, at most 255 characters.", {**_TEXT, "maxLength": 255}),
    "description": ("What the workflow is for.", _TEXT),
    "version": (
        "Version of the workflow, 1 to 50 characters.",
        {**_TEXT, "minLength": 1, "maxLength": 50, "default": "1.0.0"},
    ),
    "tags": ("Words to find the workflow by.", _NAMES),
    "parameters": ("What a run may be given: name → schema, or one JSON Schema object.", _ref("schema")),
    "output": ("What a run gives: name → schema, or one JSON Schema object.", _ref("schema")),
    "vars": (
        "Variables and their first values, which are literal: never templates.",
        _one_of(_VARIABLES, _list({**_VARIABLES, "maxProperties": 1})),
    ),
    "tasks": ("What is to be done: a list of tasks, or a map name → task.", _TASKS),
    "output_map": ("Result of the run: name → template.", {"type": "object", "additionalProperties": _TEXT}),
    "cancellation_policy": (
        "Whether a cancelled run lets running work end or stops it.",
        _choice(CancellationPolicy, CancellationPolicy.ALLOW_FINISH),
    ),
}
_TASK: Final[Table] = {
    "name": (
        "Name of the task, unique in its list; its result is task.<name>.",
        {**_WORDS, "not": {"enum": sorted(RESERVED_NAMES)}},
    ),
    "type": ("What the task runs.", _choice(TaskType, TaskType.ACTION)),
    "action": (
        "Action, or workflow, that the task runs, as pack.action.",
        {"type": "string", "pattern": r"^[^\s.{}]+(\.[^\s.{}]+)+$"},
    ),
    "tasks": ("Sub-tasks of a parallel task; all start at once.", _TASKS),
    "input": ("Parameters of the action: name → value, texts may be templates. Empty: those of the run.", _MAP),
    "with_items": (
        "Runs the action once per item: a template that gives a list, a list, or files.",
        _one_of(_WORDS, _list(_ANY), _ref("item_source")),
    ),
    "batch_size": ("Cuts the items into lists of this size; item is then the list.", {"type": "integer", "minimum": 1}),
    "concurrency": (
        "Most items that run at once over the whole cluster: a number, a template, or auto.",
        _one_of({"type": "integer", "minimum": 1}, {"const": "auto"}, {"type": "string", "pattern": r"\{"}),
    ),
    "on_item_error": ("Whether a fan-out goes on after an item failed.", _choice(OnItemError, OnItemError.CONTINUE)),
    "tolerate": (
        "Failed items that leave the task succeeded: a number, or a share as 10%.",
        _one_of(
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*(0*100(\.0+)?|0*\d{1,2}(\.\d+)?)\s*%\s*$"},
        ),
    ),
    "rate_limit": (
        "Most items that start per second, minute or hour over the whole cluster, as 50/s.",
        {"type": "string", "pattern": r"^\s*(?=.*[1-9].*/)\d{1,9}(\.\d{1,9})?\s*/\s*[smh]\s*$"},
    ),
    "retry": ("Extra attempts after a failed one.", _ref("retry")),
    "timeout": ("Seconds for one attempt; 0: no limit.", {**_SECONDS, "default": 300}),
    "delay": ("Seconds to wait before the task starts.", {**_SECONDS, "default": 0}),
    "join": (
        "Number of inbound tasks to wait for, or all.",
        _one_of({"type": "integer", "minimum": 1}, {"const": "all"}),
    ),
    "when": ("Condition; false: the task is skipped and nothing follows it.", _WORDS),
    "next": ("What follows: every transition whose condition holds fires.", _list(_ref("transition"))),
    "resources": ("What one worker of the task needs of the cluster.", _ref("resources")),
    "worker_selector": ("Labels that a worker's node must have; templates.", _ANY),
    "worker_tolerations": ("Taints of nodes that the task accepts; templates.", _ANY),
    "worker_affinity": ("Nodes that the task prefers or avoids; templates.", _ANY),
    "permission_set_refs": ("Permission sets that are named to the action.", _NAMES),
    "permission_set_ref": ("One permission set that is named to the action.", _NAMES),
    "cache": ("Reuses the result for the same action and rendered input.", _ref("cache")),
    "on_success": ("Older form of next: tasks that follow success.", _NAMES),
    "on_failure": ("Older form of next: tasks that follow failure.", _NAMES),
    "on_complete": ("Older form of next: tasks that follow in any case.", _NAMES),
    "on_timeout": ("Older form of next: tasks that follow a timeout.", _NAMES),
    "decision": ("Older form of next: branches by condition.", _list(_ref("branch"))),
    "publish": ("Older form of next: variables that are set after success.", _PUBLISH),
}
_TRANSITION: Final[Table] = {
    "when": ("Condition on the task's end, as succeeded(); absent: always.", _WORDS),
    "publish": ("Variables that are set: name → template, or bare names that take result().", _PUBLISH),
    "do": ("Tasks to start: a name or a list of names.", _NAMES),
}
_BRANCH: Final[Table] = {
    "when": ("Condition of the branch.", _WORDS),
    "next": ("Tasks to start: a name or a list of names.", _NAMES),
    "default": ("true: taken if no other branch is; or the task that is started then.", _one_of(_NAMES)),
}
_RETRY: Final[Table] = {
    "count": ("Extra attempts.", {"type": "integer", "minimum": 1, "maximum": 100}),
    "delay": ("Seconds before the first extra attempt.", {**_SECONDS, "default": 0}),
    "backoff": ("How the delay grows from attempt to attempt.", _choice(Backoff, Backoff.CONSTANT)),
    "max_delay": ("Most seconds between two attempts; at least delay.", _SECONDS),
    "on_error": ("Condition on the failed attempt; only then it is retried.", _WORDS),
}
_CACHE: Final[Table] = {
    "ttl": ("Seconds for which a result is reused.", {"type": "number", "exclusiveMinimum": 0}),
    "key": ("Template; results are reused where it is the same too.", _WORDS),
}
_ITEM_SOURCE: Final[Table] = {
    "source": (
        "Files whose rows or lines are the items: paths, URIs or patterns of them; templates.",
        _one_of(_WORDS, _list(_WORDS, minItems=1)),
    ),
    "format": ("Format of the files; absent: by their names.", {"enum": [kind.value for kind in FileFormat]}),
    "columns": ("Columns that an item has; absent: all.", _NAMES),
    "compression": ("Compression of the files; absent: by their names.", {"enum": [c.value for c in Compression]}),
}
_RESOURCES: Final[Table] = {
    "num_cpus": ("CPUs; fractions are allowed.", _AMOUNT),
    "num_gpus": ("GPUs; fractions are allowed.", _AMOUNT),
    "memory": (
        "Memory in bytes, or with a unit, as 512MiB (1024²) or 2GB (1000³).",
        _one_of(
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([kKmMgGtT]i?[bB]?|[bB])\s*$"},
        ),
    ),
}
_PROPERTY: Final[Table] = {
    "type": (
        "Type of the value.",
        _one_of({"enum": [*TYPES, "null"]}, _list({"enum": [*TYPES, "null"]}, minItems=1)),
    ),
    "description": ("What the value is for; shown where it is missing or wrong.", _ANY),
    "required": ("Whether it must be given.", _one_of({"type": "boolean"}, _list({"type": "string"}))),
    "default": ("Value where none is given.", _ANY),
    "enum": ("The values that are allowed.", _list(_ANY, minItems=1)),
    "minimum": ("Least number.", {"type": "number"}),
    "maximum": ("Greatest number.", {"type": "number"}),
    "minItems": ("Least number of elements.", {"type": "integer", "minimum": 0}),
    "items": ("Schema of the elements.", _ref("property")),
    "properties": ("Schemas of the entries.", {"type": "object", "additionalProperties": _ref("property")}),
    "secret": ("Whether the value is hidden wherever it would be shown.", {"type": "boolean"}),
}

FIELDS: Final[Mapping[str, Table]] = {
    "workflow": _WORKFLOW,
    "task": _TASK,
    "transition": _TRANSITION,
    "branch": _BRANCH,
    "retry": _RETRY,
    "cache": _CACHE,
    "resources": _RESOURCES,
    "item_source": _ITEM_SOURCE,
    "property": _PROPERTY,
}
"""Map of the language → its fields: name → description and JSON Schema."""


def workflow_schema() -> dict[str, Any]:
    """The JSON Schema of a workflow file: both spellings of every field, bare or under ``workflow:``."""
    is_parallel = {"properties": {"type": {"const": TaskType.PARALLEL.value}}, "required": ["type"]}
    work = {"if": is_parallel, "then": {"required": ["tasks"]}, "else": {"required": ["action"]}}
    definitions = {
        "workflow": {**_object("A workflow.", _WORKFLOW, ["tasks"])},
        "task": {**_object("A task.", _TASK, ["name"]), **work},
        "task_body": {**_object("A task; its name is the key.", _TASK), **work},
        "transition": _object("What follows when a task has ended.", _TRANSITION),
        "branch": {**_object("A branch of a decision.", _BRANCH), "anyOf": [_needs("next"), _needs("default")]},
        "retry": _object("Extra attempts after a failed one.", _RETRY, ["count"]),
        "cache": _object("Reuse of a result.", _CACHE, ["ttl"]),
        "resources": _object("What one worker of a task needs.", _RESOURCES),
        "item_source": _object("Files whose rows or lines are the items.", _ITEM_SOURCE, ["source"]),
        "schema": _parameters(),
        "property": {"description": "A value's schema.", "type": "object", "properties": _properties(_PROPERTY)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Attune workflow",
        "description": "A workflow of tasks, in one YAML file.",
        "if": {**_needs("workflow"), "not": _needs("tasks")},
        "then": {
            "type": "object",
            "properties": {"workflow": {"description": "The workflow, all of it.", **_ref("workflow")}},
        },
        "else": _ref("workflow"),
        "$defs": definitions,
    }


def _parameters() -> dict[str, Any]:
    whole = {"anyOf": [{"properties": {key: {"type": "string"}}, **_needs(key)} for key in ("type", "$schema", "$ref")]}
    listed = {"properties": {"required": {"type": "array"}}, **_needs("required")}
    grouped = {
        "properties": {
            "properties": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}},
        },
        **_needs("properties"),
    }
    return {
        "description": "Schema of an object: name → schema of each entry, or one JSON Schema object.",
        "type": "object",
        "if": _one_of(whole, listed, grouped),
        "then": _ref("property"),
        "else": {"additionalProperties": _ref("property")},
    }


def _needs(name: str) -> dict[str, Any]:
    return {"required": [name]}


def _object(description: str, table: Table, required: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": _properties(table, set(required)),
        "patternProperties": {"^(x[-_]|__chart_meta__$)": True},
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


def _properties(table: Table, required: Iterable[str] = ()) -> dict[str, Any]:
    """Each field under both of its spellings; one that may be left out may be empty as well."""
    found: dict[str, Any] = {}
    for name, (description, schema) in table.items():
        written = {"description": description, **(schema if name in required else _or_null(schema))}
        for spelling in dict.fromkeys((name, name.replace("_", "-"))):
            found[spelling] = written
    return found


def _or_null(schema: Schema) -> Schema:
    match schema:
        case {"anyOf": [*choices]}:
            return {**schema, "anyOf": [*choices, {"type": "null"}]}
        case {"enum": [*values]}:
            return {**schema, "enum": [*values, None]}
        case {"type": [*kinds]}:
            return {**schema, "type": [*kinds, "null"]}
        case {"type": kind}:
            return {**schema, "type": [kind, "null"]}
        case {"$ref": _}:
            return _one_of(schema, {"type": "null"})
    return schema
