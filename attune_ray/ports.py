"""What the coordinator needs of the world, in its own words; `dispatch`, `store` and `observe` have the adapters."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from attune_ray.actions import Action
from attune_ray.engine import Event, RunState, TaskRunId
from attune_ray.model import Task
from attune_ray.plan import Chunk, Items, Plan, PlanTask, Shape
from attune_ray.records import Entry, History, Mail
from attune_ray.values.keeping import Keeping, ResultStore
from attune_ray.values.placement import Selector
from attune_ray.values.secrets import RunSecrets

__all__ = [
    "ChildOrder",
    "ChildReport",
    "ChunkReport",
    "Clock",
    "Executor",
    "Inbox",
    "Journal",
    "Kept",
    "KeptPart",
    "LostItems",
    "Observer",
    "OpenTask",
    "Recall",
    "ResultStore",
    "RunChild",
    "RunContext",
    "RunView",
    "StoredResult",
    "TaskOrder",
]


class StoredResult(Protocol):
    """The result of an ended task run, wherever it is."""

    @property
    def succeeded(self) -> bool:
        """Whether the task did."""

    def view(self) -> Any:
        """What expressions see of it (LANGUAGE §5); decodes no more than is read. May wait for another machine."""

    def detached(self) -> "StoredResult":
        """The same in this process's memory, for when its cluster is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the expressions of a run may read at one moment; a new value for every change.

    Attributes:
        given: the parameters as they were given; ``parameters`` has the schema's defaults as well.
        variables_version: grows with every publish, so that an unchanged context is put once.
        results: task name → result of its latest run.
        secrets: what of it must not be shown.
        around: of a parallel group in a fan-out: item and index; else None.
        depth: 1 for a run that was asked for, one more in each sub-workflow.
        begun_at: when the run that was asked for has begun: an id may be used again where all was forgotten.
    """

    run_id: str
    given: Mapping[str, Any] = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)
    variables_version: int = 0
    results: Mapping[str, StoredResult] = field(default_factory=dict, repr=False)
    config: Any = field(default=None, repr=False)
    keystore: Any = field(default=None, repr=False)
    secrets: RunSecrets = field(default_factory=RunSecrets, repr=False)
    system: Mapping[str, Any] = field(default_factory=dict)
    around: tuple[Any, int] | None = field(default=None, repr=False)
    depth: int = 1
    begun_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """One task run that is to be opened.

    Attributes:
        concurrency: items at once over the whole cluster; None: as wide as the executor.
        selectors: of which a node must meet one to run it, preferred ones first; (): any node.
        now: the moment at which the task run starts, UTC, ISO 8601.
        keeping: how the results of its chunks outlive the coordinator; None: they do not.
        kept: what they had come to before their coordinator died; None: it is opened for the first time.
    """

    run: TaskRunId
    task: PlanTask
    action: Action
    context: RunContext
    concurrency: int | None
    now: str
    selectors: tuple[Selector, ...] = ()
    keeping: Keeping | None = None
    kept: "Kept | None" = None


@dataclass(frozen=True, slots=True)
class KeptPart:
    """The results of one chunk.

    Attributes:
        items: that have ended in it.
        saved: where they are, or they themselves; as of ``ChunkReport``, decoded.
    """

    items: Items
    saved: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The results of a task run's chunks, as they are kept.

    Attributes:
        parts: in the order in which they ended.
        n_failed: items that failed for good.
    """

    is_fan_out: bool
    n_items: int
    parts: tuple[KeptPart, ...] = ()
    n_succeeded: int = 0
    n_failed: int = 0


