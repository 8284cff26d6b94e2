"""A pack's folder, read whole: every problem of every file at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attune_ray.actions import PackFile, PackSource, ScriptAction, ScriptSpec
from attune_ray.actions.marks import Mark, marks_in
from attune_ray.errors import InvalidWorkflowError, Location, Problem, UsageError
from attune_ray.model import Workflow, parse_workflow
from attune_ray.model.findings import Findings
from attune_ray.model.pack import ActionFile, Manifest, Place, Script, read_action, read_manifest
from attune_ray.packs.files import read_files, read_text
from attune_ray.values.formats import Runner

__all__ = ["Pack", "load_pack"]

_MANIFEST = "pack.yaml"
_ACTIONS = "actions"
_GRAPHS = "actions/workflows/"
_LEGACY = "workflows"
_SUFFIXES = {".yaml", ".yml"}
_MAX_SHEBANG = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A pack that was read, checked: what holds one may rely on it.

    Attributes:
        source: its script actions and files; ``Engine(actions=[pack.source])`` knows the actions by their refs.
        workflows: ref → workflow; ref, label, description, tags and schemas are those of the action's file, where there
            is one.
        config: the values it comes with.
        config_schema: a JSON Schema object, or None.
        warnings: what is odd but runs.
    """

    ref: str
    folder: Path
    label: str | None
    version: str
    source: PackSource
    workflows: Mapping[str, Workflow]
    config: Mapping[str, Any]
    config_schema: Mapping[str, Any] | None
    warnings: tuple[Problem, ...]


def load_pack(folder: str | Path) -> Pack:
    """Read and check a pack.

    Raises:
        InvalidWorkflowError: with every problem of its YAML files.
        UsageError: it is no pack, too large, or cannot be read.
    """
    folder = Path(folder)
    if not (folder / _MANIFEST).is_file():
        raise UsageError(f"{folder} is no pack: there is no {_MANIFEST} in it")
    reading = _Reading(folder)
    manifest = reading.manifest()
    files = {file.path: file for file in read_files(folder)}
    ref = manifest.ref if manifest is not None else ""
    for name in sorted(files):
        if _is_yaml(name, _ACTIONS):
            reading.action(name, ref, files)
    for name in sorted(files):
        if _is_yaml(name, _LEGACY):
            reading.workflow(name, f"{ref}.{_stem(name)}", origin=name)
    reading.unused(files)
    if reading.errors or manifest is None:
        raise InvalidWorkflowError(tuple(reading.errors), tuple(reading.warnings))
    return Pack(
        ref=ref,
        folder=folder,
        label=manifest.label,
        version=manifest.version,
        source=PackSource(ref=ref, files=tuple(files.values()), actions=tuple(reading.scripts)),
        workflows=reading.workflows,
        config=manifest.config,
        config_schema=manifest.config_schema,
        warnings=tuple(reading.warnings),
    )


