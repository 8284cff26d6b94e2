"""Plain lines: not too many, and harmless."""

import io

from engine_driver import Driver

from attune_ray.cli.lines import PlainLines
from attune_ray.engine import CancelRequested, ChunkDone, PauseRequested, ResumeRequested, RunStarted, SubmitChunk
from attune_ray.plan import Shape
from attune_ray.ports import RunView

FAN_OUT = "tasks: [{name: check, action: a.b, with_items: '{{ x }}', tolerate: 1}]\nvars: {x: [1]}"


def test_a_fan_out_writes_at_most_one_line_a_second() -> None:
    """However many chunks end."""
    driver, out, now_s = Driver(FAN_OUT), io.StringIO(), 100.0
    lines = PlainLines("title\x1b[1m", out, clock=lambda: now_s)
    lines.started(RunView("r1", driver.state.plan, driver.state))
    lines.saw("r1", RunStarted())
    driver.prepare("check", 1000, Shape(lanes=8))
    lines.saw("r1", driver.state.story[-1])
    for _ in range(4):
        now_s += 0.4
        order = driver.take(SubmitChunk)
        assert isinstance(order, SubmitChunk)
        event: ChunkDone = driver.done(order, failed=0)
        driver.tell(event)
        lines.saw("r1", event)

    written = out.getvalue().splitlines()

    assert written[:2] == ["run r1: title\\x1b[1m", "check: started, 1,000 items"]
    assert len(written) == 3
    assert written[2].startswith("check: ")
    assert " of 1,000 items, " in written[2]
    assert written[2].endswith(" left")


def test_a_pause_its_end_and_a_cancellation_are_told_once() -> None:
    """Also those that nobody at this terminal has asked for; asking again changes nothing."""
    driver, out = Driver(FAN_OUT), io.StringIO()
    lines = PlainLines("title", out)
    lines.started(RunView("r1", driver.state.plan, driver.state))
    for event in (RunStarted(), PauseRequested(), PauseRequested(), ResumeRequested(), CancelRequested(running=False)):
        driver.tell(event)
        lines.saw("r1", event)

    assert [line for line in out.getvalue().splitlines() if line.startswith("run r1: ")][1:] == [
        "run r1: paused; what runs is finished, nothing new starts",
        "run r1: resumed",
        "run r1: cancelling",
    ]
