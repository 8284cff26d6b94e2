"""One run for a person: the engine, the view, the signals and the report around it."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from attune_ray.bootstrap import Engine
from attune_ray.cli.exits import ExitCode
from attune_ray.cli.interrupts import Interrupts
from attune_ray.cli.report import failures, summary, to_json, warnings
from attune_ray.cli.view import View, open_view
from attune_ray.coordinator import RunResult
from attune_ray.engine import RunStatus
from attune_ray.errors import UsageError
from attune_ray.model import Workflow
from attune_ray.observe.recording import Recording
from attune_ray.observe.report import render_memory, save_summary
from attune_ray.observe.text import harmless
from attune_ray.ports import Observer
from attune_ray.settings import Settings

__all__ = ["Session"]

_CODES = {RunStatus.COMPLETED: ExitCode.COMPLETED, RunStatus.CANCELLED: ExitCode.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the command line asks of a run.

    Attributes:
        actions: module names and paths of .py files.
        packs: folders of packs; ``config``: a file of their configuration; ``keystore``: a file of secrets.
        out: where results go; all else goes to standard error.
        memray: the folder for recordings of memory; None: there is none.
    """

    actions: list[str]
    packs: list[str]
    config: str | None
    keystore: str | None
    settings: Settings
    out: TextIO
    as_json: bool = False
    quiet: bool = False
    memray: Path | None = None

    def run(self, workflow: Workflow | str, parameters: dict[str, Any]) -> ExitCode:
        """Run a workflow, or the one of that reference, and report what became of it.

        Raises:
            WorkflowError: the workflow or its parameters are wrong.
            UsageError: an action source, the address or the folder is.
        """
        view = open_view(_title(workflow), quiet=self.quiet)
        recording = None if self.memray is None else Recording(self.memray)
        observers: list[Observer] = [view] if recording is None else [view, recording.progress]
        engine = Engine(
            actions=self.actions,
            packs=self.packs,
            config=self.config,
            keystore=self.keystore,
            settings=self.settings if recording is None else replace(self.settings, recording=recording.settings),
            observers=observers,
        )
        found = list(engine.warnings)
        if isinstance(workflow, str):
            workflow = _known(engine, workflow)  # its pack has told its warnings
        else:
            found += workflow.warnings
        interrupts = Interrupts(engine, view)
        with _logging_to(view), interrupts.caught(), engine, contextlib.closing(view):
            engine.plan(workflow)
            for line in warnings(map(str, found)):
                view.say(line)
            with recording or contextlib.nullcontext():
                if self.settings.ray.address is not None:
                    engine.connect()  # a wrong address is the usage's fault, not that of a task
                code, workers = self._run(interrupts.watched(engine.arun(workflow, parameters)), view)
        if recording is not None:
            self._report_memory(recording, workers, view)
        return code

    def _run(self, work: Coroutine[Any, Any, RunResult], view: View) -> tuple[ExitCode, set[str]]:
        """Run and report; the result is let go of before Ray ends, so that none of it needs to be brought here.

        Returns:
            The exit code, and the workers that ran something.
        """
        result = asyncio.run(work)
        view.close()
        if self.as_json:
            self._print_json(result.secrets.masked(result.result))
        elif not self.quiet:
            self._print(summary(result), view)
            for line in warnings(map(result.secrets.mask, result.warnings)):
                view.say(line)
        for line in failures(result):
            view.say(line)
        if result.output and not self.as_json:
            self._print_json(result.secrets.masked(result.output))
        workers = {worker for task in result.tasks.values() for worker in task.stats.workers if worker}
        return _CODES.get(result.status, ExitCode.FAILED), workers

    def _report_memory(self, recording: Recording, workers: set[str], view: View) -> None:
        """Report what was recorded, when the workers have ended; a report that fails leaves the run as it was."""
        try:
            report = recording.report(workers)
            self._print(render_memory(report), view)
            save_summary(report)
        except (OSError, UsageError) as error:
            view.say(harmless(f"no memory report: {error}"))

    def _print(self, text: str, view: View) -> None:
        """A part of the report; standard output is kept clean where only the result belongs on it."""
        if self.as_json or self.quiet:
            view.say(text)
        else:
            self.out.write(f"{text}\n")
            self.out.flush()

    def _print_json(self, value: Any) -> None:
        utf8 = (self.out.encoding or "").lower().replace("-", "") == "utf8"
        self.out.write(to_json(value, ascii_only=not utf8) + "\n")
        self.out.flush()


def _title(workflow: Workflow | str) -> str:
    return workflow if isinstance(workflow, str) else workflow.label or workflow.ref or Path(workflow.source).name


def _known(engine: Engine, ref: str) -> Workflow:
    if ref not in engine.workflows:
        known = ", ".join(sorted(engine.workflows)) or "none"
        raise UsageError(f"{ref} is neither a file nor a workflow of the packs; they have: {known}")
    return engine.workflows[ref]


@contextlib.contextmanager
def _logging_to(view: View) -> Iterator[None]:
    """Show errors that we log; warnings of the run are in its report."""
    log, handler = logging.getLogger("attune_ray"), _Lines(view)
    log.addHandler(handler)
    propagated, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = propagated
        log.removeHandler(handler)


class _Lines(logging.Handler):
    """Log records as lines of the view."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.ERROR)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._view.say(harmless(line))
