"""Fan-outs over real Ray workers: order, width, context, timeouts, retries, and what a run leaves behind."""

import asyncio
import gc
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine, RunResult, Settings, action
from attune_ray.dispatch import executor
from attune_ray.errors import PermanentError, TransientError, WorkerCrashedError
from attune_ray.settings import FanOutSettings

pytestmark = pytest.mark.ray


def note(log: str, text: str) -> None:
    """Append a line, whole, from any process."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{text}\n".encode())
    finally:
        os.close(file)


def most_at_once(log: Path) -> int:
    """The largest number of items that had entered and not left, by the order of the lines."""
    inside = most = 0
    for line in log.read_text().split():
        inside += 1 if line == "enter" else -1
        most = max(most, inside)
    assert inside == 0
    return most


@action("work.square")
def square(x: int) -> int:
    """On the worker's main thread."""
    return x * x


@action("work.square_async")
async def square_async(x: int) -> int:
    """In the worker's event loop; later items end first."""
    await asyncio.sleep((7 - x % 7) / 2_000)
    return x * x


@action("work.square_blocking", blocking=True)
def square_blocking(x: int) -> int:
    """In threads of the worker."""
    time.sleep((7 - x % 7) / 2_000)
    return x * x


@action("work.visit")
def visit(log: str) -> None:
    """Be inside for some milliseconds."""
    note(log, "enter")
    time.sleep(0.004)
    note(log, "leave")


@action("work.visit_async")
async def visit_async(log: str) -> None:
    """Be inside for some milliseconds."""
    note(log, "enter")
    await asyncio.sleep(0.02)
    note(log, "leave")


@action("work.visit_blocking", blocking=True)
def visit_blocking(log: str) -> None:
    """Be inside for some milliseconds."""
    note(log, "enter")
    time.sleep(0.02)
    note(log, "leave")


@action("work.table")
def table(n_bytes: int) -> dict[str, Any]:
    """A large result with a small part in it."""
    return {"key": "k", "filler": "x" * n_bytes}


@action("work.echo")
def echo(x: Any) -> Any:
    """What it was given."""
    return x


@action("work.big")
def big(n: int, n_bytes: int) -> str:
    """A large text that begins with its number."""
    return f"{n}:".ljust(n_bytes, "x")


@action("work.length")
def length(text: str) -> list[Any]:
    """The beginning of a text, and how long it is."""
    return [text[:2], len(text)]


@action("work.third_time")
def third_time(x: int, log: str, kind: str) -> int:
    """Odd items fail twice, in the way that is asked for."""
    note(log, str(x))
    n_attempts = Path(log).read_text().split().count(str(x))
    if x % 2 and n_attempts <= 2:
        raise {"transient": TransientError("busy", delay_s=0.01), "permanent": PermanentError("never")}.get(
            kind, ValueError("once more")
        )
    return x


@action("work.spin")
def spin(x: int) -> int:
    """One item never ends, and is busy."""
    while x == 3:
        pass
    return x


@action("work.spin_async")
async def spin_async(x: int) -> int:
    """One item holds up the event loop for ever."""
    while x == 3:
        pass
    return x


@action("work.wait_async")
async def wait_async(x: int) -> int:
    """One item waits for ever."""
    if x == 3:
        await asyncio.Event().wait()
    return x


@action("work.wait_blocking", blocking=True)
def wait_blocking(x: int) -> int:
    """One item waits for ever in its thread."""
    if x == 0:
        threading.Event().wait()
    return x


@action("work.deaf")
def deaf(x: int) -> int:
    """One item does not listen to what ends it."""
    while x == 1:
        with suppress(BaseException):
            time.sleep(10)
    return x


@action("work.append")
def append(xs: list[int]) -> list[int]:
    """Changes what it was given."""
    xs.append(len(xs))
    return xs


@action("work.hold", blocking=True)
def hold(pipe: str) -> None:
    """Tell that it has begun, then never end."""
    Path(pipe).write_text("begun")
    threading.Event().wait()


ALL = [value for value in list(globals().values()) if hasattr(value, "__attune_action__")]


@pytest.fixture
def engine(make_ray_engine: Callable[..., Engine]) -> Engine:
    """An engine that knows the actions above."""
    return make_ray_engine(*ALL)


