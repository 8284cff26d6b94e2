"""Any workflow, told any facts in any order, keeps its promises and comes to an end."""

import json
from collections import Counter
from copy import deepcopy
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from attune_ray.engine import (
    CancelChunk,
    CancelRequested,
    ChunkDone,
    ChunkLost,
    Command,
    CutTask,
    EvaluateTransitions,
    Event,
    FailChunk,
    FinishRun,
    PauseRequested,
    PrepareTask,
    Request,
    ResumeRequested,
    RunStarted,
    RunState,
    StartTimer,
    SubmitChunk,
    TaskNotPrepared,
    TaskPrepared,
    TaskRunId,
    TaskSkipped,
    TimerFired,
    TransitionsEvaluated,
    step,
)
from attune_ray.engine.state import Round
from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import parse_workflow
from attune_ray.plan import Plan, Shape, build

MAX_TASK_RUNS = 25
SHAPES = st.builds(
    Shape,
    lanes=st.integers(1, 4),
    width=st.none() | st.integers(1, 6),
    lane_width=st.integers(1, 3),
    first_items=st.integers(1, 5),
    max_items=st.integers(1, 5),
)
ROUGHLY_HALF = st.booleans()
NATURES = st.sampled_from(["work", "work", "wait", "run"])


@st.composite
def workflows(draw: st.DrawFn) -> Plan:
    """Small graphs: a tree of tasks, and any transitions besides, forward or back."""
    n_tasks = draw(st.integers(1, 6))
    names = [f"t{number}" for number in range(n_tasks)]
    edges: list[set[str]] = [set() for _ in names]
    n_entries = draw(st.integers(1, min(2, n_tasks)))
    for number in range(n_entries, n_tasks):
        edges[draw(st.integers(0, number - 1))].add(names[number])
    if n_tasks > n_entries:
        more = st.tuples(st.integers(0, n_tasks - 1), st.integers(n_entries, n_tasks - 1))
        for source, target in draw(st.lists(more, max_size=6)):
            edges[source].add(names[target])
    n_inbound = Counter(name for targets in edges for name in targets)
    tasks = [draw(_tasks(name, edges[place], n_inbound[name], names)) for place, name in enumerate(names)]
    try:
        return build(parse_workflow(json.dumps({"tasks": tasks})))
    except InvalidWorkflowError:
        assume(False)  # an entry task that waits for the data of what can only run after it
        raise


@st.composite
def _tasks(draw: st.DrawFn, name: str, targets: set[str], n_inbound: int, names: list[str]) -> dict[str, Any]:
    task: dict[str, Any] = {"name": name, "action": "t.x", "input": {"x": 1}}
    if targets:
        task["next"] = [{"do": target} for target in sorted(targets)]
    if n_inbound > 1 and draw(ROUGHLY_HALF):
        task["join"] = draw(st.integers(1, n_inbound) | st.just("all"))
    if not n_inbound and draw(st.integers(0, 3)) == 0:
        task["input"] = {"x": f"{{{{ task.{draw(st.sampled_from(names))}.x }}}}"}
    if draw(ROUGHLY_HALF):
        task["with_items"] = "{{ parameters.xs }}"
        task["tolerate"] = draw(st.integers(0, 2) | st.sampled_from(["29%", "50%"]))
        task["on_item_error"] = draw(st.sampled_from(["continue", "stop"]))
    if draw(ROUGHLY_HALF):
        task["retry"] = {"count": draw(st.integers(1, 2)), "delay": draw(st.sampled_from([0, 5]))}
    task["delay"] = draw(st.sampled_from([0, 0, 3]))
    return task


