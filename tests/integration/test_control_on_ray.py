"""Runs on Ray that are paused, resumed and cancelled in the midst."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import attune_ray
from attune_ray import Engine, RunResult, Settings
from attune_ray.engine import ChunkDone, Event, PauseRequested, ResumeRequested
from attune_ray.ports import RunView
from attune_ray.settings import FanOutSettings

pytestmark = pytest.mark.ray


@attune_ray.action("control.hold")
def hold(pipe: str) -> None:
    """Say that it runs, then hold its worker for an hour."""
    Path(pipe).write_text("runs")
    time.sleep(3600)


@attune_ray.action("control.hold_one")
def hold_one(pipe: str, x: int) -> int:
    """Return at once, but for one item."""
    if x == 3:
        hold(pipe)
    return x


@attune_ray.action("control.hold_async")
async def hold_async(pipe: str) -> None:
    """The same in the worker's loop."""
    Path(pipe).write_text("runs")  # noqa: ASYNC240  one word
    await asyncio.sleep(3600)


@attune_ray.action("control.note")
def note(file: str, x: int) -> int:
    """Leave a line behind, in one write."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{x}\n".encode())
    os.close(descriptor)
    return x * x


ALL = (hold, hold_async, hold_one, note)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe: who reads it waits until somebody has written."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def cancelled_when_told(engine: Engine, source: str, pipe: Path, **asked: Any) -> RunResult:
    """Run it, and cancel it from another thread as soon as an item says that it runs."""

    def cancel() -> None:
        pipe.read_text()
        engine.cancel(**asked)

    thread = threading.Thread(target=cancel)
    thread.start()
    result = engine.run(source)
    thread.join()
    return result


@pytest.mark.parametrize("action", ["control.hold", "control.hold_async"])
def test_cancel_running_stops_an_action_by_its_worker_s_death(
    make_ray_engine: Callable[..., Engine], pipe: Path, action: str
) -> None:
    """Its task reads ``cancelled``, and has a view."""
    task = {"name": "t", "action": action, "input": {"pipe": str(pipe)}, "retry": {"count": 3}}
    result = cancelled_when_told(make_ray_engine(*ALL), json.dumps({"tasks": [task]}), pipe, running=True)

    assert (result.status, result.result) == ("cancelled", {"error": "Workflow cancelled", "succeeded": False})
    assert result.task("t").status == "cancelled"
    assert result.task("t").result == {"succeeded": False, "cancelled": True, "error": "Execution cancelled by user"}


def test_the_policy_of_the_workflow_stops_what_runs_on_ray(make_ray_engine: Callable[..., Engine], pipe: Path) -> None:
    """Nobody has to say so; items that did not end have neither succeeded nor failed."""
    task = {
        "name": "t",
        "action": "control.hold",
        "with_items": [1, 2, 3, 4],
        "concurrency": 1,
        "input": {"pipe": str(pipe)},
    }
    source = json.dumps({"cancellation_policy": "cancel_running", "tasks": [task]})
    view = cancelled_when_told(make_ray_engine(*ALL), source, pipe).task("t").result

    assert view is not None
    assert (view["total_count"], view["succeeded_count"], view["failed_count"]) == (4, 0, 0)
    assert list(view["results"]) == [None] * 4


def test_items_that_had_ended_keep_their_results_when_their_worker_is_killed(
    make_ray_engine: Callable[..., Engine], pipe: Path
) -> None:
    """Those of the same chunk as the one that had to be stopped."""
    task = {
        "name": "t",
        "action": "control.hold_one",
        "with_items": list(range(6)),
        "concurrency": 1,
        "input": {"pipe": str(pipe), "x": "{{ item }}"},
    }
    result = cancelled_when_told(make_ray_engine(*ALL), json.dumps({"tasks": [task]}), pipe, running=True)
    view = result.task("t").result

    assert view is not None
    assert (result.status, view["succeeded_count"], view["failed_count"]) == ("cancelled", 3, 0)
    assert list(view["results"]) == [0, 1, 2, None, None, None]


def test_a_cancel_goes_down_to_what_a_sub_workflow_runs_on_ray(
    make_ray_engine: Callable[..., Engine], pipe: Path
) -> None:
    """Through a parallel group, whose other task keeps what it came to."""
    inner = {"tasks": [{"name": "t", "action": "control.hold", "input": {"pipe": str(pipe)}}]}
    call, quick = {"name": "call", "action": "w.inner"}, {"name": "quick", "action": "core.noop"}
    group = {"name": "both", "type": "parallel", "tasks": [call, quick]}
    engine = make_ray_engine(*ALL, workflows={"w.inner": json.dumps(inner)})
    result = cancelled_when_told(engine, json.dumps({"tasks": [group]}), pipe, running=True)
    view = result.task("both").result

    assert (result.status, result.task("both").status, engine.live) == ("cancelled", "cancelled", [])
    assert view is not None
    assert (view["cancelled"], view["call"]["cancelled"], view["quick"]["succeeded"]) == (True, True, True)


class Pausing:
    """Pauses its run twice, when a chunk has ended, and resumes it as soon as nothing of it is in flight."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.view: RunView | None = None
        self.requests: list[Event] = []
        self.n_pauses = 0
        self.is_to_resume = False

    def started(self, view: RunView) -> None:
        """Follow it."""
        self.view = view

    def saw(self, run_id: str, event: Event) -> None:
        """Ask for something where it is time."""
        assert self.engine is not None
        assert self.view is not None
        if isinstance(event, PauseRequested | ResumeRequested):
            self.requests.append(event)
        is_idle = not any(run.fan_out and run.fan_out.in_flight for run in self.view.state.live.values())
        if self.is_to_resume and self.view.state.paused and is_idle:
            self.is_to_resume = False
            self.engine.resume(run_id)
        elif isinstance(event, ChunkDone) and not self.is_to_resume and self.n_pauses < 2:
            self.is_to_resume = True
            self.n_pauses += 1
            self.engine.pause(run_id)

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Nothing."""

    def ended(self, run_id: str, status: str) -> None:
        """Nothing."""


def test_a_fan_out_that_was_paused_gives_every_result_once(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings, tmp_path: Path
) -> None:
    """Twice, with nothing in flight in between: no item is lost, and none runs twice."""
    observer = Pausing()
    settings = replace(ray_settings, fan_out=FanOutSettings(first_chunk_items=20, max_chunk_items=50))
    engine = observer.engine = make_ray_engine(*ALL, observers=[observer], settings=settings)
    task = {
        "name": "t",
        "action": "control.note",
        "with_items": "{{ range(1000) }}",
        "input": {"file": str(tmp_path / "notes"), "x": "{{ item }}"},
    }
    result = engine.run(json.dumps({"tasks": [task]}))

    assert result.status == "completed"
    assert list(result.task("t").results) == [x * x for x in range(1000)]
    assert sorted(map(int, (tmp_path / "notes").read_text().split())) == list(range(1000))
    assert observer.requests == [PauseRequested(), ResumeRequested()] * 2
