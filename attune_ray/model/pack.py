"""The YAML of a pack, text → frozen values: ``pack.yaml`` and the files of its actions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attune_ray.errors import Location
from attune_ray.model.fields import Field, Fields
from attune_ray.model.findings import Findings
from attune_ray.model.schema import read_schema
from attune_ray.model.source import compose
from attune_ray.values.formats import Delivery, OutputFormat, ParameterFormat, Runner

__all__ = ["ActionFile", "Manifest", "Place", "Script", "read_action", "read_manifest", "read_settings"]

_REF = re.compile(r"[^\s.{}/\\]+")
_SHELLS = ("bash", "sh")


@dataclass(frozen=True, slots=True)
class Place:
    """A path that a file names, and where it does."""

    path: str
    location: Location
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``pack.yaml``.

    Attributes:
        config: the values that the pack comes with.
        config_schema: a JSON Schema object, or None.
    """

    ref: str
    label: str | None = None
    description: str | None = None
    version: str = "1.0.0"
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    config_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How an action's script is run.

    Attributes:
        interpreter: ``sh`` or ``bash`` where the runner is named so, else "".
    """

    runner: Runner
    entry_point: Place
    interpreter: str = ""
    parameter_delivery: Delivery = Delivery.STDIN
    parameter_format: ParameterFormat = ParameterFormat.JSON
    output_format: OutputFormat = OutputFormat.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFile:
    """One file of ``actions/``: a script, or a workflow whose graph is in a file of its own.

    Attributes:
        parameters, output: a JSON Schema object, or None.
    """

    ref: str
    label: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    is_enabled: bool = True
    parameters: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    script: Script | None = None
    workflow: Place | None = None


def read_manifest(text: str, findings: Findings) -> Manifest | None:
    """``pack.yaml``; None where what it misses is recorded in ``findings``."""
    fields = _top(text, findings, "a pack file", hint="a pack has at least `ref: my_pack`")
    if fields is None:
        return None
    ref = _word(fields.need("ref", hint="write `ref: my_pack`"))
    config, schema = fields.take("config"), fields.take("conf_schema") or fields.take("config_schema")
    tags = fields.take("tags")
    manifest = Manifest(
        ref=ref or "",
        label=_text(fields, "label") or _text(fields, "name"),
        description=_text(fields, "description"),
        version=_text(fields, "version") or "1.0.0",
        tags=tags.texts() if tags is not None else (),
        config=config.mapping() if config is not None else {},
        config_schema=read_schema(schema) if schema is not None else None,
    )
    for name in ("author", "email", "system", "enabled", "meta", "metadata", "dependencies", "runtime_deps"):
        fields.take(name)  # information that nothing here depends on
    fields.close()
    return manifest if ref else None


def read_action(text: str, findings: Findings, *, pack_ref: str, stem: str) -> ActionFile | None:
    """One action file; None where it cannot be used, which is recorded in ``findings``.

    Args:
        stem: the file's name without its extension: the action's name where the file tells none.
    """
    fields = _top(text, findings, "an action file", hint="write `runner_type: shell` and `entry_point: name.sh`")
    if fields is None:
        return None
    action = ActionFile(
        ref=_ref(fields, pack_ref, stem),
        label=_text(fields, "label"),
        description=_text(fields, "description"),
        tags=tags.texts() if (tags := fields.take("tags")) is not None else (),
        is_enabled=enabled.boolean() is not False if (enabled := fields.take("enabled")) is not None else True,
        parameters=_schema(fields, "parameters", "param_schema"),
        output=_schema(fields, "output", "output_schema", "out_schema"),
        workflow=_place(fields.take("workflow_file")),
        script=_script(fields),
    )
    for name in ("version", "metadata", "runtime_version", "examples"):
        fields.take(name)
    fields.close()
    return action if action.script is not None or action.workflow is not None else None


def read_settings(text: str, findings: Findings, what: str) -> dict[str, Any]:
    """A map of any values, as a configuration or a keystore is; an empty text is an empty map."""
    if not text.strip():
        return {}
    node = compose(text, findings)
    if node is None:
        return {}
    found = Field(node, "", findings)
    if found.is_null():
        return {}
    return found.mapping() if found.fields(what) is not None else {}


def _top(text: str, findings: Findings, what: str, *, hint: str) -> Fields | None:
    node = compose(text, findings)
    return Field(node, "", findings).fields(what, hint=hint) if node is not None else None


def _text(fields: Fields, name: str) -> str | None:
    found = fields.take(name)
    return found and found.text()


def _word(place: Field | None) -> str | None:
    """A reference without a dot."""
    text = place and place.text(empty=False)
    if place is not None and text is not None and not _REF.fullmatch(text):
        place.error(f"`{text}` is no name", hint="use letters, digits, _ and -")
        return None
    return text


def _ref(fields: Fields, pack_ref: str, stem: str) -> str:
    given, name = fields.take("ref"), _word(fields.take("name"))
    text = given and given.text(empty=False)
    if given is None or text is None:
        return f"{pack_ref}.{name or stem}"
    if "." not in text:
        return f"{pack_ref}.{_word(given) or stem}"
    pack, _, last = text.partition(".")
    if not all(map(_REF.fullmatch, [pack, *last.split(".")])):
        given.error(f"`{text}` is no reference", hint=f"write `ref: {pack_ref}.{stem}`")
    elif pack != pack_ref:
        given.warning(f"`{text}` names another pack than `{pack_ref}`", hint=f"write `ref: {pack_ref}.{last}`")
    return text


def _schema(fields: Fields, *names: str) -> Mapping[str, Any] | None:
    """The schema under the first of the names that is there; the others are known, too."""
    found = [place for name in names if (place := fields.take(name)) is not None]
    for extra in found[1:]:
        extra.warning("a second schema for the same thing: it has no effect", hint="keep one of them")
    return read_schema(found[0]) if found else None


def _script(fields: Fields) -> Script | None:
    """The script of an action; an action with a ``workflow_file`` has none."""
    is_workflow = fields.has("workflow_file")
    kind, entry = fields.take("runner_type"), fields.take("entry_point")
    options = (fields.take("parameter_delivery"), fields.take("parameter_format"), fields.take("output_format"))
    if is_workflow:
        return None
    if kind is None:
        fields.need("runner_type", hint="write one of shell, python, nodejs, native")
    if entry is None:
        fields.need("entry_point", hint="name the script, below actions/")
    runner, interpreter = _runner(kind) if kind is not None else (None, "")
    place = _place(entry)
    delivery = (options[0] and options[0].choice(Delivery)) or Delivery.STDIN
    written = (options[1] and options[1].choice(ParameterFormat)) or ParameterFormat.JSON
    read = (options[2] and options[2].choice(OutputFormat)) or OutputFormat.TEXT
    if runner is None or place is None:
        return None
    return Script(
        runner=runner,
        interpreter=interpreter,
        entry_point=place,
        parameter_delivery=delivery,
        parameter_format=written,
        output_format=read,
    )


def _runner(kind: Field) -> tuple[Runner | None, str]:
    """The runner, and the shell that is named in its place."""
    text = kind.text(empty=False)
    return (Runner.SHELL, text) if text in _SHELLS else (kind.choice(Runner) if text is not None else None, "")


def _place(found: Field | None) -> Place | None:
    """A path below ``actions/`` that cannot lead out of it."""
    text = found and found.text(empty=False)
    if found is None or text is None:
        return None
    parts = text.split("/")
    if text.startswith("/") or "\\" in text or "\0" in text or ".." in parts:
        found.error(f"`{text}` leads out of the pack", hint="name a file below actions/, with / and without ..")
        return None
    path = "/".join(part for part in parts if part not in {"", "."})
    if not path:
        found.error(f"`{text}` names no file", hint="name a file below actions/")
        return None
    return Place(path, found.location, found.path)