class OpenTask(Protocol):
    """A task run that is ready for its chunks."""

    @property
    def n_items(self) -> int:
        """How many items it has; 1 for a plain task."""

    @property
    def shape(self) -> Shape:
        """How wide it may run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostItems:
    """Why a chunk did not end by itself, and what is known of its items.

    Attributes:
        reason: in one sentence.
        ended: those whose results are stored all the same: the report counts them, and no others.
        running: those that were under way; None: not known.
        blameless: as of ``engine.ChunkLost``.
    """

    reason: str
    ended: Items = ()
    running: Items | None = None
    blameless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReport:
    """What became of a chunk; the results themselves stay with the executor.

    Attributes: as of ``engine.ChunkDone``, and
        worker: the process that ran it, as ``host:pid``.
        context_bytes_decoded: encoded bytes of context that it made that process decode.
        n_cached: items whose results were known from earlier calls.
        published: workflow variables that a parallel group has published; None: none.
        secrets: texts that its actions took as secrets: what else of the run is shown must not hold them.
        lost: what is to be known if its worker died, or was killed because the chunk was to be stopped.
        saved: where its results are kept, or they themselves, as JSON; None: they die with this process.
    """

    n_succeeded: int
    n_failed: int = 0
    retryable: tuple[int, ...] = ()
    retry_after_s: float | None = None
    elapsed_s: float = 0.0
    timed_out: bool = False
    worker: str = ""
    context_bytes_decoded: int = 0
    n_cached: int = 0
    published: Mapping[str, Any] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    lost: LostItems | None = None
    saved: bytes | None = field(default=None, repr=False)


_Task = TypeVar("_Task", bound=OpenTask)


class Executor(Protocol[_Task]):
    """Runs the chunks of tasks somewhere, and keeps their results.

    What it hands out as an open task, it alone gets back.
    """

    async def open(self, order: TaskOrder) -> _Task:
        """Make a task run ready: its context and its items go where chunks will find them.

        Raises:
            AttuneError: it cannot run: a template, the items or the action's parameters are wrong.
        """

    async def run(self, task: _Task, chunk: Chunk) -> ChunkReport:
        """Run a chunk and store its results. A cancelled call stops the chunk, and may still report what had ended.

        Raises:
            StateError: they cannot be kept.
        """

    async def salvage(self, task: _Task, chunk: Chunk, age_s: float) -> ChunkReport:
        """Look after a chunk whose coordinator died, so many seconds after it was sent; otherwise as ``run``.

        What is found of it is reported; what cannot be looked for goes on from where it stood.
        """

    async def fail(self, task: _Task, chunk: Chunk, reason: str) -> ChunkReport:
        """Store that the items of a chunk failed without having run to an end."""

    def result(self, task: _Task, *, succeeded: bool, cancelled: bool = False) -> StoredResult:
        """The result of a task run whose chunks have all ended; ``cancelled``: before all its items had."""


class Recall(Protocol):
    """Makes results of task runs that no executor of this process has."""

    def failure(self, error: str | None) -> StoredResult:
        """The result of a task run that could not be opened; None: it was cancelled before."""

    def result(self, kept: Kept, *, succeeded: bool, cancelled: bool = False) -> StoredResult:
        """The result of a task run that had ended when its coordinator died; else as of ``Executor``."""

    def is_intact(self, saved: Mapping[str, Any]) -> bool:
        """Whether the results of a chunk are as they were kept; reads all of them.

        Raises:
            StateError: they cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOrder:
    """A run that a run starts: a sub-workflow, or a group of parallel tasks.

    Attributes:
        task: the task that starts it.
        item: what it is started for, and its ``index``; both None for a plain task.
        attempt: 1-based.
        given: its parameters.
        parent: the context of the run that starts it.
        timeout_s: seconds that it may take, those of a pause apart; None: any number.
    """

    run_id: str
    task: Task
    item: Any = field(repr=False)
    index: int | None
    attempt: int
    given: Mapping[str, Any] = field(repr=False)
    parent: RunContext
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReport:
    """How a child run ended: its result, or why it failed.

    Attributes:
        secrets: as of ``ChunkReport``.
        cancelled: together with its parent.
    """

    succeeded: bool
    data: Any = field(repr=False)
    error: str | None = None
    published: Mapping[str, Any] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    cancelled: bool = False


RunChild = Callable[[ChildOrder], Awaitable[ChildReport]]


class Journal(Protocol):
    """Keeps the entries of runs in the order in which they are written, for as long as anybody wants them.

    Many runs share one; of each run one coordinator alone may write. What a caller does after ``write`` has returned
    may rely on what was written.
    """

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep entries, all of them or none; those of a run in this order. ``RunBegun`` makes the run this one's.

        Raises:
            StateError: they could not be kept; or a run of that id has begun already.
            FencedError: another coordinator has one of the runs. Entries of all other runs are kept.
        """

    async def flush(self) -> None:
        """Wait until all that was ever written is as safe as it gets. Errors: as of ``write``."""

    async def claim(self, run_id: str) -> History:
        """Take over a run whose coordinator is dead, or has let go of it; from now on nobody else can write to it.

        Raises:
            UsageError: there is no such run.
            FencedError: its coordinator lives.
            StateError: it cannot be read.
        """

    async def read(self, run_id: str) -> History:
        """All that is kept of a run, whoever has it. Errors: as of ``claim``."""

    async def close(self) -> None:
        """Let go of the runs that have not ended, and of all that is open; doing it again does nothing."""


class Inbox(Protocol):
    """How a coordinator shows that it lives, and learns what is asked of its runs in other processes."""

    async def beat(self) -> Sequence[Mail]:
        """A sign of life; what has been asked since the last one, oldest first.

        An answer to a question that is still open comes again after a restart; a request does not.

        Raises:
            StateError: the store cannot be reached for now.
        """


class Clock(Protocol):
    """The time of the world."""

    def now(self) -> str:
        """UTC, ISO 8601 with microseconds and ``Z``."""

    async def sleep(self, delay_s: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class RunView:
    """What an observer may know of a run besides its events.

    Attributes:
        state: as the engine holds it, to be read only: it moves on between one event and the next.
    """

    run_id: str
    plan: Plan
    state: RunState


class Observer(Protocol):
    """Sees every fact of a run after it was applied; never decides. One that raises is removed and logged."""

    def started(self, view: RunView) -> None:
        """A run begins."""

    def saw(self, run_id: str, event: Event) -> None:
        """A fact was applied."""

    def warned(self, run_id: str, warning: str) -> None:
        """Something is odd but does not stop the run."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """A task waits for an answer; ``run_id`` may be that of a child run."""

    def ended(self, run_id: str, status: str) -> None:
        """A run has ended."""
