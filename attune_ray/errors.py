"""Every error that attune_ray raises, by who must act.

::

    AttuneError
    ├── WorkflowError                 the author: the file, a template or a given parameter is wrong
    │   ├── InvalidWorkflowError      loading found problems; carries all of them
    │   ├── InvalidParametersError    given parameters do not fit the schema; carries all problems
    │   └── ExpressionError           one template
    │       ├── ExpressionSyntaxError     it cannot be compiled
    │       └── EvaluationError           it has no value in this context
    ├── ActionError                   the action: retry decides
    │   ├── PermanentError                never retried
    │   ├── TransientError                retried, after its own delay if it names one
    │   ├── ActionTimeoutError            the attempt overran its timeout
    │   ├── UnstorableResultError         what it returned is not JSON
    │   └── WorkerCrashedError            its process died
    ├── UsageError                    the caller: a file, an address or a setting is wrong
    ├── StateError                    the operator: what is kept of runs cannot be read or written
    │   ├── ResultLostError               kept results are gone, or are not what was kept
    │   └── FencedError                   another coordinator has the run
    └── EngineError                   us: a bug
        └── IllegalTransitionError    a fact that is impossible in the state the run is in
"""

from dataclasses import dataclass

__all__ = [
    "ActionError",
    "ActionTimeoutError",
    "AttuneError",
    "EngineError",
    "EvaluationError",
    "ExpressionError",
    "ExpressionSyntaxError",
    "FencedError",
    "IllegalTransitionError",
    "InvalidParametersError",
    "InvalidWorkflowError",
    "Location",
    "PermanentError",
    "Problem",
    "ResultLostError",
    "StateError",
    "TransientError",
    "UnstorableResultError",
    "UsageError",
    "WorkerCrashedError",
    "WorkflowError",
]


class AttuneError(Exception):
    """The root of all errors raised here."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source text: its name, and 1-based line and column (0: not known)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``file:line:column``, as editors understand it."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, in which field, what, and what to do about it.

    Attributes:
        path: the field, as ``tasks[3].next[0].do[1]``; "" is the whole document.
        hint: what to do; "" when the message says it all.
    """

    message: str
    location: Location
    path: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """One line: ``file:line:column: path: message (hint)``."""
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.location}: {path}{self.message}{hint}"


class WorkflowError(AttuneError):
    """The author's: the file, a template or a given parameter is wrong."""


class _ProblemsError(WorkflowError):
    """Carries every problem that was found, in the order of the source."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...], ...]]:
        """Pickle by the problems; the text is made from them."""
        return type(self), (self.problems,)


class InvalidWorkflowError(_ProblemsError):
    """A workflow file cannot be run; ``problems`` are all that is wrong with it, ``warnings`` what is odd besides.

    A warning often names the cause of a problem: an action that lacks an input has one that is misspelt.
    """

    def __init__(self, problems: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__(problems)
        self.warnings = warnings

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...], ...]]:
        """Pickle the warnings too."""
        return type(self), (self.problems, self.warnings)


class InvalidParametersError(_ProblemsError):
    """Given parameters do not fit the workflow's schema; ``problems`` are all of them."""


class ExpressionError(WorkflowError):
    """One template is wrong.

    Attributes:
        reason: what is wrong, in one sentence without the expression's text; never a value, only names and types.
        expression: the text of the expression, or "".
        path: the place of the template in a nested value, as ``headers.x[0]``; "" when it is the value itself.
        offset: 0-based character offset of the fault in the template's text, or None.
    """

    def __init__(self, reason: str, *, expression: str = "", path: str = "", offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expression = expression
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        """``path: {{ expression }}: reason``."""
        path = f"{self.path}: " if self.path else ""
        expression = f"{{{{ {self.expression} }}}}: " if self.expression else ""
        return f"{path}{expression}{self.reason}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the keyword attributes too."""
        return _expression_error, (type(self), self.reason, self.expression, self.path, self.offset)


def _expression_error(
    kind: type[ExpressionError], reason: str, expression: str, path: str, offset: int | None
) -> ExpressionError:
    return kind(reason, expression=expression, path=path, offset=offset)


class ExpressionSyntaxError(ExpressionError):
    """A template cannot be compiled: its syntax, or an unknown function, filter or test."""


class EvaluationError(ExpressionError):
    """A template has no value in this context: a missing name or key, a wrong type, a division by zero."""


class ActionError(AttuneError):
    """An action failed; its task's ``retry`` decides whether it is tried again."""


class PermanentError(ActionError):
    """An action failed for good: raise it to spare the attempts that are left."""


class TransientError(ActionError):
    """An action failed for now.

    Attributes:
        delay_s: seconds to wait before the next attempt; None leaves it to the task's ``retry``.
    """

    def __init__(self, message: str, *, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the keyword attribute too."""
        return _transient_error, (type(self), str(self), self.delay_s)


def _transient_error(kind: type[TransientError], message: str, delay_s: float | None) -> TransientError:
    return kind(message, delay_s=delay_s)


class ActionTimeoutError(ActionError):
    """An attempt overran its task's ``timeout``."""


class UnstorableResultError(ActionError):
    """What an action returned cannot be stored; the text names the type and its path in the result."""


class WorkerCrashedError(ActionError):
    """The process that ran an item died (a segfault, an exit, the OOM killer)."""


class UsageError(AttuneError):
    """The caller's: an actions file, an address, a setting or an argument is wrong."""


class StateError(AttuneError):
    """The operator's: what is kept of runs cannot be read or written (a full disk, a server that is gone).

    Attributes:
        run_ids: the runs that it is about, while others are kept as before; empty: all.
    """

    def __init__(self, message: str, run_ids: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.run_ids = run_ids

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the runs too."""
        return type(self), (str(self), self.run_ids)


class ResultLostError(StateError):
    """Kept results are not there any more, or their checksum is not what it was."""


class FencedError(StateError):
    """Another coordinator has the runs ``run_ids``: nothing more is kept of what this one does."""


class EngineError(AttuneError):
    """Ours: a bug in attune_ray."""


class IllegalTransitionError(EngineError):
    """A fact that is impossible in the state its run is in; the text tells run, task, state, event and story."""
