"""Actions that leak, and items that ask for more memory than there is: on real Ray."""

import os
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from attune_ray import Engine, Settings, action
from attune_ray.settings import LimitSettings

pytestmark = pytest.mark.ray


def note(log: str, text: str) -> None:
    """Append a line, whole, from any process."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{text}\n".encode())
    finally:
        os.close(file)


@action("memory.leak")
def leak(x: int, log: str) -> int:
    """Keeps five megabytes for ever."""
    import sys  # noqa: PLC0415  the worker's own, which keeps them

    kept = sys.__dict__.setdefault("kept_by_tests", [])
    kept.append(b"x" * 5_000_000)
    note(log, f"{x} {os.getpid()} {len(kept)}")
    return x


@action("memory.ask")
def ask(x: int) -> int:
    """One item asks for more than its process may have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if x == 5:
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 200_000_000, before[1]))
    try:
        return len(b"x" * (1_000_000_000 if x == 5 else 1_000))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_worker_that_leaks_is_replaced_and_no_item_is_lost_or_run_twice(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path
) -> None:
    """It hands over its chunk before it ends; no worker keeps more than the bound and a chunk."""
    limits = LimitSettings(worker_bytes=300_000_000)
    engine = make_ray_engine(leak, settings=replace(ray_settings, limits=limits))
    log = tmp_path / "log"

    run = engine.run(
        "tasks: [{name: f, action: memory.leak, with_items: '{{ range(200) }}', batch_size: 1, concurrency: 2, "
        "input: {x: '{{ item[0] }}', log: '{{ parameters.log }}'}, rate_limit: 400/s}]",
        {"log": str(log)},
    )

    noted = [line.split() for line in log.read_text().splitlines()]
    assert run.status == "completed", run.result
    assert list(run.task("f").results) == list(range(200))
    assert Counter(int(x) for x, _, _ in noted) == Counter(range(200))
    assert len({pid for _, pid, _ in noted}) > 2
    assert max(int(n_kept) for _, _, n_kept in noted) < 200


def test_an_item_that_finds_no_memory_fails_alone(make_ray_engine: Callable[..., Engine]) -> None:
    """With Python's own error; the items after it run in the same process."""
    run = make_ray_engine(ask).run(
        "tasks: [{name: f, action: memory.ask, with_items: '{{ range(20) }}', input: {x: '{{ item }}'}, tolerate: 1}]"
    )

    assert list(run.task("f").results) == [None if x == 5 else 1_000 for x in range(20)]
    assert [(each["index"], each["error"][:11]) for each in run.task("f").failed_items] == [(5, "MemoryError")]
