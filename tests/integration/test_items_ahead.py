"""Fan-outs whose chunks are sent before anybody has looked at their items, since their number is known."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine, action
from attune_ray.dispatch import executor, lengths
from attune_ray.settings import FanOutSettings

pytestmark = pytest.mark.ray

N_LARGE = 3_000_000
N_HUGE = 10_000_000
MAKER = b"ray::_make_items"


@action("ahead.rows")
def rows(n: int) -> dict[str, Any]:
    """A list to fan out over, and something else."""
    return {"rows": list(range(n)), "n": n}


@action("ahead.length")
def length(x: Any) -> int:
    """How many there are in a batch."""
    return len(x)


@action("ahead.hold")
def hold(x: Any) -> None:  # noqa: ARG001  a batch
    """Until it is stopped."""
    time.sleep(3600)


@action("ahead.double")
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


LARGE = """
parameters: {rows: {type: array}}
tasks:
  - name: f
    action: ahead.length
    with_items: "{{ parameters.rows }}"
    batch_size: 100000
    input: {x: "{{ item }}"}
"""


@pytest.fixture
def engine(make_ray_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that knows the actions above, and does not wait for items however long it takes to make them."""
    monkeypatch.setattr(lengths, "COUNTED_BYTES", 2**40)
    return make_ray_engine(rows, length, hold, double)


def makers() -> list[int]:
    """Processes that make items at this moment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(MAKER):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@contextmanager
def on_each_maker(most: int, do: Callable[[int], None]) -> Iterator[list[int]]:
    """Do something to the first so many processes that make items; tells which they were."""
    met: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while len(met) < most and not over.is_set():
            for pid in set(makers()) - set(met):
                met.append(pid)
                do(pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield met
    finally:
        over.set()
        watcher.join()


def kill(pid: int) -> None:
    """At once."""
    os.kill(pid, signal.SIGKILL)


def test_nobody_waits_for_items_whose_number_is_known(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a result, of the parameters, of a fan-out before; what was decoded for them is counted all the same."""
    waited, answered = [], executor.answered

    async def counting(refs: Any, awaited_ref: Any = None) -> tuple[Any, ...]:
        if len(refs) == 3:
            waited.append(refs)
        return await answered(refs, awaited_ref)

    monkeypatch.setattr(executor, "answered", counting)
    run = engine.run(
        """
        parameters: {many: {type: array}}
        tasks:
          - {name: t, action: ahead.rows, input: {n: 5000}}
          - {name: a, action: ahead.double, with_items: "{{ task.t.rows }}", input: {x: "{{ item }}"}}
          - {name: b, action: ahead.double, with_items: "{{ task.a.results }}", input: {x: "{{ item }}"}}
          - {name: c, action: ahead.double, with_items: "{{ parameters.many }}", input: {x: "{{ item }}"}}
          - {name: d, action: ahead.double, with_items: "{{ range(3) }}", input: {x: "{{ item }}"}}
        """,
        {"many": [1, 2, 3]},
    )

    assert list(run.task("b").results) == [4 * number for number in range(5000)]
    assert (list(run.task("c").results), list(run.task("d").results)) == ([2, 4, 6], [0, 2, 4])
    assert run.task("a").stats.context_bytes_decoded > 5000
    assert len(waited) == 1


def test_items_whose_maker_is_killed_are_made_again(engine: Engine) -> None:
    """The chunks that waited for them are sent again, and each item runs once."""
    with on_each_maker(1, kill) as killed:
        run = engine.run(LARGE, {"rows": list(range(N_LARGE))})

    assert len(killed) == 1
    assert (run.status, list(run.task("f").results)) == ("completed", [100_000] * 30)


def test_items_that_kill_each_maker_fail_with_the_reason(engine: Engine) -> None:
    """After as many tries as an item has."""
    most = FanOutSettings().max_crashes
    with on_each_maker(most, kill) as killed:
        task = engine.run(LARGE, {"rows": list(range(N_LARGE))}).task("f")

    errors = {failed["error"] for failed in task.result["failed_items"]}
    assert (len(killed), task.status, task.stats.n_failed) == (most, "failed", 30)
    assert errors == {"the items could not be made: its worker process died (a crash, an exit, or a kill)"}


def test_a_cancellation_ends_the_making_of_items_too(engine: Engine) -> None:
    """Nobody needs them any more; where they were there in time, their items hold until they are stopped."""
    source = LARGE.replace("ahead.length", "ahead.hold")
    with on_each_maker(1, lambda _: engine.cancel(running=True)):
        run = engine.run(source, {"rows": list(range(N_HUGE))})

    assert (run.status, run.task("f").status, makers()) == ("cancelled", "cancelled", [])
    assert engine.run(LARGE, {"rows": list(range(N_LARGE))}).status == "completed"
