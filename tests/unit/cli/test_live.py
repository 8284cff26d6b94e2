"""The view for terminals: what it says of the run itself."""

import io

import pytest
from engine_driver import Driver
from rich.console import Console

from attune_ray.cli.live import LiveView
from attune_ray.engine import CancelRequested, PauseRequested, Request
from attune_ray.ports import RunView


@pytest.mark.parametrize(
    ("asked", "shown"), [(None, []), (PauseRequested(), ["paused"]), (CancelRequested(running=False), ["cancelling"])]
)
async def test_a_run_that_does_not_just_run_says_so(asked: Request | None, shown: list[str]) -> None:
    """In its head line."""
    driver, out = Driver("tasks: [{name: a, action: t.x}]"), io.StringIO()
    if asked is not None:
        driver.tell(asked)
    view = LiveView("title", Console(file=out, force_terminal=True, width=80))
    view.started(RunView("r1", driver.state.plan, driver.state))
    view.close()

    assert [word for word in ("paused", "cancelling", "running") if word in out.getvalue()] == shown
