"""What is kept of a run, in the order in which it happened: enough to go on with it after its coordinator has died.

A journal holds *entries*. Those of one run begin with ``RunBegun``; then come its *facts*, which are the engine's
events and what the shell needs besides to have the same state again; ``RunEnded`` is the last. A run that another run
starts (a sub-workflow, a parallel group) has no entries of its own: its facts stand among those of the run that was
asked for, under its own id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attune_ray.engine import Event, Request, RunStatus

__all__ = [
    "AnswerMail",
    "Asked",
    "Entry",
    "Fact",
    "History",
    "Mail",
    "QuestionKey",
    "RequestMail",
    "RunBegun",
    "RunEnded",
    "root_of",
]


def root_of(run_id: str) -> str:
    """The run that was asked for, above a run: a child's id is its parent's, a slash, and its task.

    >>> root_of("20261121-013054-9f3a1c/deploy[3]/check")
    '20261121-013054-9f3a1c'
    """
    return run_id.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegun:
    """A run was asked for.

    Attributes:
        at: UTC, ISO 8601; what ``system.workflow_start`` is.
        title: of the workflow, to be shown.
        source, text: the name of its file, and the whole of it.
        given: the parameters as they were given, secret ones among them.
        launch: what whoever started it needs to make the same engine again; JSON.
        rerun_of: the run that it repeats a part of.
        is_secret: ``given`` or ``launch`` hold secrets: they are not kept as they are.
    """

    run_id: str
    at: str
    title: str
    source: str
    text: str = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)
    launch: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rerun_of: str | None = None
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event that the engine was told, and what it left in the shell.

    Attributes:
        run_id: of the run that it is of, which may be a child's.
        at: when it was told; UTC, ISO 8601.
        shell: what the coordinator needs to know again besides the event; JSON (``coordinator/shell.py``).
        is_secret: the run knows of secrets: ``shell`` may hold them, and is not kept as it is.
    """

    run_id: str
    at: str
    event: Event
    shell: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_secret: bool = False


QuestionKey = tuple[str, str, int | None]
"""Run (perhaps a child's), task run as text, and index of the item or None: what a question is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A task waits for an answer. Asked again after a restart, it is still the same question.

    Attributes:
        task: as ``TaskRunId`` is written: ``approve``, or ``approve#2`` for its second run.
        index: of the item; None for a plain task.
        prompt: without secrets.
    """

    run_id: str
    task: str
    index: int | None
    at: str
    prompt: str
    response_schema: Mapping[str, Any] | None = None
    assigned_to: Any = None

    @property
    def key(self) -> QuestionKey:
        """What it is known by."""
        return self.run_id, self.task, self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run has ended: its questions are closed, its coordinator lets go of it.

    Attributes:
        result: what it returned, as it is; ``shown``: the same without secrets.
        is_secret: as of ``Fact``, for ``result``.
    """

    run_id: str
    at: str
    status: RunStatus
    result: Mapping[str, Any] = field(repr=False)
    shown: Mapping[str, Any] = field(repr=False)
    is_secret: bool = False


Entry = RunBegun | Fact | Asked | RunEnded


@dataclass(frozen=True, slots=True)
class History:
    """All entries of one run.

    Attributes:
        facts: in the order in which they were told; those of child runs are among them.
        ended: None: it has not.
    """

    begun: RunBegun
    facts: tuple[Fact, ...] = ()
    ended: RunEnded | None = None


@dataclass(frozen=True, slots=True)
class RequestMail:
    """Somebody in another process asks something of a run."""

    run_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class AnswerMail:
    """Somebody in another process has answered a question."""

    key: QuestionKey
    response: Any = field(repr=False)


Mail = RequestMail | AnswerMail
