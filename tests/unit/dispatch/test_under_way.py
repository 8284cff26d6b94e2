"""Items that run at once, and do not end when their time is over."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from attune_ray.actions import action
from attune_ray.actions.python import from_function
from attune_ray.dispatch.worker import watch as watched
from attune_ray.dispatch.worker.chunk import Order, run_chunk
from attune_ray.dispatch.worker.items import EncodedItems
from attune_ray.dispatch.worker.program import Program, Work, open_work
from attune_ray.dispatch.worker.row_records import FailedRow
from attune_ray.expression import WorkflowContext

CONTEXT = WorkflowContext(parameters={}, variables={}, tasks={}, system={}, now="", seed="")
LATE = "Execution timed out after 0.04 seconds"


@dataclass
class Told:
    """What a log is told until the process dies; then it lets the deaf items go."""

    events: list[Any] = field(default_factory=list)
    died: threading.Event = field(default_factory=threading.Event)

    def begun(self, n_rows: int) -> None:
        """Of no interest."""

    def accounted(self) -> None:
        """No other item is to blame."""
        self._tell("accounted")

    def succeeded(self, row: int, data: bytes, _duration_us: int) -> None:
        """A row has ended well."""
        self._tell((row, data))

    def failed(self, row: int, failed: FailedRow, _duration_us: int) -> None:
        """A row has failed."""
        self._tell((row, failed.error))

    def die(self) -> None:
        """The process is killed."""
        self._tell("dead")
        self.died.set()

    def _tell(self, event: Any) -> None:
        if not self.died.is_set():
            self.events.append(event)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Of a process that goes on when it is dead."""
    found = Told()
    monkeypatch.setattr(watched, "_die", found.die)
    return found


def run(function: Callable[..., Any], told: Told, width: int) -> list[Any]:
    """What is told of four items in this thread, which is the one that signals come to."""
    made = from_function(function)
    assert made is not None
    program = Program(
        task="t",
        action=made.ref,
        input={"x": "{{ item }}"},
        given=None,
        with_items="",
        batch_size=None,
        on_error=None,
        retries=0,
        timeout_s=0.04,
        grace_s=0.02,
        stops_on_error=False,
        now="",
        seed="",
    )
    work: Work = open_work(program, made, EncodedItems.of([0, 1, 2, 3]), lambda _: CONTEXT)
    run_chunk(work, Order(indexes=range(4), width=width), told)
    return told.events


@pytest.mark.parametrize("width", [1, 4])
def test_an_item_that_is_deaf_to_its_cancellation_is_told_of_before_the_process_dies(told: Told, width: int) -> None:
    """No other of its loop is to blame."""

    @action("unit.deaf")
    async def deaf(x: int) -> int:
        while x == 1 and not told.died.is_set():
            with contextlib.suppress(BaseException):
                await asyncio.sleep(0.01)
        return x

    others = [(0, b"0")] if width == 1 else [(0, b"0"), (2, b"2"), (3, b"3")]
    assert run(deaf, told, width) == [*others, (1, LATE), "accounted", "dead"]


def test_an_item_that_holds_up_the_loop_is_told_of_before_the_process_dies(told: Told) -> None:
    """It swallows what is raised in it; the loop has no chance to look."""

    @action("unit.holding")
    async def holding(x: int) -> int:
        while x == 1 and not told.died.is_set():
            with contextlib.suppress(BaseException):
                told.died.wait(5)
        return x

    assert run(holding, told, 1) == [(0, b"0"), (1, LATE), "accounted", "dead"]


def test_an_item_that_heeds_its_cancellation_is_timed_out_alone(told: Told) -> None:
    """Nobody has to die for it."""

    @action("unit.late")
    async def late(x: int) -> int:
        await asyncio.sleep(10 if x == 1 else 0)
        return x

    assert run(late, told, 1) == [(0, b"0"), (1, LATE), (2, b"2"), (3, b"3")]


def test_items_of_a_loop_that_is_held_by_none_of_them_are_not_blamed(told: Told) -> None:
    """A task that an item has started holds it: whose it is nobody knows."""

    @action("unit.starting")
    async def starting(x: int) -> int:
        async def hold() -> None:
            while not told.died.is_set():
                with contextlib.suppress(BaseException):
                    told.died.wait(5)

        if x == 1:
            await asyncio.create_task(hold())
        return x

    assert run(starting, told, 1)[:2] == [(0, b"0"), "dead"]
