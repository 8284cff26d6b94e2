"""A folder where command lines are started and their runs are kept; the actions wait for a gate and leave marks."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_driver import CommandLine

from attune_ray.cli.kept import KeptRuns
from attune_ray.cli.options import kept_settings
from attune_ray.cli.telling import told

__all__ = ["Desk", "desk"]

_PATIENCE_S = 60
ACTIONS = """
import asyncio, os, time
import attune_ray
from attune_ray.errors import PermanentError

GATE, EFFECTS, FLAG = os.environ["T_GATE"], os.environ["T_EFFECTS"], os.environ["T_FLAG"]

def mark(text):
    file = os.open(EFFECTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{text}\\n".encode())
    os.close(file)

@attune_ray.action("t.gated", inline=True)
async def gated(x):
    if x < 4:
        await asyncio.sleep(0.6)  # so that the time of the first chunk is up with these
    while x >= 4 and not os.path.exists(GATE):
        await asyncio.sleep(0.01)
    mark(x)
    return {"x": x}

@attune_ray.action("t.gated_on_ray")
def gated_on_ray(x):
    while x >= 4 and not os.path.exists(GATE):
        time.sleep(0.01)
    mark(x)
    return {"x": x}

@attune_ray.action("t.even", inline=True)
async def even(x):
    if x % 2 and not os.path.exists(FLAG):
        raise PermanentError(f"odd \\x1b[31m")
    mark(x)
    return x
"""
GATED = """
label: gated
tasks:
  - name: each
    action: t.gated
    with_items: "{{ range(8) }}"
    concurrency: 2
    input: {x: "{{ item }}"}
    next: [{do: end}]
  - {name: end, action: core.echo, input: {message: "{{ length(task.each.results) }} done"}}
output_map: {said: "{{ task.end.stdout }}", all: "{{ task.each.results }}"}
"""
EVEN = """
label: even
tasks:
  - name: each
    action: t.even
    with_items: "{{ range(12) }}"
    input: {x: "{{ item }}"}
    next: [{when: "{{ succeeded() }}", do: end}]
  - {name: end, action: core.echo, input: {message: "all"}}
output_map: {all: "{{ task.each.results }}"}
"""
ASKING = """
label: asking
tasks:
  - name: approve
    action: core.ask
    input: {prompt: "go on?", response_schema: {ok: {type: boolean, required: true}}}
    next: [{do: end}]
  - {name: end, action: core.echo, input: {message: "{{ task.approve.data.response.ok }}"}}
output_map: {said: "{{ task.end.stdout }}"}
"""


@dataclass
class Desk:
    """Starts command lines in one folder; ``environment`` says where their runs are kept."""

    folder: Path
    state: str
    started: list[CommandLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Lay out the files."""
        texts = {"acts.py": ACTIONS, "gated.yaml": GATED, "even.yaml": EVEN, "asking.yaml": ASKING}
        for name, text in texts.items():
            (self.folder / name).write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command line."""
        places = {name: str(self.folder / name.lower()) for name in ("T_GATE", "T_EFFECTS", "T_FLAG")}
        return {"ATTUNE_STATE": self.state, **places}

    @property
    def kept(self) -> KeptRuns:
        """What is kept."""
        return KeptRuns(kept_settings(self.state), self.state)

    def start(self, *arguments: str, folder: Path | None = None) -> CommandLine:
        """Start a command line."""
        self.started.append(CommandLine(arguments, folder or self.folder, self.environment))
        return self.started[-1]

    def call(self, *arguments: str, folder: Path | None = None) -> tuple[int, str, str]:
        """Run a command line to its end: exit code, standard output, standard error."""
        return self.start(*arguments, folder=folder).end()

    def run(self, workflow: str, run_id: str, *more: str) -> CommandLine:
        """Start a run of a workflow with its actions."""
        return self.start("run", workflow, "--actions", "acts.py", "--run-id", run_id, *more)

    def call_json(self, *arguments: str) -> Any:
        """What a command line prints, as JSON."""
        code, out, err = self.call(*arguments)
        assert code == 0, err
        return orjson.loads(out)

    def interrupted(self, workflow: str = "gated.yaml", run_id: str = "r1") -> None:
        """A run whose process was killed while items 4 and 5 were under way."""
        command = self.run(workflow, run_id)
        self.until_half(run_id)
        os.kill(command.process.pid, signal.SIGKILL)
        command.end()

    def n_ended(self, run_id: str) -> int:
        """Items that have ended in a run's fan-out, as far as is kept."""
        if self.kept.find(run_id) is None:
            return 0
        found = told(self.kept, run_id)[0].result.task("each").result
        return 0 if found is None else found["succeeded_count"] + found["failed_count"]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that another process does."""
        never, end_s = threading.Event(), time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < end_s, "it did not come to that"
            never.wait(0.05)

    def until_half(self, run_id: str) -> None:
        """Wait until half of the items of a gated run have ended."""
        self.until(lambda: self.n_ended(run_id) == 4)

    def until_status(self, run_id: str, status: str) -> None:
        """Wait until a run stands like this."""
        self.until(lambda: (line := self.kept.find(run_id)) is not None and line.status == status)

    def open_gate(self) -> None:
        """Let the items go on that wait."""
        (self.folder / "t_gate").touch()

    @property
    def effects(self) -> Counter[str]:
        """What the actions have done, and how often."""
        path = self.folder / "t_effects"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()

    def close(self) -> None:
        """Kill what still runs."""
        for command in self.started:
            for pid, _ in command.descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if command.process.stdout is not None and not command.process.stdout.closed:
                command.end()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose runs are kept in a folder of its own."""
    made = Desk(tmp_path, str(tmp_path / "state"))
    yield made
    made.close()
