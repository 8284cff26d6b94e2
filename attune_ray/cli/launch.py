"""What makes the engine of a run: kept with it, so that it can be made again, from another folder too."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from attune_ray.bootstrap import Engine, open_results
from attune_ray.errors import UsageError
from attune_ray.ports import Observer
from attune_ray.records import RunBegun
from attune_ray.settings import RaySettings, Settings, StateSettings

__all__ = ["Launch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the command line makes an engine. It holds no secret: of the keystore there is the path alone.

    Attributes:
        actions: module names and paths of .py files; ``packs``: folders; ``config``, ``keystore``: files.
        folder: that the run was started in: relative paths of the workflow begin there.
        imports_folder: whether modules were looked for there.
        results: where results are kept, if somebody said so, without credentials.
        has_hidden_results: there are some, or options.
    """

    actions: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()
    config: str | None = None
    keystore: str | None = None
    address: str | None = None
    num_cpus: int | None = None
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    imports_folder: bool = field(default_factory=lambda: bool({"", str(Path.cwd())} & set(sys.path)))
    results: str | None = None
    has_hidden_results: bool = False

    @classmethod
    def of(cls, begun: RunBegun) -> Self:
        """That of a kept run.

        Raises:
            UsageError: the command line has not started it.
        """
        kept = {name: value for name, value in begun.launch.items() if name in {each.name for each in fields(cls)}}
        if "folder" not in kept:
            raise UsageError(
                f"run {begun.run_id} was not started by `attune-ray run`: go on with it as it was, with Engine.recover"
            )
        return cls(**kept | {"actions": tuple(kept["actions"]), "packs": tuple(kept["packs"])})

    def kept(self, state: StateSettings) -> dict[str, Any]:
        """What is kept with a run: all paths are absolute."""
        told = asdict(self)
        told["actions"] = [_absolute(each) if each.endswith(".py") else each for each in self.actions]
        told["packs"] = list(map(_absolute, self.packs))
        told["config"] = self.config and _absolute(self.config)
        told["keystore"] = self.keystore and _absolute(self.keystore)
        if state.results is not None or "://" in state.url:
            store = open_results(state)
            told["results"] = str(store)
            told["has_hidden_results"] = getattr(store, "url", "") != str(store)
        return told

    def with_ray(self, settings: RaySettings, keystore: str | None) -> Self:
        """The same on another Ray, or with another keystore, where these are given."""
        made = self if keystore is None else replace(self, keystore=_absolute(keystore))
        if settings.address is None and settings.num_cpus is None:
            return made
        return replace(made, address=settings.address, num_cpus=settings.num_cpus)

    def state(self, settings: StateSettings, run_id: str) -> StateSettings:
        """Where a run is kept, its results where they were, unless the settings say otherwise.

        Raises:
            UsageError: where that is must be said again, since it holds credentials.
        """
        if settings.results is not None or self.results is None:
            return settings
        if self.has_hidden_results:
            raise UsageError(
                f"run {run_id} keeps its results in {self.results}, with credentials or options that are not kept: "
                f"say --results as when it was started"
            )
        return replace(settings, results=self.results)

    def go_there(self) -> None:
        """Work in the folder that the run was started in.

        Raises:
            UsageError: it is gone.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"the run was started in {self.folder}, which cannot be used: {reason}") from error
        if self.imports_folder and self.folder not in sys.path:
            sys.path.insert(0, self.folder)

    def engine(self, settings: Settings, observers: Iterable[Observer]) -> Engine:
        """The engine. Errors: as of ``Engine``."""
        launch: Mapping[str, Any] = {} if settings.state is None else self.kept(settings.state)
        return Engine(
            actions=self.actions,
            packs=self.packs,
            config=self.config,
            keystore=self.keystore,
            settings=settings,
            observers=observers,
            launch=launch,
        )

    @property
    def ray(self) -> RaySettings:
        """Where Ray runs."""
        return RaySettings(address=self.address, num_cpus=self.num_cpus)


def _absolute(path: str) -> str:
    return str(Path(path).absolute())
