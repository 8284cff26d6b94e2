"""The engine: one fact in, orders out."""

from typing import assert_never

from attune_ray.engine import arrivals, fan_out
from attune_ray.engine.commands import (
    CancelChunk,
    Command,
    CutTask,
    EvaluateTransitions,
    FinishRun,
    PrepareTask,
    StartTimer,
)
from attune_ray.engine.events import (
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Event,
    Outcome,
    PauseRequested,
    Request,
    ResumeRequested,
    RunStarted,
    TaskNotPrepared,
    TaskPrepared,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
)
from attune_ray.engine.pace import TICK, Pace
from attune_ray.engine.state import DUE, FanOut, RunState, TaskRun
from attune_ray.engine.status import Phase, RunStatus, TaskStatus
from attune_ray.errors import IllegalTransitionError
from attune_ray.plan import Items

__all__ = ["step"]

_STATUS_OF: dict[Outcome, TaskStatus] = {
    "succeeded": TaskStatus.COMPLETED,
    "failed": TaskStatus.FAILED,
    "timed_out": TaskStatus.TIMEOUT,
}


def step(state: RunState, event: Event) -> list[Command]:
    """Apply one fact to the run; return what the shell must do next.

    The only function that changes ``state``. O(out-degree of the task) a call, plus the chunks it sends.

    Raises:
        IllegalTransitionError: the fact is impossible here; ``state`` is unchanged.
    """
    if state.has_ended:
        return []
    match event:
        case RunStarted() if state.has_begun:
            commands = []
        case RunStarted():
            state.has_begun = True
            commands = _begin(state, arrivals.start_entries(state))
        case PauseRequested():
            commands = _pause(state)
        case ResumeRequested():
            commands = _resume(state)
        case CancelRequested():
            commands = _cancel(state, event)
        case _:
            run = _live_run(state, event)
            commands = [] if run is None else _apply(state, run, event)
    state.story.append(event)
    goes_on = state.live or not (state.has_begun or state.cancelling)
    return commands if goes_on else [*commands, _finish(state)]


def _apply(  # noqa: PLR0911  one return per kind of fact
    state: RunState,
    run: TaskRun,
    event: TimerFired | TaskSkipped | TaskNotPrepared | TaskPrepared | ChunkDone | ChunkLost | TransitionsEvaluated,
) -> list[Command]:
    match event:
        case TimerFired():
            return _timer_fired(state, run, event)
        case TaskSkipped():
            _end(state, run, TaskStatus.SKIPPED)
            return []
        case TaskNotPrepared():
            return _close(run, "failed", event.error)
        case TaskPrepared():
            return _prepared(state, run, event)
        case ChunkDone():
            return _chunk_done(state, run, event)
        case ChunkLost():
            return _chunk_lost(state, run, event)
        case TransitionsEvaluated():
            return _transitions_evaluated(state, run, event)
        case _:
            assert_never(event)


def _live_run(state: RunState, event: Event) -> TaskRun | None:
    """The task run that the fact is about; None when the fact is late: reported twice, or overtaken."""
    assert not isinstance(event, RunStarted | Request)  # noqa: S101  narrows the union
    run = state.live.get(event.run)
    if run is None:
        known = state.tasks.get(event.run.task)
        if known is None or not 0 < event.run.number <= known.n_runs:
            raise IllegalTransitionError(_story(state, event, "a task run that never started"))
        return None
    due_in, here = _ORDER[_phase_of(event)], _ORDER[run.phase]
    if due_in > here or (due_in == here and run.held is not None) or _is_unknown(run, event):
        held = ", and its order is held" if run.held is not None else ""
        raise IllegalTransitionError(_story(state, event, f"{run.id} is {run.phase.value}{held}"))
    if due_in < here or _is_repeated(run, event):
        return None
    if fault := _fault(state, run, event):
        raise IllegalTransitionError(_story(state, event, fault))
    return run


_ORDER = {phase: place for place, phase in enumerate(Phase)}
_PHASE_OF = {kind: phase for phase, kinds in DUE.items() for kind in kinds}


def _phase_of(event: Event) -> Phase:
    """The one phase in which a fact about a task run is due."""
    if isinstance(event, TimerFired):
        return Phase.DELAYED if event.chunk is None else Phase.RUNNING
    return _PHASE_OF[type(event)]


def _is_unknown(run: TaskRun, event: Event) -> bool:
    """Whether a fact is about a chunk that was never made."""
    chunk = getattr(event, "chunk", None)
    if isinstance(event, TimerFired) and chunk == TICK:
        return run.fan_out is not None and run.fan_out.pace is None
    return chunk is not None and run.fan_out is not None and not 0 < chunk <= run.fan_out.n_chunks