def fan_out(engine: Engine, ref: str, items: str, parameters: dict[str, Any] | None = None, **task: Any) -> RunResult:
    """Run a workflow of one fan-out, ``f``."""
    task = {"input": {"x": "{{ item }}"}, **task}
    return engine.run(json.dumps({"tasks": [{"name": "f", "action": ref, "with_items": items, **task}]}), parameters)


@pytest.mark.parametrize("ref", ["work.square", "work.square_async", "work.square_blocking"])
def test_results_are_in_item_order_whichever_way_an_action_runs(engine: Engine, ref: str) -> None:
    """Sync, async and blocking actions; every item once."""
    task = fan_out(engine, ref, "{{ range(400) }}").task("f")

    assert list(task.results) == [number * number for number in range(400)]
    assert (task.results[-1], task.results[7:9], len(task.results)) == (399 * 399, [49, 64], 400)
    assert (task.stats.n_items, task.stats.n_failed) == (400, 0)
    assert 1 <= len(task.stats.workers) <= 2


@pytest.mark.parametrize(
    ("ref", "width", "reached"),
    [
        ("work.visit", 1, 1),
        ("work.visit", 5, 2),
        ("work.visit_async", 1, 1),
        ("work.visit_async", 7, 7),
        ("work.visit_blocking", 3, 3),
    ],
)
def test_never_more_items_run_at_once_than_concurrency_says(
    engine: Engine, tmp_path: Path, ref: str, width: int, reached: int
) -> None:
    """Counted over all workers; and as many as there are slots for do."""
    log = tmp_path / "log"

    run = fan_out(engine, ref, "{{ range(60) }}", concurrency=width, input={"log": str(log)})

    assert run.task("f").stats.n_failed == 0
    assert Counter(log.read_text().split()) == {"enter": 60, "leave": 60}
    assert most_at_once(log) <= width
    assert most_at_once(log) == reached


def test_concurrency_may_be_a_template(engine: Engine, tmp_path: Path) -> None:
    """It is rendered when the task starts."""
    log = tmp_path / "log"

    fan_out(
        engine,
        "work.visit_async",
        "{{ range(20) }}",
        {"wide": 3},
        concurrency="{{ parameters.wide }}",
        input={"log": str(log)},
    )

    assert most_at_once(log) == 3


def test_async_items_run_many_at_once_in_one_worker(engine: Engine, tmp_path: Path) -> None:
    """Without a bound of the author's, far more than there are processes."""
    log = tmp_path / "log"

    fan_out(engine, "work.visit_async", "{{ range(200) }}", input={"log": str(log)})

    assert most_at_once(log) >= 50


def test_a_result_is_decoded_at_most_once_per_worker(engine: Engine) -> None:
    """However many items, chunks and fan-outs read a part of it."""
    n_bytes = 300_000
    run = engine.run(
        f"""
        tasks:
          - {{name: t, action: work.table, input: {{n_bytes: {n_bytes}}}}}
          - {{name: f, action: work.echo, with_items: '{{{{ range(3000) }}}}',
              input: {{x: '{{{{ task.t.key }}}}{{{{ item }}}}'}}, next: [{{do: [g]}}]}}
          - {{name: g, action: work.echo, with_items: '{{{{ range(3000) }}}}',
              input: {{x: '{{{{ task.t.key }}}}{{{{ item }}}}'}}}}
        """
    )

    first, second = run.task("f"), run.task("g")
    assert first.results[2999] == second.results[2999] == "k2999"
    decoded = first.stats.context_bytes_decoded + second.stats.context_bytes_decoded
    assert n_bytes <= decoded <= len(first.stats.workers | second.stats.workers) * (n_bytes + 1_000)


def test_nothing_is_decoded_of_a_context_that_nobody_names(engine: Engine) -> None:
    """A result and a parameter of some size stand by, and cost nothing."""
    run = engine.run(
        """
        tasks:
          - {name: t, action: work.table, input: {n_bytes: 300000}, next: [{do: [f]}]}
          - {name: f, action: work.echo, with_items: '{{ range(100) }}', input: {x: '{{ item }}'}}
        """,
        {"large": "y" * 300_000},
    )

    assert run.task("f").stats.context_bytes_decoded == 0


