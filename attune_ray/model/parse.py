"""A workflow file's text → Workflow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from attune_ray.errors import InvalidWorkflowError, Problem
from attune_ray.model.fields import Field, Fields, is_variable_name
from attune_ray.model.findings import Findings
from attune_ray.model.outline import Moment, Outline
from attune_ray.model.references import Kind
from attune_ray.model.schema import read_schema
from attune_ray.model.source import Scalar, Sequence, compose
from attune_ray.model.task import read_tasks
from attune_ray.model.validate import validate
from attune_ray.model.workflow import CancellationPolicy, Workflow

__all__ = ["Draft", "parse_workflow", "read_draft"]

_MAX_VERSION = 50
_MAX_LABEL = 255


@dataclass(frozen=True, slots=True)
class Draft:
    """A file as far as it could be read.

    Attributes:
        workflow: what is there of it, to be looked at and not run where there are errors; None: nothing is.
        errors, warnings: of all of the file, in its order.
    """

    workflow: Workflow | None
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def parse_workflow(text: str, *, source: str = "<text>", owned: Mapping[str, Any] | None = None) -> Workflow:
    """Read and check one workflow file.

    Args:
        text: the whole file, YAML (JSON is a part of it).
        source: the file's name, for locations.
        owned: attributes that the file of its action tells in its place (``ref``, ``parameters`` and their like).

    Raises:
        InvalidWorkflowError: the file cannot be run; carries every problem and every warning, in the order of the file.
    """
    draft = read_draft(text, source=source, owned=owned)
    if draft.errors:
        raise InvalidWorkflowError(draft.errors, draft.warnings)
    if draft.workflow is None:
        raise AssertionError("whatever keeps a file from being read is an error")
    return draft.workflow


def read_draft(text: str, *, source: str = "<text>", owned: Mapping[str, Any] | None = None) -> Draft:
    """What can be read of a file that may be wrong, so that more can be told of it; arguments as of the above."""
    findings = Findings(source)
    workflow = _workflow(text, findings, owned or {})
    errors, warnings = findings.errors(), findings.warnings()
    return Draft(workflow and replace(workflow, warnings=warnings), errors, warnings)


def _workflow(text: str, findings: Findings, owned: Mapping[str, Any]) -> Workflow | None:
    node = compose(text, findings)
    if node is None:
        return None
    fields = _top(Field(node, "", findings))
    if fields is None:
        return None
    outline = Outline(findings)
    workflow = replace(_read(fields, outline, text), **owned)
    validate(workflow, outline)
    return workflow


def _top(field: Field) -> Fields | None:
    """The map that holds the workflow: the document, or what its key ``workflow`` wraps."""
    hint = "a workflow has at least `tasks: [{name: …, action: pack.action}]`"
    fields = field.fields("a workflow file", hint=hint)
    if fields is None or fields.has("tasks") or not fields.has("workflow"):
        return fields
    wrapped = fields.take("workflow")
    fields.close()
    return wrapped.fields("a workflow", hint=hint) if wrapped is not None else fields


def _read(fields: Fields, outline: Outline, text: str) -> Workflow:
    tasks = fields.need("tasks", hint="a workflow is a list of tasks")
    if tasks is not None:
        outline.top = tasks.path
    policy = fields.take("cancellation_policy")
    tags = fields.take("tags")
    workflow = Workflow(
        tasks=read_tasks(tasks, outline) if tasks is not None else (),
        ref=_text(fields, "ref"),
        label=_text(fields, "label", most=_MAX_LABEL),
        description=_text(fields, "description"),
        tags=tags.texts() if tags is not None else (),
        version=_version(fields),
        parameters=_schema(fields, "parameters"),
        output=_schema(fields, "output"),
        vars=_vars(fields),
        output_map=_output_map(fields, outline),
        cancellation_policy=(policy and policy.choice(CancellationPolicy)) or CancellationPolicy.ALLOW_FINISH,
        source=outline.findings.source,
        text=text,
    )
    fields.close()
    return workflow


def _text(fields: Fields, name: str, *, most: int | None = None) -> str | None:
    field = fields.take(name)
    return field and field.text(most=most)


def _version(fields: Fields) -> str:
    field = fields.take("version")
    version = field and field.text(most=_MAX_VERSION, empty=False)
    return version or "1.0.0"


def _schema(fields: Fields, name: str) -> Mapping[str, Any] | None:
    field = fields.take(name)
    return read_schema(field) if field is not None else None


def _vars(fields: Fields) -> dict[str, Any]:
    """A map, or a list of one-key maps."""
    field = fields.take("vars")
    if field is None:
        return {}
    found: dict[str, Any] = {}
    for key, value in _var_entries(field):
        if not is_variable_name(key.text):
            value.error(f"`{key.text}` is no name of a variable", hint="use letters, digits, _ and -")
        if key.text in found:
            value.error(f"the variable `{key.text}` is set already", hint="keep one of them")
        found[key.text] = value.json()
    return found


def _var_entries(field: Field) -> Iterator[tuple[Scalar, Field]]:
    if not isinstance(field.node, Sequence):
        yield from field.entries()
        return
    for item in field.items():
        entries = item.entries()
        if len(entries) > 1:
            item.error("each element holds one variable", hint="write `vars: [{a: 1}, {b: 2}]` or a map")
        yield from entries


def _output_map(fields: Fields, outline: Outline) -> dict[str, str]:
    field = fields.take("output_map")
    found: dict[str, str] = {}
    for key, value in field.entries() if field is not None else ():
        text = value.text()
        if text is not None:
            found[key.text] = text
            outline.template(value, Kind.TEXT, Moment.OUTPUT, None)
    return found
