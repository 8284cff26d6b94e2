"""What reading a file found: errors and warnings, all of them, in the order of the file."""

from collections.abc import Iterable

from attune_ray.errors import InvalidWorkflowError, Location, Problem
from attune_ray.values.words import did_you_mean

__all__ = ["Findings", "few"]

_MAX_SUGGESTIONS = 200  # searches for a close name in one file: a file with more faults than that is not misspelt
_MAX_LISTED = 10


class Findings:
    """Collects problems while a file is read, so that an author sees all of them at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._suggestions_left = _MAX_SUGGESTIONS
        self._errors: list[Problem] = []
        self._warnings: list[Problem] = []

    def error(self, location: Location, path: str, message: str, *, hint: str = "") -> None:
        """Record what keeps the file from being run."""
        self._errors.append(Problem(message=message, location=location, path=path, hint=hint))

    def warning(self, location: Location, path: str, message: str, *, hint: str = "") -> None:
        """Record what is odd but runs."""
        self._warnings.append(Problem(message=message, location=location, path=path, hint=hint))

    def did_you_mean(self, name: str, known: Iterable[str]) -> str:
        """A hint naming the closest known word; "" when none is close, or after too many of them in one file."""
        self._suggestions_left -= 1
        return did_you_mean(name, known) if self._suggestions_left >= 0 else ""

    def raise_errors(self) -> None:
        """Raise all errors found so far, if there are any.

        Raises:
            InvalidWorkflowError: with the errors, and the warnings so far, in the order of the file.
        """
        if self._errors:
            raise InvalidWorkflowError(self.errors(), self.warnings())

    def errors(self) -> tuple[Problem, ...]:
        """All errors, in the order of the file."""
        return _in_order(self._errors)

    def warnings(self) -> tuple[Problem, ...]:
        """All warnings, in the order of the file."""
        return _in_order(self._warnings)


def few(words: Iterable[str]) -> str:
    """The words with commas; of many, the first ten."""
    listed = list(words)
    rest = len(listed) - _MAX_LISTED
    return ", ".join(listed[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    found = dict.fromkeys(problems)  # a part that aliases repeat is wrong once
    return tuple(sorted(found, key=lambda problem: (problem.location.line, problem.location.column)))
