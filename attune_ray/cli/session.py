"""One run for a person: the engine, the view, the signals and the report around it."""

import asyncio
import contextlib
import logging
import shlex
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attune_ray.bootstrap import Engine
from attune_ray.cli.exits import ExitCode
from attune_ray.cli.interrupts import Interrupts
from attune_ray.cli.launch import Launch
from attune_ray.cli.printing import Printer
from attune_ray.cli.report import warnings
from attune_ray.cli.streams import OutputError
from attune_ray.cli.view import View, open_view
from attune_ray.coordinator import RunResult
from attune_ray.dispatch.cluster import address_of
from attune_ray.engine import Event
from attune_ray.errors import EngineError, FencedError, StateError, UsageError
from attune_ray.model import Workflow
from attune_ray.observe.recording import Recording
from attune_ray.observe.report import render_memory, save_summary
from attune_ray.observe.text import harmless
from attune_ray.ports import Observer, RunView
from attune_ray.settings import Settings, StateSettings

__all__ = ["Session"]

_Work = Callable[[Engine], Coroutine[Any, Any, RunResult]]
_Prepare = Callable[[Engine], Iterable[object]]


@dataclass(slots=True, kw_only=True)
class Session:
    """What the command line asks of a run.

    Attributes:
        state: where it is kept; None: nowhere.
        memray: the folder for recordings of memory; None: there is none.
        how: the command of a verb and its arguments, for where the run is kept.
        begun: the id of the run, from its begin on; ``has_ended``: nothing more happens in it.
    """

    launch: Launch
    printer: Printer
    state: StateSettings | None = None
    memray: Path | None = None
    how: Callable[..., str] = field(default=lambda *words: " ".join(("attune-ray", *words)))
    begun: str | None = field(init=False, default=None)
    has_ended: bool = field(init=False, default=False)

    def run(self, workflow: Workflow | str, parameters: dict[str, Any], *, run_id: str | None = None) -> ExitCode:
        """Run a workflow, or the one of that reference, and report what became of it.

        Raises:
            WorkflowError: the workflow or its parameters are wrong.
            UsageError: an action source, the address or the folder is.
            StateError: what happens cannot be kept.
        """

        def prepare(engine: Engine) -> Iterable[object]:
            known = _known(engine, workflow) if isinstance(workflow, str) else workflow
            engine.plan(known)
            told = () if isinstance(workflow, str) else workflow.warnings  # else its pack has told them
            return [*engine.warnings, *told]

        return self._perform(
            _title(workflow), lambda engine: engine.arun(workflow, parameters, run_id=run_id), prepare=prepare
        )

    def resume(self, run_id: str, title: str) -> ExitCode:
        """Go on with a run that is kept, and whose coordinator is dead. Errors: as of ``run``."""
        return self._perform(title, lambda engine: engine.recover(run_id))

    def rerun(self, old_id: str, title: str, *, from_task: str | None, run_id: str | None) -> ExitCode:
        """Repeat a part of a run that has ended, as a new one. Errors: as of ``run``."""
        return self._perform(title, lambda engine: engine.rerun(old_id, from_task=from_task, new_id=run_id))

    def _perform(self, title: str, work: _Work, *, prepare: _Prepare = lambda engine: engine.warnings) -> ExitCode:
        view = open_view(title, quiet=self.printer.quiet, is_kept=self.state is not None)
        recording = None if self.memray is None else Recording(self.memray)
        settings = Settings(
            ray=self.launch.ray, state=self.state, recording=None if recording is None else recording.settings
        )
        observers: list[Observer] = [_Beginning(self), *([recording.progress] if recording else [])]
        engine = self.launch.engine(settings, [*observers, view])
        interrupts = Interrupts(engine, view, last_words=lambda: None if self.has_ended else self._last_words())
        with _logging_to(view), interrupts.caught(), self._interruption(view), engine, contextlib.closing(view):
            for line in warnings(map(str, prepare(engine))):
                view.say(line)
            with recording or contextlib.nullcontext():
                if address_of(settings.ray) is not None:
                    engine.connect()  # a wrong address is the usage's fault, not that of a task
                code, workers = self._run(interrupts.watched(work(engine)), view)
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
        try:
            code = self.printer.result(result, view)
        except OutputError as error:
            if self.begun is not None and self.state is not None and not error.is_closed:
                view.say(f"run {self.begun} has ended ({result.status.value}) and is kept; {self._how_to_print()}")
            raise
        workers = {worker for task in result.tasks.values() for worker in task.stats.workers if worker}
        return code, workers

    @contextlib.contextmanager
    def _interruption(self, view: View) -> Iterator[None]:
        """Say of a run that has not ended how to go on with it."""
        try:
            yield
        except FencedError:  # somebody else goes on with it
            raise
        except (StateError, EngineError):
            if (words := self._last_words()) is not None:
                view.say(words)
            raise

    def _how_to_print(self) -> str:
        return f"`{self.how('resume', self.begun)}` prints what it came to"

    def _last_words(self) -> str | None:
        if self.begun is None or self.state is None:
            return None
        return f"run {self.begun} is interrupted; `{self.how('resume', self.begun)}` goes on with it"

    def _report_memory(self, recording: Recording, workers: set[str], view: View) -> None:
        """Report what was recorded, when the workers have ended; a report that fails leaves the run as it was."""
        try:
            report = recording.report(workers)
            self.printer.text(render_memory(report), view)
            save_summary(report)
        except (OSError, UsageError) as error:
            view.say(harmless(f"no memory report: {error}"))
        except KeyboardInterrupt:  # the run has ended, and its exit code is its own
            again = shlex.join(["attune-ray", "memory", str(recording.folder)])
            view.say(harmless(f"the memory report was interrupted; `{again}` makes it"))


@dataclass(frozen=True, slots=True)
class _Beginning:
    """An observer that tells its session of the run's begin and end."""

    session: Session

    def started(self, view: RunView) -> None:
        """From now on the run is kept."""
        self.session.begun = view.run_id

    def saw(self, run_id: str, event: Event) -> None:
        """Nothing."""

    def warned(self, run_id: str, warning: str) -> None:
        """Nothing."""

    def asked(self, run_id: str, task: str, prompt: str) -> None:
        """Nothing."""

    def ended(self, run_id: str, status: str) -> None:  # noqa: ARG002  as the port has it
        """From now on nothing can interrupt it."""
        self.session.has_ended = True


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