def _is_repeated(run: TaskRun, event: Event) -> bool:
    """Whether a fact of the right kind has been applied already, or its chunk has been withdrawn."""
    held = run.fan_out
    if isinstance(event, ChunkDone | ChunkLost):
        return held is None or event.chunk not in held.in_flight
    if isinstance(event, TimerFired) and event.chunk == TICK:
        return held is None or held.pace is None or not held.pace.is_ticking
    if isinstance(event, TimerFired) and event.chunk is not None:
        return held is None or event.chunk not in held.waiting
    return False


def _fault(state: RunState, run: TaskRun, event: Event) -> str | None:
    """Why a fact cannot be, though it is due: its figures do not fit what was ordered."""
    match event:
        case ChunkDone() if run.fan_out is not None:
            return _fault_of_figures(run.fan_out, event)
        case ChunkLost() if run.fan_out is not None:
            return _fault_of_loss(run.fan_out, event)
        case TransitionsEvaluated():
            n_transitions = len(state.plan_of(run.id).task.next)
            if not all(0 <= place < n_transitions for place in event.fired):
                return f"{run.id} has {n_transitions} transitions"
        case TaskPrepared() if event.n_items < 0 or event.shape.lanes < 1:
            return f"{run.id} cannot have {event.n_items} items on {event.shape.lanes} lanes"
        case TaskPrepared() if event.only is not None and not set(event.only) <= set(range(event.n_items)):
            return f"{run.id} has {event.n_items} items, and not all of those that are to run"
    return None


def _fault_of_figures(held: FanOut, event: ChunkDone) -> str | None:
    items: Items = held.in_flight[event.chunk].items
    n_ended, least = event.n_succeeded + event.n_failed, 0 if held.stopped else 1
    if min(event.n_succeeded, event.n_failed) < 0 or not least <= n_ended <= len(items):
        return f"chunk {event.chunk} has {len(items)} items"
    return _fault_of_retries(items[:n_ended], event)


def _fault_of_loss(held: FanOut, event: ChunkLost) -> str | None:
    items, ended = set(held.in_flight[event.chunk].items), set(event.ended)
    if len(ended) != len(event.ended) or event.n_succeeded + event.n_failed != len(ended):
        return f"chunk {event.chunk} cannot have ended as counted"
    if not ended <= items or not set(event.running or ()) <= items - ended:
        return f"these are not the items of chunk {event.chunk}"
    return _fault_of_retries(event.ended, event)


def _fault_of_retries(ended: Items, event: ChunkDone | ChunkLost) -> str | None:
    if not event.retryable:
        return None
    known = ended if isinstance(ended, range) else frozenset(ended)
    again = frozenset(event.retryable)
    if len(again) < len(event.retryable) or len(again) > event.n_failed or any(index not in known for index in again):
        return f"these items of chunk {event.chunk} did not fail"
    return None


def _begin(state: RunState, runs: list[TaskRun]) -> list[Command]:
    """What a new task run needs first: its delay, or to be prepared."""
    commands: list[Command] = []
    for run in runs:
        task = state.plan_of(run.id).task
        if task.delay_s > 0:
            run.phase = Phase.DELAYED
            commands += _order(state, run, StartTimer(run.id, None, task.delay_s))
        else:
            commands += _order(state, run, PrepareTask(run.id))
    return commands


def _order(state: RunState, run: TaskRun, order: StartTimer | PrepareTask) -> list[Command]:
    """Give the order that a task run needs to go on, or hold it until the run is resumed."""
    if state.paused:
        run.held = order
        return []
    return [order]


def _timer_fired(state: RunState, run: TaskRun, event: TimerFired) -> list[Command]:
    if run.phase is Phase.DELAYED:
        run.phase = Phase.PREPARING
        return _order(state, run, PrepareTask(run.id))
    held = _held(state, run, event)
    fan_out.timer_fired(held, event)
    return _feed(state, run, held)


def _prepared(state: RunState, run: TaskRun, event: TaskPrepared) -> list[Command]:
    pace = Pace.of(state.plan_of(run.id).task.rate_limit)
    run.fan_out = held = FanOut(event.n_items, event.shape, event.nature, pace)
    run.phase = Phase.RUNNING
    if event.only is not None:
        fan_out.limit(held, event.only)
    if state.cancelling:
        fan_out.stop(held)
    return _go_on(state, run, held)


def _chunk_done(state: RunState, run: TaskRun, event: ChunkDone) -> list[Command]:
    held = _held(state, run, event)
    commands = fan_out.chunk_done(run, held, state.plan_of(run.id), event)
    return [*commands, *_go_on(state, run, held)]


def _chunk_lost(state: RunState, run: TaskRun, event: ChunkLost) -> list[Command]:
    held = _held(state, run, event)
    commands = fan_out.chunk_lost(run, held, state.plan_of(run.id), event, max_crashes=state.max_crashes)
    return [*commands, *_go_on(state, run, held)]


