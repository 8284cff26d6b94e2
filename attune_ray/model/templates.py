"""The checks of every template: it compiles, and what it names exists where it is evaluated."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from attune_ray.errors import ExpressionSyntaxError, Location
from attune_ray.expression import References
from attune_ray.model.findings import Findings, few
from attune_ray.model.outline import Moment, Outline, TemplateSite
from attune_ray.model.references import Kind, references_in
from attune_ray.model.source import Map, Node, Scalar, Sequence
from attune_ray.model.workflow import Task, TaskType, Workflow
from attune_ray.values.words import key_path

__all__ = ["check_templates"]

_PLAIN_SCHEMA = {
    "type",
    "properties",
    "required",
    "title",
    "description",
    "examples",
    "additionalProperties",
    "$schema",
}
_OF_EVERY_RESULT = frozenset({"error", "output", "result", "succeeded"})
_OF_A_FAN_OUT = _OF_EVERY_RESULT | {"failed_count", "failed_items", "results", "succeeded_count", "total_count"}
_DID_YOU_MEAN = re.compile(r"; did you mean '(.*)'\?")


def check_templates(workflow: Workflow, outline: Outline) -> None:
    """Record every template that does not compile, or that names what is not there."""
    checker = _Checker(
        findings=outline.findings,
        tasks=frozenset(seat.task.name for seat in outline.seats),
        variables=frozenset(workflow.vars) | outline.published,
        parameters=frozenset((workflow.parameters or {}).get("properties", {})),
        declares_all=_declares_all(workflow.parameters),
        results=_known_results(seat.task for seat in outline.seats),
    )
    for site in outline.templates:
        for scalar, path in _texts(site.field.node, site.field.path):
            checker.check(site, scalar, path)


def _declares_all(schema: Mapping[str, Any] | None) -> bool:
    """Whether a parameter that the schema does not list is most likely misspelt: it has no keyword that adds some."""
    return schema is not None and schema.keys() <= _PLAIN_SCHEMA and not schema.get("additionalProperties", False)


def _known_results(tasks: Iterable[Task]) -> dict[str, frozenset[str]]:
    """Task → the keys of its result, where the workflow alone decides them: of fan-outs and of parallel tasks."""
    found: dict[str, frozenset[str]] = {}
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen:  # sub-tasks of two lists may be called alike
            found.pop(task.name, None)
        elif task.with_items is not None:
            found[task.name] = _OF_A_FAN_OUT
        elif task.type is TaskType.PARALLEL:
            found[task.name] = _OF_EVERY_RESULT | {subtask.name for subtask in task.tasks}
        seen.add(task.name)
    return found


def _texts(node: Node, path: str) -> Iterator[tuple[Scalar, str]]:
    """The texts inside of a node; each is a template of its own."""
    match node:
        case Map(entries=entries):
            for key, value in entries:
                yield from _texts(value, key_path(path, key.text))
        case Sequence(items=items):
            for index, item in enumerate(items):
                yield from _texts(item, f"{path}[{index}]")
        case Scalar():
            yield node, path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checker:
    findings: Findings
    tasks: frozenset[str]
    variables: frozenset[str]
    parameters: frozenset[str]
    declares_all: bool
    results: Mapping[str, frozenset[str]]

    def check(self, site: TemplateSite, scalar: Scalar, path: str) -> None:
        value = scalar.value if site.kind is Kind.VALUE else scalar.text
        if not isinstance(value, str):
            return
        try:
            references = references_in(site.kind, value)
        except ExpressionSyntaxError as error:
            self._report_syntax(error, scalar, path)
            return
        self._check_tasks(references, scalar, path)
        self._check_results(references, scalar, path)
        self._check_parameters(references, scalar, path)
        self._check_variables(references, scalar, path)
        self._check_moment(references, site, scalar, path)

    def _report_syntax(self, error: ExpressionSyntaxError, scalar: Scalar, path: str) -> None:
        suggestion = _DID_YOU_MEAN.search(error.reason)
        reason = error.reason[: suggestion.start()] if suggestion else error.reason
        expression = f"`{error.expression}`: " if error.expression else ""
        hint = f"did you mean `{suggestion[1]}`?" if suggestion else ""
        self.findings.error(scalar.at(error.offset), path, f"{expression}{reason}", hint=hint)

    def _check_results(self, references: References, scalar: Scalar, path: str) -> None:
        for name, key, _, offset in dict.fromkeys(references.result_sites):
            known = self.results.get(name)
            if known is None or key in known:
                continue
            hint = self.findings.did_you_mean(key, known) or f"it has {few(sorted(known))}"
            what = "fan-out" if known is _OF_A_FAN_OUT else "parallel task"
            message = f"the result of the {what} `{name}` has no key `{key}`"
            self.findings.warning(scalar.at(offset), path, message, hint=hint)

    def _check_parameters(self, references: References, scalar: Scalar, path: str) -> None:
        if not self.declares_all:
            return
        first = {name: offset for name, _, offset in reversed(references.parameter_sites)}
        for name, offset in first.items():
            if name not in self.parameters:
                hint = self.findings.did_you_mean(name, self.parameters) or "declare it in `parameters`"
                message = f"the workflow declares no parameter `{name}`"
                self.findings.warning(scalar.at(offset), path, message, hint=hint)

    def _check_tasks(self, references: References, scalar: Scalar, path: str) -> None:
        first = {name: offset for name, _, offset in reversed(references.task_sites)}
        for name, offset in first.items():
            if name not in self.tasks:
                hint = self.findings.did_you_mean(name, self.tasks) or f"the tasks are {few(sorted(self.tasks))}"
                self.findings.error(scalar.at(offset), path, f"there is no task `{name}`", hint=hint)

    def _check_variables(self, references: References, scalar: Scalar, path: str) -> None:
        for name in sorted(references.variables - self.variables):
            if name in self.parameters:
                hint = f"write `parameters.{name}`"
            else:
                hint = (
                    self.findings.did_you_mean(name, self.variables)
                    or "set it in `vars`, or publish it before it is read"
                )
            message = f"the workflow variable `{name}` is never set"
            self.findings.warning(_place(scalar, name), path, message, hint=hint)

    def _check_moment(self, references: References, site: TemplateSite, scalar: Scalar, path: str) -> None:
        if references.item and site.owner is None:
            message = "`item` and `index` exist in tasks with `with_items` only"
            self.findings.warning(_place(scalar, "item"), path, message)
        elif references.item and site.owner is not None and not site.owner.fan_out:
            message = "`item` and `index` exist in tasks with `with_items` only"
            self.findings.error(_place(scalar, "item", "index"), path, message, hint="add `with_items`")
        if references.result and site.moment is not Moment.END:
            message = "result(), succeeded(), failed() and timed_out() have a meaning in `next` and `on_error` only"
            hint = "name the task whose result is meant: `task.name`"
            self.findings.warning(
                _place(scalar, "result", "succeeded", "failed", "timed_out"), path, message, hint=hint
            )


def _place(scalar: Scalar, *names: str) -> Location:
    """Where the first of the names stands in the text."""
    found = re.search(rf"\b(?:{'|'.join(map(re.escape, names))})\b", scalar.text)
    return scalar.at(found.start() if found else None)