@dataclass(slots=True)
class _Reading:
    """What was found so far."""

    folder: Path
    scripts: list[ScriptAction] = field(default_factory=list)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    graphs: set[str] = field(default_factory=set)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def manifest(self) -> Manifest | None:
        path = self.folder / _MANIFEST
        findings = Findings(str(path))
        manifest = read_manifest(read_text(path, "the pack"), findings)
        self._note(findings)
        return manifest

    def action(self, name: str, pack_ref: str, files: Mapping[str, PackFile]) -> None:
        """One file of ``actions/``: a script's, or a workflow's."""
        findings = Findings(str(self.folder / name))
        text = read_text(self.folder / name, "the action")
        action = read_action(text, findings, pack_ref=pack_ref, stem=_stem(name))
        if action is not None and action.script is not None:
            spec = self._script(action, action.script, pack_ref, files, findings)
            mark = None if spec is None else _mark(spec, action.script.entry_point, files, findings)
            self._note(findings)
            if spec is not None and action.is_enabled and self._is_new(action.ref, name):
                parameters, origin = action.parameters, findings.source
                self.scripts.append(ScriptAction(spec=spec, mark=mark, parameters=parameters, origin=origin))
            return
        place = action.workflow if action is not None else None
        graph = _below_actions(place, files, findings) if place is not None else None
        self._note(findings)
        if action is None or graph is None:
            return
        self.graphs.add(graph)
        if action.is_enabled:
            self.workflow(graph, action.ref, origin=name, owned=_owned(action))

    def workflow(self, name: str, ref: str, *, origin: str, owned: Mapping[str, Any] | None = None) -> None:
        """One graph, named by an action's file, or a whole workflow of the legacy folder."""
        path = self.folder / name
        try:
            workflow = parse_workflow(read_text(path, "the workflow"), source=str(path), owned=owned)
        except InvalidWorkflowError as error:
            self.errors += error.problems
            self.warnings += error.warnings
            return
        self.warnings += workflow.warnings
        ref = ref if owned else workflow.ref or ref
        if self._is_new(ref, origin):
            self.workflows[ref] = workflow

    def unused(self, files: Mapping[str, PackFile]) -> None:
        """Warn of the graphs that no action names."""
        for name in files:
            if name.startswith(_GRAPHS) and Path(name).suffix in _SUFFIXES and name not in self.graphs:
                location = Location(str(self.folder / name))
                hint = f"write `workflow_file: {name.removeprefix(_ACTIONS + '/')}` in a file of actions/"
                self.warnings.append(Problem(message="no action names this workflow", location=location, hint=hint))

    def _script(
        self, action: ActionFile, script: Script, pack_ref: str, files: Mapping[str, PackFile], findings: Findings
    ) -> ScriptSpec | None:
        path = _below_actions(script.entry_point, files, findings)
        if path is None:
            return None
        file = files[path]
        place = script.entry_point
        if script.runner is Runner.NATIVE and not (file.is_executable or file.is_link):
            findings.error(place.location, place.field, f"`{place.path}` may not be executed", hint=f"chmod +x {path}")
        interpreter, options = _shebang(file.content) if script.runner is Runner.SHELL else ("", ())
        return ScriptSpec(
            ref=action.ref,
            pack_ref=pack_ref,
            runner=script.runner,
            entry_point=path,
            interpreter=script.interpreter or interpreter,
            options=options,
            parameter_delivery=script.parameter_delivery,
            parameter_format=script.parameter_format,
            output_format=script.output_format,
        )

    def _note(self, findings: Findings) -> None:
        self.errors += findings.errors()
        self.warnings += findings.warnings()

    def _is_new(self, ref: str, name: str) -> bool:
        """Whether no other file of the pack has that reference."""
        first = self.places.setdefault(ref, name)
        if first == name:
            return True
        findings = Findings(str(self.folder / name))
        message = f"`{ref}` is defined in {first} already"
        findings.error(Location(findings.source), "", message, hint="give one of them another `ref`")
        self._note(findings)
        return False


def _mark(spec: ScriptSpec, place: Place, files: Mapping[str, PackFile], findings: Findings) -> Mark | None:
    """The decorated function that an action of ``runner_type: python`` is; None: the file is a script."""
    file = files[spec.entry_point]
    if spec.runner is not Runner.PYTHON or file.is_link:
        return None
    marks = marks_in(file.content.decode("utf-8", "replace"))
    found = [mark for mark in marks if mark.ref == spec.ref]
    if marks and not found:
        others = ", ".join(f"`{mark.ref}`" if mark.ref else "one whose name is no literal text" for mark in marks)
        message = f"`{place.path}` defines {others}, and no action `{spec.ref}`"
        hint = f'write `@attune_ray.action("{spec.ref}")`, or no decorator for a script that is run as a process'
        findings.error(place.location, place.field, message, hint=hint)
    return found[0] if found else None


def _owned(action: ActionFile) -> dict[str, Any]:
    """What the file of a workflow's action tells of it."""
    told = {
        "label": action.label,
        "description": action.description,
        "tags": action.tags or None,
        "parameters": action.parameters,
        "output": action.output,
    }
    return {"ref": action.ref, **{name: value for name, value in told.items() if value is not None}}


def _below_actions(place: Place, files: Mapping[str, PackFile], findings: Findings) -> str | None:
    """The path of a file that an action names, if the pack has it."""
    path = f"{_ACTIONS}/{place.path}"
    if path in files:
        return path
    hint = findings.did_you_mean(path, files).replace(f"{_ACTIONS}/", "", 1)
    findings.error(place.location, place.field, f"there is no file `{path}` in the pack", hint=hint)
    return None


def _shebang(content: bytes) -> tuple[str, tuple[str, ...]]:
    """The shell that a script asks for and its options; ("", ()) where it asks for none that we know."""
    line = content[:_MAX_SHEBANG].partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    words = list(_words(line))
    while words and words[0] in {"env", "-S"}:
        words.pop(0)
    if not words or words[0] not in {"sh", "bash"}:
        return "", ()
    return words[0], tuple(word for word in words[1:] if word.startswith("-"))


def _words(line: str) -> Iterator[str]:
    """The words of a ``#!`` line, the program's by its name alone."""
    if line.startswith("#!"):
        for word in line.removeprefix("#!").split():
            yield word.rpartition("/")[2]


def _is_yaml(name: str, folder: str) -> bool:
    """Whether it is a YAML file right in that folder."""
    path = Path(name)
    return path.suffix in _SUFFIXES and path.parent.as_posix() == folder


def _stem(name: str) -> str:
    return Path(name).stem.removesuffix(".workflow")