def _go_on(state: RunState, run: TaskRun, held: FanOut) -> list[Command]:
    """Send the next chunks, or close the task run when all its items have ended."""
    if not held.is_over:
        return _feed(state, run, held)
    if state.cancelling and held.n_left_out:
        return _cut(state, run)
    return _close(run, fan_out.outcome_of(held, state.plan_of(run.id)), None)


def _feed(state: RunState, run: TaskRun, held: FanOut) -> list[Command]:
    """Send what is due, unless the run is paused."""
    return [] if state.paused else fan_out.feed(run, held)


def _close(run: TaskRun, outcome: Outcome, error: str | None) -> list[Command]:
    run.phase, run.outcome = Phase.ENDING, outcome
    return [EvaluateTransitions(run.id, outcome, error)]


def _transitions_evaluated(state: RunState, run: TaskRun, event: TransitionsEvaluated) -> list[Command]:
    """Start what follows: targets of the fired transitions, each once, then who waited for the data."""
    transitions = state.plan_of(run.id).task.next
    names = dict.fromkeys(name for place in event.fired for name in transitions[place].do)
    handled, started = False, []
    for name in names:
        counted, new = arrivals.arrive(state, run, name)
        handled |= counted
        started += new
    outcome = run.outcome or "failed"
    _end(state, run, _STATUS_OF[outcome])
    if outcome != "succeeded" and not handled:
        state.unhandled.add(run.id.task)
        return _begin(state, started)
    state.unhandled.discard(run.id.task)
    return _begin(state, [*started, *arrivals.release_waiting(state, run.id.task)])


def _end(state: RunState, run: TaskRun, status: TaskStatus) -> None:
    run.phase = Phase.ENDED
    state.tasks[run.id.task].status = status
    del state.live[run.id]


def _cut(state: RunState, run: TaskRun) -> list[Command]:
    """End a task run before its end."""
    _end(state, run, TaskStatus.CANCELLED)
    return [CutTask(run.id)]


def _pause(state: RunState) -> list[Command]:
    if state.status is RunStatus.RUNNING:
        state.status = RunStatus.PAUSED
    return []


def _resume(state: RunState) -> list[Command]:
    """Give what was held, in the order in which it would have been."""
    if not state.paused:
        return []
    state.status = RunStatus.RUNNING
    commands: list[Command] = []
    for run in state.live.values():
        if run.held is not None:
            commands.append(run.held)
            run.held = None
        elif run.fan_out is not None and run.phase is Phase.RUNNING:
            commands += fan_out.feed(run, run.fan_out)
    return commands


def _cancel(state: RunState, event: CancelRequested) -> list[Command]:
    """Start nothing more; cut what has not begun and what only waits, let what works finish or stop it."""
    natures = set() if state.cancelling else {"wait"}
    natures |= {"work"} if event.running and not state.stopping else set()
    state.status = RunStatus.CANCELLING
    state.stopping |= event.running
    commands: list[Command] = []
    for run in list(state.live.values()):
        is_before_work = run.phase is Phase.DELAYED or (run.phase is Phase.PREPARING and state.stopping)
        if run.held is not None or is_before_work:
            commands += _cut(state, run)
        elif run.fan_out is not None and run.phase is Phase.RUNNING:
            fan_out.stop(run.fan_out)
            if run.fan_out.is_over:
                commands += _cut(state, run)
            elif run.fan_out.nature in natures:
                commands += _stop_chunks(state, run, run.fan_out)
    return commands


def _stop_chunks(state: RunState, run: TaskRun, held: FanOut) -> list[Command]:
    """Stop what is in flight, except for a failure that is being stored: no worker runs it."""
    return [CancelChunk(run.id, chunk.id) for chunk in held.in_flight.values() if chunk.crashes < state.max_crashes]


def _finish(state: RunState) -> FinishRun:
    """Nothing is live: the run has ended."""
    unmet = arrivals.unmet_joins(state)
    failed = [name for name in state.plan.tasks if name in state.unhandled]
    reasons = [f"{len(failed)} task(s) failed: {', '.join(failed)}"] if failed else []
    reasons += [f"join never met: {', '.join(unmet)}"] if unmet else []
    reasons += [f"more than {state.max_task_runs} task runs"] if state.limit_hit else []
    if state.cancelling:
        state.status = RunStatus.CANCELLED
        return FinishRun(state.status, "Workflow cancelled")
    state.status = RunStatus.FAILED if reasons else RunStatus.COMPLETED
    return FinishRun(state.status, f"Workflow failed: {'; '.join(reasons)}" if reasons else None)


def _held(state: RunState, run: TaskRun, event: Event) -> FanOut:
    if run.fan_out is None:
        raise IllegalTransitionError(_story(state, event, f"{run.id} has no items"))
    return run.fan_out


def _story(state: RunState, event: Event, reason: str) -> str:
    told = [str(past) for past in state.story]
    return f"{reason}, but it was told {event}; before that: {'; '.join(told) or 'nothing'}"
