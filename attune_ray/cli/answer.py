"""``attune-ray answer``: answer a question of a run. What is imported at the top is there for ``validate`` as well."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.options import DEFAULT_STATE, Run, State, kept_settings
from attune_ray.cli.parameters import MAX_BYTES, parse_value
from attune_ray.cli.problems import render_all
from attune_ray.cli.source import STDIN, read_text
from attune_ray.errors import InvalidParametersError, UsageError
from attune_ray.observe.text import question

if TYPE_CHECKING:
    from attune_ray.records import Asked

__all__ = ["answer"]

_MOST_LISTED = 10


def answer(
    run: Run,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TASK] RESPONSE",
            help="The task that asks, where several do; the response: JSON where it is, else text; - reads stdin.",
            show_default=False,
        ),
    ],
    *,
    index: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of the item that asks.")] = None,
    state: State = DEFAULT_STATE,
) -> None:
    """Answer what a run asks.

    That is a task with core.ask; from any process, and also while nobody runs the run.
    """
    from attune_ray.cli.kept import KeptRuns, is_live  # noqa: PLC0415  imports the engine: not for `validate`
    from attune_ray.dispatch.ask import Question  # noqa: PLC0415

    *named, text = words
    if len(named) > 1:
        raise UsageError("a response is one word or in quotes: attune-ray answer RUN [TASK] RESPONSE")
    kept = KeptRuns(kept_settings(state), state)
    line = kept.line(run)
    if line.ended_at is not None:
        raise UsageError(f"run {run} has ended ({line.status}): it asks nothing any more")
    asked = _one_of(kept.archive.questions(run), run, named[0] if named else None, index)
    response = parse_value(read_text(STDIN, what="the response", most_bytes=MAX_BYTES) if text == STDIN else text)
    known = Question(
        run_id=asked.run_id,
        task=asked.task,
        task_run=asked.task,
        index=asked.index,
        prompt=asked.prompt,
        response_schema=asked.response_schema,
    )
    try:
        kept.archive.answer(asked.key, known.check(response))
    except InvalidParametersError as error:
        typer.echo(render_all(error.problems, {}), err=True)
        raise typer.Exit(ExitCode.INVALID) from error
    hears = "" if is_live(line) else f"; it hears of it when it goes on: `{kept.how('resume', run)}`"
    typer.echo(f"task {asked.task} of run {asked.run_id} is answered{hears}")


def _one_of(asked: "Sequence[Asked]", run_id: str, task: str | None, index: int | None) -> "Asked":
    """The question that is meant.

    Raises:
        UsageError: there is none, or several may be.
    """
    fitting = [each for each in asked if task in {None, each.task, each.task.partition("#")[0]}]
    fitting = [each for each in fitting if index is None or each.index == index]
    if len(fitting) == 1:
        return fitting[0]
    if not asked:
        raise UsageError(f"run {run_id} asks nothing")
    open_ones = [question(each.run_id, _place(each), each.prompt) for each in (fitting or asked)[:_MOST_LISTED]]
    told = "asks that several times, say which" if fitting else "asks nothing like that"
    raise UsageError("\n  ".join([f"run {run_id} {told}; open questions:", *open_ones]))


def _place(asked: "Asked") -> str:
    return asked.task if asked.index is None else f"{asked.task} --index {asked.index}"
