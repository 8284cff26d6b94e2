"""What one write may not keep of some of its runs, while those of all others are kept."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from attune_ray.errors import FencedError, StateError
from attune_ray.records import Entry, RunBegun, root_of

__all__ = ["Refusals", "by_run", "has_begun", "is_fenced", "joined"]

_T = TypeVar("_T")


class Refusals:
    """Why entries of some runs are not kept; the first reason of each run counts."""

    def __init__(self) -> None:
        self._errors: dict[str, StateError] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._errors

    def add(self, run_id: str, error: StateError) -> None:
        """Refuse a run."""
        self._errors.setdefault(run_id, error)

    def each(self, entries: Sequence[Entry], convert: Callable[[Entry], _T]) -> list[tuple[Entry, _T]]:
        """All entries, converted, of runs that none has to be refused of."""
        double = [run_id for run_id, part in by_run(entries).items() if _n_begun(part) > 1]
        for run_id in double:
            self.add(run_id, has_begun(run_id))
        done = []
        for entry in entries:
            try:
                done.append((entry, convert(entry)))
            except StateError as error:
                self.add(root_of(entry.run_id), error)
        return [pair for pair in done if root_of(pair[0].run_id) not in self]

    def raise_any(self) -> None:
        """Raise one error for all runs that were refused."""
        if self._errors:
            raise joined(list(self._errors.values()))


def by_run(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The entries of each run that was asked for, in their order."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        parts.setdefault(root_of(entry.run_id), []).append(entry)
    return parts


def has_begun(run_id: str) -> StateError:
    """A run of that id is known."""
    return StateError(f"a run {run_id} has begun already", frozenset({run_id}))


def is_fenced(run_id: str) -> FencedError:
    """It is another coordinator's run, or nobody's."""
    text = f"run {run_id} is not this coordinator's: another one has taken it over, or it has ended"
    return FencedError(text, frozenset({run_id}))


def joined(errors: Sequence[StateError]) -> StateError:
    """The one error, or one for several runs."""
    if len(errors) == 1:
        return errors[0]
    kind = FencedError if all(isinstance(error, FencedError) for error in errors) else StateError
    whole = any(not error.run_ids for error in errors)
    run_ids = frozenset[str]() if whole else frozenset[str]().union(*(error.run_ids for error in errors))
    error = kind("; ".join(dict.fromkeys(map(str, errors))), run_ids)
    error.__cause__ = errors[0]
    return error


def _n_begun(entries: Sequence[Entry]) -> int:
    return sum(isinstance(entry, RunBegun) for entry in entries)
