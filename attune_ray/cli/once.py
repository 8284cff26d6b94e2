"""Running once what is asked for again: a run that is known is given back, waited for, or gone on with."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attune_ray.bootstrap.kept import check_same
from attune_ray.cli.exits import ExitCode
from attune_ray.cli.kept import KeptRuns, is_live
from attune_ray.cli.printing import Printer
from attune_ray.cli.session import Session
from attune_ray.cli.telling import settings_of, told
from attune_ray.cli.view import Silent
from attune_ray.errors import StateError, UsageError
from attune_ray.model import Workflow
from attune_ray.observe.text import harmless, moment, run_line
from attune_ray.records import RunBegun
from attune_ray.store.standing import INTERRUPTED

if TYPE_CHECKING:
    from attune_ray.store.archive import RunLine

__all__ = ["given_back", "rerun_once", "run_once"]

_BETWEEN_LOOKS_S = 1.0


def run_once(
    session: Session, kept: KeptRuns | None, workflow: Workflow | str, given: dict[str, Any], *, run_id: str | None
) -> ExitCode:
    """Run a workflow, unless that has been done under this id. Errors: as of ``Session.run``.

    Args:
        kept: None: nothing is.
        run_id: None: a new one.
    """
    if kept is None or run_id is None:
        return session.run(workflow, given)
    if kept.find(run_id) is None:
        try:
            return session.run(workflow, given, run_id=run_id)
        except StateError:
            if session.begun is not None or kept.find(run_id) is None:
                raise  # else another process has begun it a moment before
    begun = kept.archive.begun(run_id)
    is_same = isinstance(workflow, str) and begun.launch.get("reference") == workflow
    check_same(begun, workflow.text if isinstance(workflow, Workflow) else begun.text if is_same else "", given)
    session.state = settings_of(kept, begun)
    return _again(kept, run_id, session.printer, lambda: session.resume(run_id, begun.title))


def rerun_once(
    session: Session, kept: KeptRuns, begun: RunBegun, *, from_task: str | None, run_id: str | None
) -> ExitCode:
    """Repeat a part of a run, unless that has been done under this id. Errors: as of ``Session.rerun``.

    Args:
        begun: of the run that is repeated.
        run_id: of the new one; None: any.
    """
    known = None if run_id is None else kept.find(run_id)
    if known is not None and known.rerun_of != begun.run_id:
        raise UsageError(f"run {known.id} is not a part of run {begun.run_id} repeated: take another id")
    if known is not None:
        return _again(kept, known.id, session.printer, lambda: session.resume(known.id, begun.title))
    part = "what failed" if from_task is None else f"task {from_task}, with all that follows it,"
    Silent().say(harmless(f"{part} of run {begun.run_id} is repeated"))
    return session.rerun(begun.run_id, begun.title, from_task=from_task, run_id=run_id)


def _again(kept: KeptRuns, run_id: str, printer: Printer, go_on: Callable[[], ExitCode]) -> ExitCode:
    """What becomes of a run that is known: its result, once it has one.

    Args:
        go_on: is called where no coordinator has it.
    """
    line = kept.line(run_id)
    if is_live(line):
        line = _awaited(kept, line)
    if line.status == INTERRUPTED:
        return go_on()
    return ExitCode.CANCELLED if is_live(line) else given_back(kept, run_id, printer)


def given_back(kept: KeptRuns, run_id: str, printer: Printer) -> ExitCode:
    """Print what a run that has ended came to, as if it just had."""
    found, knows_secrets = told(kept, run_id)
    result, ended = found.result, found.history.ended
    view = Silent()
    view.say(run_line(run_id, found.history.begun.title))
    if ended is not None:
        view.say(f"run {run_id} has ended, at {moment(ended.at)}; this is what it came to")
        result.output = {name: value for name, value in ended.shown.items() if name in result.output}
        result.result = dict(ended.shown)
    return printer.result(result, view, hides_items=not knows_secrets)


def _awaited(kept: KeptRuns, line: "RunLine") -> "RunLine":
    """A run that another process has, when that one has let go of it; or when nobody wants to wait any more."""
    view = Silent()
    view.say(run_line(line.id, line.title))
    view.say(f"run {line.id} is {line.status} in another process; waiting for its end, Ctrl-C ends the waiting alone")
    try:
        while is_live(line):
            time.sleep(_BETWEEN_LOOKS_S)
            line = kept.line(line.id)
    except KeyboardInterrupt:
        view.say(f"no longer waiting; run {line.id} goes on")
    return line