class EngineMachine(RuleBasedStateMachine):
    """Answers the orders of one run in any order, in any way, more than once; pauses, resumes and cancels it."""

    @initialize(plan=workflows())
    def begin(self, plan: Plan) -> None:
        """Start a run."""
        self.plan = plan
        self.state = RunState(plan, MAX_TASK_RUNS, max_crashes=2)
        self.open: list[Command] = []
        self.told: list[tuple[Event, list[Command]]] = []
        self.rounds: set[tuple[str, Round]] = set()
        self.succeeded: dict[TaskRunId, set[int]] = {}
        self.arrived: dict[str, set[str]] = {name: set() for name in plan.tasks}
        self.n_finished = 0
        self.tell(RunStarted())

    # what happens

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Some orders are carried out, well or badly."""
        for _ in range(data.draw(st.integers(1, 6))):
            if self.open:
                self._answer(data)
                self.holds_its_invariants()
                self.goes_on_or_has_ended()
                self.starts_on_time()

    def _answer(self, data: st.DataObject) -> None:
        order = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        match order:
            case StartTimer():
                self.tell(TimerFired(order.run, order.chunk))
            case PrepareTask():
                self.tell(data.draw(self._preparations(order)))
            case SubmitChunk() if data.draw(st.integers(0, 4)) == 0:
                self._lose(order, data)
            case SubmitChunk():
                self._report(order, data)
            case FailChunk():
                self.tell(ChunkDone(order.run, order.chunk.id, n_succeeded=0, n_failed=len(order.chunk.items)))
            case EvaluateTransitions():
                self._end(order, data)
            case _:
                raise AssertionError(f"an order of another kind: {order}")

    @rule(data=st.data())
    def report_again(self, data: st.DataObject) -> None:
        """Any fact may come twice, however late; a request that comes again is a new one."""
        event = data.draw(st.sampled_from([event for event, _ in self.told if not isinstance(event, Request)]))
        before = deepcopy(self.state, {id(self.plan): self.plan})

        assert step(self.state, event) == []
        before.story = self.state.story
        assert self.state == before

    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        """Somebody wants nothing new to start; what runs goes on, as far as it comes."""
        self.tell(PauseRequested())
        if data.draw(ROUGHLY_HALF):
            while self.open:
                self._answer(data)
                self.holds_its_invariants()
                self.goes_on_or_has_ended()

    @rule()
    def resume(self) -> None:
        """Somebody wants it to go on, paused or not."""
        self.tell(ResumeRequested())

    @precondition(lambda self: len(self.told) > 4)
    @rule(is_meant=st.integers(0, 3), running=st.booleans())
    def cancel(self, *, is_meant: int, running: bool) -> None:
        """Somebody wants the run to end, now and then."""
        if is_meant == 3:
            self.tell(CancelRequested(running))

    # what always holds

    @invariant()
    def holds_its_invariants(self) -> None:
        """As the theory has them."""
        self.state.validate()

    @invariant()
    def goes_on_or_has_ended(self) -> None:
        """A run whose orders are all answered has ended, once, or is paused; one that has ended leaves only timers."""
        has_ended = self.state.has_ended

        assert self.n_finished == has_ended
        assert self.open or has_ended or self.state.paused
        if has_ended:
            assert all(isinstance(order, StartTimer) for order in self.open)

    @invariant()
    def starts_on_time(self) -> None:
        """A task on no loop has started, once, if and only if those that it needs have arrived."""
        if self.state.cancelling or self.state.limit_hit:
            return
        for name, task in self.plan.tasks.items():
            if not task.loops and name not in self.plan.entries:
                assert self.state.tasks[name].n_runs == (len(self.arrived[name]) >= task.needs)

    def teardown(self) -> None:
        """Let the run end; then the same facts give the same orders, also to a state that was set aside."""
        if not hasattr(self, "state"):
            return
        self.tell(ResumeRequested())
        while self.open:
            self._answer_plainly(self.open.pop(0))
            self.holds_its_invariants()
            self.goes_on_or_has_ended()
        half = len(self.told) // 2
        replayed = RunState(self.plan, MAX_TASK_RUNS, max_crashes=2)
        for event, commands in self.told[:half]:
            assert step(replayed, event) == commands
        resumed = deepcopy(replayed, {id(self.plan): self.plan})
        for state in (replayed, resumed):
            for event, commands in self.told[half:]:
                assert step(state, event) == commands
            state.story = self.state.story
            assert state == self.state

    # how it is told

    def tell(self, event: Event) -> None:
        """Apply a fact and look at what it orders."""
        commands = step(self.state, event)
        self.told.append((event, commands))
        for command in commands:
            assert not (self.state.paused and _starts(command))
            match command:
                case FinishRun():
                    assert command is commands[-1]
                    self.n_finished += 1
                case CancelChunk():
                    assert self._is_in_flight(command.run, command.chunk)
                case CutTask():
                    self._cut(command.run)
                case SubmitChunk():
                    self._sent(command)
                    self.open.append(command)
                case PrepareTask() | StartTimer(chunk=None):
                    self._started(command.run)
                    self.open.append(command)
                case EvaluateTransitions():
                    self._ended(command)
                    self.open.append(command)
                case _:
                    self.open.append(command)

    def _cut(self, run: TaskRunId) -> None:
        """Nothing of it is in flight; its preparation may be, and is dropped."""
        own = [order for order in self.open if not isinstance(order, FinishRun) and order.run == run]
        assert all(isinstance(order, PrepareTask | StartTimer) for order in own)
        self.open = [order for order in self.open if order not in own]

    def _is_in_flight(self, run: TaskRunId, chunk: int) -> bool:
        return any(
            isinstance(order, SubmitChunk) and (order.run, order.chunk.id) == (run, chunk) for order in self.open
        )

    def _started(self, run: TaskRunId) -> None:
        """A task starts once a round."""
        if run in self.succeeded:
            return  # its delay is over
        self.succeeded[run] = set()
        place = run.task, self.state.live[run].round
        assert place not in self.rounds
        self.rounds.add(place)

    def _sent(self, order: SubmitChunk) -> None:
        """No item is sent while it is out, after it has succeeded, or after its fan-out was stopped."""
        out = {
            index
            for other in self.open
            if isinstance(other, SubmitChunk) and other.run == order.run
            for index in other.chunk.items
        }
        fan_out = self.state.live[order.run].fan_out
        assert fan_out is not None
        assert not fan_out.stopped
        assert not out & set(order.chunk.items)
        assert not self.succeeded[order.run] & set(order.chunk.items)

    def _ended(self, order: EvaluateTransitions) -> None:
        """Each item was counted once, and the outcome is what they make it."""
        fan_out = self.state.live[order.run].fan_out
        if fan_out is None:
            assert order.outcome == "failed"
            return
        tolerate = self.plan.tasks[order.run.task].tolerate
        share = Fraction(str(tolerate.share)) * fan_out.n_items
        assert fan_out.n_succeeded == len(self.succeeded[order.run])
        assert fan_out.n_succeeded + fan_out.n_failed + fan_out.n_left_out == fan_out.n_items
        assert not fan_out.n_left_out or fan_out.stopped
        assert (order.outcome == "failed") == (fan_out.n_failed > max(tolerate.items, share // 1))

    def _preparations(self, order: PrepareTask) -> st.SearchStrategy[Event]:
        n_items = st.integers(0, 9) if self.plan.tasks[order.run.task].is_fan_out else st.just(1)
        prepared = st.builds(TaskPrepared, st.just(order.run), n_items, SHAPES, NATURES)
        refused = st.sampled_from([TaskSkipped(order.run), TaskNotPrepared(order.run, "no such action")])
        return st.one_of(prepared, prepared, prepared, prepared, refused)

    def _report(self, order: SubmitChunk, data: st.DataObject) -> None:
        """Some items succeed, some fail, some of these may be tried again, and time may be up before the last."""
        ended = order.chunk.items[: data.draw(st.integers(1, len(order.chunk.items)))]
        failed = data.draw(st.sets(st.sampled_from(ended))) if data.draw(ROUGHLY_HALF) else set()
        retryable = data.draw(st.sets(st.sampled_from(sorted(failed)))) if failed else set()
        self.succeeded[order.run] |= set(ended) - failed
        self.tell(
            ChunkDone(
                order.run,
                order.chunk.id,
                n_succeeded=len(ended) - len(failed),
                n_failed=len(failed),
                retryable=tuple(sorted(retryable)),
                retry_after_s=data.draw(st.sampled_from([None, None, 0.0, 1.0])),
                elapsed_s=data.draw(st.floats(0, 1)),
            )
        )

    def _lose(self, order: SubmitChunk, data: st.DataObject) -> None:
        """A worker dies; of some of its items it has told that they ended, and of others that they ran."""
        items = list(order.chunk.items)
        ended = data.draw(st.lists(st.sampled_from(items), unique=True))
        rest = [item for item in items if item not in ended]
        running = data.draw(st.lists(st.sampled_from(rest), unique=True)) if rest and data.draw(ROUGHLY_HALF) else None
        failed = data.draw(st.sets(st.sampled_from(ended))) if ended else set()
        retryable = data.draw(st.sets(st.sampled_from(sorted(failed)))) if failed else set()
        self.succeeded[order.run] |= set(ended) - failed
        self.tell(
            ChunkLost(
                order.run,
                order.chunk.id,
                "it died",
                ended=tuple(ended),
                running=None if running is None else tuple(running),
                n_succeeded=len(ended) - len(failed),
                n_failed=len(failed),
                retryable=tuple(sorted(retryable)),
            )
        )

    def _end(self, order: EvaluateTransitions, data: st.DataObject) -> None:
        transitions = self.plan.tasks[order.run.task].transitions
        fired = [place for place, _ in enumerate(transitions) if data.draw(st.integers(0, 3))]
        for place in fired:
            for name in transitions[place].do:
                self.arrived[name].add(order.run.task)
        self.tell(TransitionsEvaluated(order.run, tuple(fired)))

    def _answer_plainly(self, order: Command) -> None:
        """Everything succeeds, and leads nowhere."""
        match order:
            case StartTimer():
                self.tell(TimerFired(order.run, order.chunk))
            case PrepareTask():
                self.tell(TaskPrepared(order.run, 1, Shape(lanes=1)))
            case SubmitChunk() | FailChunk():
                self.succeeded[order.run] |= set(order.chunk.items)
                self.tell(ChunkDone(order.run, order.chunk.id, n_succeeded=len(order.chunk.items)))
            case EvaluateTransitions():
                self.tell(TransitionsEvaluated(order.run, ()))


def _starts(order: Command) -> bool:
    """Whether an order starts something new."""
    return isinstance(order, PrepareTask | SubmitChunk) or (isinstance(order, StartTimer) and order.chunk is None)


EngineMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestEngine = EngineMachine.TestCase
