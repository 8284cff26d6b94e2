"""Everything that can be set, in frozen groups; each default with its unit and its reason."""

import os
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FanOutSettings", "LimitSettings", "RaySettings", "RecordingSettings", "Settings", "StateSettings"]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """Where Ray runs.

    Attributes:
        address: of a running cluster (``auto``, or ``host:port`` of its head); None: what ``RAY_ADDRESS`` in the
            environment says; where it says nothing, or a size is set here, a local one, started when needed.
        num_cpus: slots of a local cluster; None: the cores this process may use.
        object_store_bytes: size of a local cluster's object store; None: Ray's own choice.
        placement_wait_s: seconds that a task waits for a node that can run it where none is there; 0: it fails at once,
            since on a cluster of a fixed size none will come. On one that grows by itself: what a new node takes.
    """

    address: str | None = None
    num_cpus: int | None = None
    object_store_bytes: int | None = None
    placement_wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutSettings:
    """How a fan-out is cut into chunks."""

    target_chunk_s: float = 0.15
    """Seconds of work in a chunk: a Ray task costs ~1 ms, so 0.15 s keeps the overhead below 1 %. A worker that has
    spent them starts no further item, and hands the rest of its chunk back."""
    target_async_chunk_s: float = 1.0
    """The same for async actions, whose chunks end with their slowest item: longer, so that the tail weighs less."""
    first_chunk_items: int = 8_192
    """Upper bound of the first chunks, before any duration is known; what a worker has no time for comes back."""
    max_chunk_items: int = 20_000
    """Upper bound of a chunk: its batch stays below a few MB, and progress is shown at least this often."""
    chunks_per_slot: int = 2
    """Chunks in flight per slot: one runs, one is there when it ends."""
    async_width: int = 256
    """Items at once per slot for async actions: enough for 50 ms calls to be bound by the CPU."""
    blocking_width: int = 32
    """Items at once per slot for blocking actions, each in a thread (8 MB of address space, ~20 KB of memory)."""
    slots_per_cpu: int = 16
    """Most slots that a task with small ``resources`` gets per CPU: each is a process of ~80 MB."""
    inline_width: int = 256
    """Items at once for inline actions, which run in the coordinator's own loop."""
    max_crashes: int = 3
    """Deaths of a worker that one item may cause before it fails as crashed; Ray's own retries are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds that keep a run from eating its machine."""

    task_runs: int = 10_000
    """Task runs in one run (a fan-out counts once): a cycle that never ends is stopped here."""
    depth: int = 16
    """Runs within runs: a workflow that calls itself is stopped here."""
    child_runs: int = 16
    """Sub-workflows of one fan-out at once, where the task names no ``concurrency``; each is a run of its own."""
    failed_items_listed: int = 1_000
    """Failed items named in ``failed_items``; the counts are always exact."""
    cache_bytes: int = 256 * 1024 * 1024
    """Encoded bytes of decoded context kept per worker process (decoded JSON takes about five times as much)."""
    worker_bytes: int = 2 * 1024 * 1024 * 1024
    """Bytes of memory that a worker may have to itself after a chunk; with more it ends, and another starts (~1.5 s):
    above what the decoded context takes, so that only an action that leaks comes to it."""
    reused_results: int = 100_000
    """Results that tasks with ``cache`` keep in one engine, the oldest go first: with their index ~30 MB."""
    reused_bytes: int = 64 * 1024 * 1024
    """Encoded bytes of these: they are in the coordinator's memory, and put once per task run that may use them."""
    link_local_hosts: tuple[str, ...] = ()
    """Hosts, addresses and networks that ``core.http_request`` may reach although they are link-local or serve a
    cloud's metadata: none, since such a service gives the machine's keys to whoever sends a request from it."""
    timeout_grace_s: float = 5.0
    """Seconds that an overrun item has to end before its worker is killed; where it keeps the interpreter's lock in a C
    call, that is 10 s later."""


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Where workers record their memory.

    Attributes:
        folder: an absolute path, for those on the coordinator's machine.
        elsewhere: the name of a folder below the one for temporary files, for those on other machines.
    """

    folder: str
    elsewhere: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """Where runs are kept, so that they outlive their coordinator, and how safe a fact is when the run goes on.

    Attributes:
        url: a folder for a SQLite file ``state.db``, or the URL of a PostgreSQL database.
        results: a folder, or the URL of a filesystem (``s3://bucket/folder``); None: ``results`` in the folder
            ``url``, or in ``.attune`` where that is a database.
        level: ``strict``: a fact is committed before anything follows from it. ``relaxed``: within ``max_age_s``; what
            a crash loses of it is found again where its results were kept, or done again.
    """

    url: str = ".attune"
    results: str | None = None
    level: Literal["strict", "relaxed"] = "strict"
    max_age_s: float = 0.05
    """Seconds after which a fact is committed under ``relaxed``: what a crash may lose. 20 commits a second cost less
    than 1 % of one core."""
    max_waiting: int = 10_000
    """Entries that wait to be committed, some MB; whoever adds more waits as well."""
    beat_s: float = 1.0
    """Seconds between two signs of life of a coordinator, which also look for what others ask of its runs."""
    silence_s: float = 15.0
    """Seconds without a sign of life after which a coordinator counts as dead where nobody can look at its process."""
    inline_bytes: int = 16 * 1024
    """Results of a chunk below this are kept in the journal itself: a file would cost two writes to the disk more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of an engine.

    Attributes:
        state: where its runs are kept; None: nowhere, a run dies with its coordinator.
        recording: has workers record their memory, which makes them several times slower; None: they do not.
    """

    ray: RaySettings = field(default_factory=RaySettings)
    fan_out: FanOutSettings = field(default_factory=FanOutSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    state: StateSettings | None = None
    recording: RecordingSettings | None = None

    @property
    def slots(self) -> int:
        """Chunks that a local cluster can run at once."""
        return self.ray.num_cpus or _cores()