def test_fan_outs_of_one_version_share_what_was_put(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters are put once for three fan-outs; what describes each comes back from who makes its items."""
    put: list[Any] = []
    real = executor.put
    monkeypatch.setattr(executor, "put", lambda value: (put.append(value), real(value))[1])
    names = ["a", "b", "c"]
    tasks = [
        {
            "name": name,
            "action": "work.echo",
            "with_items": "{{ range(3) }}",
            "input": {"x": "{{ parameters.large[item] }}"},
        }
        for name in names
    ]

    run = engine.run(json.dumps({"tasks": tasks}), {"large": ["x" * 10_000] * 3})

    assert run.status.value == "completed"
    assert [len(value) for value in put if type(value).__name__ == "ndarray"] == [len('{"large":["","",""]}') + 30_000]
    assert not [value for value in put if type(value).__name__ == "Spec"]


def test_a_fan_out_may_run_over_the_results_of_another(engine: Engine) -> None:
    """Failed items of the first are null for the second."""
    run = engine.run(
        """
        tasks:
          - {name: first, action: work.square, with_items: [1, 2, null, 4], input: {x: '{{ item }}'}}
          - {name: second, action: work.echo, with_items: '{{ task.first.results }}', input: {x: ['{{ item }}']},
             when: '{{ true }}'}
        """
    )
    assert run.task("second").status.value == "not_run"

    run = engine.run(
        """
        tasks:
          - {name: first, action: work.square, with_items: [1, 2, null, 4], input: {x: '{{ item }}'}, tolerate: 1}
          - {name: second, action: work.echo, with_items: '{{ task.first.results }}', input: {x: ['{{ item }}']}}
        """
    )
    assert list(run.task("second").results) == [[1], [4], [None], [16]]


@pytest.mark.parametrize("kind", ["transient", "other"])
def test_only_the_items_that_failed_are_tried_again(engine: Engine, tmp_path: Path, kind: str) -> None:
    """The others run once; a delay that an error asks for is waited for instead of the task's own."""
    log = tmp_path / "log"
    retry = {"count": 2, "delay": 0 if kind == "other" else 1_000}

    run = fan_out(
        engine,
        "work.third_time",
        "{{ range(10) }}",
        retry=retry,
        input={"x": "{{ item }}", "log": str(log), "kind": kind},
    )

    assert list(run.task("f").results) == list(range(10))
    assert Counter(map(int, log.read_text().split())) == {number: 3 if number % 2 else 1 for number in range(10)}


def test_a_permanent_error_spares_the_attempts_that_are_left(engine: Engine, tmp_path: Path) -> None:
    """Each item runs once."""
    log = tmp_path / "log"

    run = fan_out(
        engine,
        "work.third_time",
        "{{ range(10) }}",
        retry={"count": 2},
        input={"x": "{{ item }}", "log": str(log), "kind": "permanent"},
    )

    assert len(log.read_text().split()) == 10
    assert [failed["error"] for failed in run.task("f").failed_items] == ["never"] * 5


@pytest.mark.parametrize("ref", ["work.spin", "work.wait_async", "work.spin_async"])
def test_an_item_that_overruns_fails_alone(engine: Engine, ref: str) -> None:
    """A busy loop, a wait, and a busy loop that holds up the event loop."""
    task = fan_out(engine, ref, "{{ range(6) }}", timeout=0.3, concurrency=1).task("f")

    assert list(task.results) == [0, 1, 2, None, 4, 5]
    assert [(failed["index"], failed["error"]) for failed in task.failed_items] == [
        (3, "Execution timed out after 0.3 seconds")
    ]


def test_items_behind_a_thread_that_hangs_still_run(engine: Engine) -> None:
    """A thread cannot be stopped; the next item gets another one."""
    task = fan_out(engine, "work.wait_blocking", "{{ range(6) }}", timeout=0.3, concurrency=1).task("f")

    assert list(task.results) == [None, 1, 2, 3, 4, 5]


def test_a_plain_task_that_overruns_says_so(engine: Engine) -> None:
    """Its view has ``timed_out``."""
    run = engine.run("tasks: [{name: t, action: work.spin, input: {x: 3}, timeout: 0.2}]")

    view = run.task("t").result
    assert view is not None
    assert (view["error"], view["timed_out"]) == ("Execution timed out after 0.2 seconds", True)


def test_results_of_several_megabytes_arrive_whole(engine: Engine) -> None:
    """And can be read when the engine is closed."""
    run = fan_out(engine, "work.big", "{{ range(6) }}", input={"n": "{{ item }}", "n_bytes": 5_000_000})
    engine.close()

    results = run.task("f").results
    assert [(len(text), text[:2]) for text in results] == [(5_000_000, f"{number}:") for number in range(6)]


@pytest.mark.parametrize("n_items", [0, 1])
def test_a_fan_out_may_have_no_item_or_one(engine: Engine, n_items: int) -> None:
    """And so may the one over its results."""
    run = engine.run(
        """
        tasks:
          - {name: f, action: work.square, with_items: '{{ range(parameters.n) }}', input: {x: '{{ item + 3 }}'}}
          - {name: g, action: work.square, with_items: '{{ task.f.results }}', input: {x: '{{ item }}'}}
        """,
        {"n": n_items},
    )

    assert run.status.value == "completed"
    assert [list(run.task(name).results) for name in ("f", "g")] == [[9] * n_items, [81] * n_items]


def test_an_item_may_be_50_mb_that_a_task_has_made(engine: Engine) -> None:
    """Between small ones; as an element of a list, and as the result of another fan-out's item."""
    run = engine.run(
        """
        tasks:
          - {name: made, action: work.big, with_items: [10, 50000000, 20],
              input: {n: '{{ index }}', n_bytes: '{{ item }}'}}
          - {name: listed, action: work.echo, input: {x: {texts: '{{ task.made.results }}'}}}
          - {name: f, action: work.length, with_items: '{{ task.listed.texts }}', input: {text: '{{ item }}'}}
          - {name: g, action: work.length, with_items: '{{ task.made.results }}', input: {text: '{{ item }}'}}
        """
    )

    assert run.status.value == "completed", run.result
    for name in ("f", "g"):
        assert list(run.task(name).results) == [["0:", 10], ["1:", 50_000_000], ["2:", 20]]


def test_what_one_item_does_to_its_item_no_other_sees(engine: Engine) -> None:
    """Every item is decoded for itself."""
    items = "{{ [[1], [1], [1], [1]] }}"

    first = fan_out(engine, "work.append", items, input={"xs": "{{ item }}"})

    assert list(first.task("f").results) == [[1, 1]] * 4


def test_an_item_that_cannot_be_interrupted_takes_its_worker_along(
    make_ray_engine: Callable[..., Engine], ray_settings: Settings
) -> None:
    """After some grace; it has timed out all the same, and the others run elsewhere."""
    engine = make_ray_engine(*ALL, settings=replace(ray_settings, fan_out=FanOutSettings(max_crashes=1)))

    task = fan_out(engine, "work.deaf", "{{ range(3) }}", timeout=0.3).task("f")

    assert list(task.results) == [0, None, 2]
    assert task.failed_items[0]["error"] == "Execution timed out after 0.3 seconds"


def test_a_cancelled_run_stops_what_runs_on_a_worker(engine: Engine, tmp_path: Path) -> None:
    """The worker is killed, since nothing else ends a thread that waits."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def cancel() -> None:
        pipe.read_text()
        engine.cancel(running=True)

    thread = threading.Thread(target=cancel)
    thread.start()
    run = engine.run(json.dumps({"tasks": [{"name": "t", "action": "work.hold", "input": {"pipe": str(pipe)}}]}))
    thread.join()

    assert (run.status.value, run.result) == ("cancelled", {"error": "Workflow cancelled", "succeeded": False})


def test_what_a_run_has_put_is_let_go_of(engine: Engine) -> None:
    """References do not pile up with the runs of one engine: workers keep those of a few task runs."""
    import ray  # noqa: PLC0415

    def n_references() -> int:
        gc.collect()
        return len(ray._private.worker.global_worker.core_worker.get_all_reference_counts())  # noqa: SLF001

    def run_some(n_runs: int) -> None:
        for _ in range(n_runs):
            run = fan_out(
                engine,
                "work.echo",
                "{{ range(4) }}",
                {"large": "x" * 50_000},
                input={"x": "{{ parameters.large }}"},
            )
            assert run.status.value == "completed"

    run_some(40)
    before = n_references()
    run_some(40)

    assert n_references() <= before + 10


def test_many_runs_share_one_ray(engine: Engine) -> None:
    """Each with its own parameters, in one loop."""
    workflow = (
        "tasks: [{name: f, action: work.square, with_items: '{{ range(parameters.n) }}', input: {x: '{{ item }}'}}]"
    )

    async def all_of_them() -> list[RunResult]:
        return await asyncio.gather(*(engine.arun(workflow, {"n": n}) for n in range(20)))

    runs = asyncio.run(all_of_them())

    assert [list(run.task("f").results) for run in runs] == [[x * x for x in range(n)] for n in range(20)]


def test_one_run_id_twice_does_not_mix_up_the_runs(engine: Engine) -> None:
    """What a worker keeps of a task run is known by more than the name that the caller gave the run."""
    workflow = "tasks: [{name: t, action: work.echo, input: {x: '{{ parameters.x }}'}}]"

    async def twice() -> list[Any]:
        return [(await engine.arun(workflow, {"x": x}, run_id="mine")).task("t").result for x in (1, 2)]

    assert [view["data"] for view in asyncio.run(twice())] == [1, 2]


@pytest.mark.parametrize(
    "task",
    [
        "{name: f, action: work.echo, with_items: '{{ task.t.missing }}', input: {x: 1}}",
        "{name: f, action: work.echo, with_items: '{{ 1 / parameters.zero }}', input: {x: 1}}",
    ],
)
def test_items_that_have_no_value_fail_their_task(engine: Engine, task: str) -> None:
    """The run ends, and tells the expression and the reason."""
    run = engine.run(
        f"tasks: [{{name: t, action: work.echo, input: {{x: {{a: 1}}}}, next: [{{do: [f]}}]}}, {task}]", {"zero": 0}
    )

    assert run.status.value == "failed"
    assert "with_items: {{" in (run.task("f").error or "")


def test_the_item_whose_template_fails_is_named(engine: Engine) -> None:
    """With its index, the expression and the reason, wherever its chunk ran."""
    run = fan_out(engine, "work.echo", "{{ range(7313) }}", input={"x": "{{ 1 / (7312 - item) }}"})

    (failed,) = run.task("f").failed_items
    assert (failed["index"], failed["item"]) == (7312, 7312)
    assert "{{ 1 / (7312 - item) }}" in failed["error"]
    assert "zero" in failed["error"]


def test_a_parallel_group_in_a_fan_out_has_its_item_on_workers(engine: Engine) -> None:
    """What travels with the context of its tasks, large or small."""
    run = engine.run(
        """
        tasks:
        - name: each
          type: parallel
          with_items: "{{ [1, 'LARGE'] }}"
          tasks:
          - {name: one, action: work.echo, input: {x: "{{ [index, item] }}"}}
          - {name: many, action: work.echo, with_items: "{{ [item, index] }}", input: {x: "{{ item }}"}}
        """.replace("LARGE", "x" * 40_000)
    )

    views = run.task("each").results
    assert [view["one"]["data"] for view in views] == [[0, 1], [1, "x" * 40_000]]
    assert [view["many"]["results"] for view in views] == [[1, 0], ["x" * 40_000, 1]]


@pytest.mark.parametrize("n_deaths", [2, 3])
def test_items_whose_maker_dies_are_made_anew_as_often_as_an_item_would_be_tried(
    make_ray_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, n_deaths: int
) -> None:
    """It may be the victim of another task, as where memory is short; if it dies each time, its task has failed."""
    answered, deaths = executor.answered, iter(range(n_deaths))

    async def dying(refs: Any, awaited_ref: Any = None) -> tuple[Any, ...]:
        if len(refs) == 3 and next(deaths, None) is not None:
            raise WorkerCrashedError("its worker process died")
        return await answered(refs, awaited_ref)

    monkeypatch.setattr(executor, "answered", dying)
    text = "tasks: [{name: f, action: work.square, with_items: '{{ range(5) }}', input: {x: '{{ item }}'}}]"
    task = make_ray_engine(square).run(text).task("f")

    assert (task.status.value, task.error) == (
        ("completed", None) if n_deaths == 2 else ("failed", "the items could not be made: its worker process died")
    )
