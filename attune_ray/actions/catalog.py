"""The actions that a run may name."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from attune_ray.actions.core import CORE, WAITING
from attune_ray.actions.python import Action, from_function
from attune_ray.actions.sources import Source, actions_of, installed_sources
from attune_ray.errors import UsageError

__all__ = ["Catalog"]


class Catalog(Mapping[str, Action]):
    """Reference → action: the core actions and those of ``sources``, which travel to workers in its place.

    A reference that is none of these is looked for in installed distributions (``installed_sources``), the first time
    that there is one: their modules are imported then, here and on each worker. Iterating does not look for them.

    Args:
        finds_installed: look for them.

    Raises:
        UsageError: a source cannot be loaded, or two of them define the same reference.
    """

    def __init__(self, sources: Iterable[Source] = (), *, finds_installed: bool = True) -> None:
        self._is_complete = not finds_installed
        self._unreadable: list[str] = []
        self.sources = tuple(sources)
        self._actions: dict[str, Action | None] = dict.fromkeys(CORE)  # None: core, not loaded yet
        for source in self.sources:
            for action in actions_of(source):
                self._add(action)

    def _add(self, action: Action) -> None:
        known = self[action.ref] if action.ref in self._actions else None
        if known is not None and known.function is not action.function:
            raise UsageError(f"action {action.ref!r} is defined twice: in {_place(known)} and in {_place(action)}")
        self._actions[action.ref] = action

    def _add_installed(self) -> None:
        self._is_complete = True
        for source in installed_sources():
            try:
                for action in actions_of(source):
                    self._add(action)
            except UsageError as error:  # told with the action that is not found
                self._unreadable.append(str(error))

    def __getitem__(self, ref: str) -> Action:
        if ref not in self._actions and not self._is_complete:
            self._add_installed()
        action = self._actions[ref]
        if action is None:
            action = from_function(CORE[ref], ref=ref, inline=True)
            if action is None:
                raise AssertionError("a function with a ref becomes an action")
            action = replace(action, nature="wait" if ref in WAITING else "work")
            self._actions[ref] = action
        return action

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def suggestion(self, ref: str) -> str:
        """``did you mean 'x.y'?``, or which there are; and what could not be looked into."""
        return "; ".join([self._near(ref), *self._unreadable])

    def _near(self, ref: str) -> str:
        close = difflib.get_close_matches(ref, self._actions, n=1)
        if close:
            return f"did you mean {close[0]!r}?"
        return f"known actions: {', '.join(sorted(self._actions))}"


def _place(action: Action) -> str:
    return action.origin or f"{action.function.__module__}.{action.function.__qualname__}"
