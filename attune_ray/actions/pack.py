"""A pack's files and script actions, in a form that travels to workers, and how a worker lays them out again."""

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from attune_ray.actions.execution import CURRENT
from attune_ray.actions.files import FileSource, decorated, execute
from attune_ray.actions.marks import Mark
from attune_ray.actions.output import Output
from attune_ray.actions.python import Action, Kind
from attune_ray.actions.script_spec import ScriptSpec
from attune_ray.errors import InvalidParametersError, Location, PermanentError, UsageError
from attune_ray.values.given import apply_schema

__all__ = ["PackFile", "PackSource", "ScriptAction", "actions_of_pack"]


_WIDTH = 32
"""Scripts at once per slot: each is a process of some MB and four descriptors, of which 1,024 is a common limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFile:
    """One file of a pack.

    Attributes:
        path: below the pack's folder, with ``/``.
        content: its bytes; of a link, the path that it names.
    """

    path: str
    content: bytes
    is_executable: bool = False
    is_link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptAction:
    """One action of a pack's ``actions/``: a script, or a function of a Python file.

    Attributes:
        mark: of the function, which is called in the worker; None: it is a script, a process of its own.
        parameters: a JSON Schema object (draft 2020-12), or None: any parameters.
        origin: the action's file, as errors name it.
    """

    spec: ScriptSpec
    mark: Mark | None = None
    parameters: Mapping[str, Any] | None = None
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class PackSource:
    """A pack by its bytes: workers on other machines have no such folder.

    Every machine, also the one that has the folder, runs a copy of what was read: a script that is edited while a run
    lasts is the same for all its items.
    """

    ref: str
    files: tuple[PackFile, ...]
    actions: tuple[ScriptAction, ...]

    @cached_property
    def digest(self) -> str:
        """A name for exactly these files."""
        total = hashlib.sha256()
        for file in sorted(self.files, key=lambda each: each.path):
            head = f"{len(file.path.encode())} {len(file.content)} {file.is_executable:d}{file.is_link:d}\n"
            total.update(head.encode() + file.path.encode() + file.content)
        return total.hexdigest()[:32]


def actions_of_pack(source: PackSource) -> list[Action]:
    """The actions of a pack; its files are laid out when the first of them runs."""
    return [_action(source, action) for action in source.actions]


def _action(source: PackSource, action: ScriptAction) -> Action:
    mark = action.mark
    is_async = mark is None or mark.is_async
    return Action(
        ref=action.spec.ref,
        function=_runner(source, action) if mark is None else _caller(source, action, mark),
        kind=Kind.ASYNC if is_async else Kind.BLOCKING if mark is not None and mark.is_blocking else Kind.SYNC,
        inline=False,
        names=None,
        required=_required(action.parameters),
        signature=_signature(action.parameters),
        parameters=action.parameters,
        origin=action.origin,
        width=_WIDTH if mark is None else None,
        execution=None if mark is None else mark.execution,
    )


def _caller(source: PackSource, action: ScriptAction, mark: Mark) -> Callable[..., Any]:
    """How the function of a Python file is called: the file is loaded by the first call in a process."""
    spec, schema, location = action.spec, action.parameters, Location(action.spec.ref)

    @functools.cache
    def loaded() -> Action:
        path = _laid_out(source) / spec.entry_point
        module = execute(FileSource(str(path), path.read_text(encoding="utf-8")))
        found = next((each for each in decorated(vars(module).values()) if each.ref == spec.ref), None)
        if found is None:
            raise PermanentError(f"{spec.ref}: {spec.entry_point} has no such action any more once it is loaded")
        return found

    def call(**values: Any) -> Any:
        told = {mark.execution: values.pop(mark.execution)} if mark.execution is not None else {}
        try:
            filled = apply_schema(schema, values, location=location)
        except InvalidParametersError as error:
            raise PermanentError(str(error)) from None
        found = loaded()
        found.check(filled.keys())
        return found.function(**filled, **told)

    return call


def _runner(source: PackSource, action: ScriptAction) -> Callable[..., Any]:
    spec, schema, location = action.spec, action.parameters, Location(action.spec.ref)

    async def run(**parameters: Any) -> Output:
        try:
            filled = apply_schema(schema, parameters, location=location)
        except InvalidParametersError as error:
            raise PermanentError(str(error)) from None
        from attune_ray.actions.script import run_script  # noqa: PLC0415  asyncio: `validate` runs no script

        return await run_script(spec, filled, folder=_laid_out(source), execution=CURRENT.get())

    return run


def _required(schema: Mapping[str, Any] | None) -> frozenset[str]:
    if schema is None:
        return frozenset()
    return frozenset(name for name in schema.get("required", ()) if _default(schema, name) is None)


def _signature(schema: Mapping[str, Any] | None) -> str:
    if schema is None:
        return "(**any)"
    required, declared = _required(schema), schema.get("properties", {})
    names = [name if name in required else f"{name}={_default(schema, name)!r}" for name in declared]
    return f"({', '.join([*names, '**any'])})"


def _default(schema: Mapping[str, Any], name: str) -> Any:
    """The default of a parameter; of a secret one it is not told."""
    declared = schema.get("properties", {}).get(name)
    if not isinstance(declared, Mapping) or declared.get("default") is None:
        return None
    return "***" if declared.get("secret") is True else declared["default"]


def _laid_out(source: PackSource) -> Path:
    """The folder that holds the pack's files on this machine, made by whoever comes first.

    Raises:
        UsageError: there is no place for it.
    """
    try:
        store = _store()
        target = store / f"{_safe(source.ref)}-{source.digest}"
        if not target.is_dir():
            _lay_out(source.files, target)
    except OSError as error:
        raise UsageError(f"the files of the pack {source.ref} cannot be written: {error}") from error
    return target


def _lay_out(files: Iterable[PackFile], target: Path) -> None:
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))  # 0700
    try:
        _write(files, made)
        made.rename(target)  # all of it or nothing; fails where another process was faster
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not target.is_dir():
            raise


def _write(files: Iterable[PackFile], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if file.is_link:
            path.symlink_to(os.fsdecode(file.content))
        else:
            path.write_bytes(file.content)
            path.chmod(0o700 if file.is_executable else 0o600)


def _store() -> Path:
    """A folder of our own that outlives this process: below ``XDG_CACHE_HOME`` or ``~/.cache``, else in the temp dir.

    In the temp dir anybody may have made a folder of that name: one that others can change is not used.

    Raises:
        PermissionError: there is none.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  never raises
    for base in (Path(home) / "attune_ray", Path(tempfile.gettempdir()) / f"attune_ray-{os.geteuid()}"):
        folder = base / "packs"
        with contextlib.suppress(OSError):
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_ours(base) and _is_ours(folder) and os.access(folder, os.W_OK):
                return folder
    raise PermissionError(f"neither {home} nor {tempfile.gettempdir()} has a place that is ours alone")


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can change what is in a folder."""
    found = folder.lstat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022 and not folder.is_symlink()


def _safe(ref: str) -> str:
    return "".join(char if char.isalnum() or char in "_-" else "_" for char in ref)[:64]
