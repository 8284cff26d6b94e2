"""What of a context, and of an earlier fan-out's results, is decoded or moved on real Ray: counted, not timed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import ray

from attune_ray import Engine, RunResult, action
from attune_ray.dispatch import executor, remote

pytestmark = pytest.mark.ray

N_ITEMS = 10_000
N_BYTES = 1_000


@action("copied.make")
def make(n: int) -> dict[str, Any]:
    """A result of about a kilobyte."""
    return {"n": n, "filler": "x" * N_BYTES}


@action("copied.number")
def number(x: Any) -> int:
    """The number in a result."""
    found: int = x["n"]
    return found


@action("copied.echo")
def echo(x: Any) -> Any:
    """What it was given."""
    return x


@pytest.fixture
def engine(make_ray_engine: Callable[..., Engine]) -> Engine:
    """An engine that knows the actions above."""
    return make_ray_engine(make, number, echo)


def tasks(*lines: str) -> str:
    """A workflow of tasks that run one after the other."""
    found = [f"{{{line}, next: [{{do: [t{place + 1}]}}]}}" for place, line in enumerate(lines[:-1])]
    return "tasks:\n" + "".join(f"  - {line}\n" for line in [*found, f"{{{lines[-1]}}}"])


def decoded_and_workers(run: RunResult, *names: str) -> tuple[int, int]:
    """Bytes of context that some tasks made workers decode, and how many processes ran them."""
    stats = [run.task(name).stats for name in names]
    return sum(each.context_bytes_decoded for each in stats), len(set[str]().union(*(each.workers for each in stats)))


def texts_of(values: Any) -> int:
    """Bytes of some values as they are stored."""
    return sum(len(json.dumps(value, separators=(",", ":"))) for value in values)


def test_a_result_does_not_travel_with_its_reference(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it stay in the coordinator's heap: small ones do, as Ray has it."""
    specs: list[Any] = []
    make = executor.RayExecutor._spec  # noqa: SLF001
    monkeypatch.setattr(executor.RayExecutor, "_spec", lambda *given: specs.append(make(*given)) or specs[-1])
    text = "x" * 60_000

    run = engine.run(
        tasks(
            f"name: t0, action: copied.echo, input: {{x: {text}}}",
            "name: t1, action: copied.echo, with_items: [1, 2], input: {x: '{{ length(task.t0.result) + item }}'}",
        )
    )

    context = ray._private.worker.global_worker.get_serialization_context()  # noqa: SLF001
    assert list(run.task("t1").results) == [60_001, 60_002]
    assert context.serialize(specs[-1]).total_bytes < 10_000


READS = {
    "all of them": "{{ length(task.t0.results) + sum([1, 2]) + item + length(string(task.t0.results)) }}",
    "one by its index": "{{ task.t0.results[item].n }}",
    "the same for each": "{{ task.t0.results[7].n }}",
    "a part of them": "{{ task.t0.results[10:20] | length }}",
}


@pytest.mark.parametrize("template", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("n_made", [12, 500])
def test_rows_of_a_fan_out_are_decoded_at_most_once_per_worker(engine: Engine, template: str, n_made: int) -> None:
    """However they are read, by three fan-outs; small results travel in place, large ones in the object store."""
    reads = [
        f"name: t{place}, action: copied.echo, with_items: '{{{{ range(12) }}}}', input: {{x: '{template}'}}"
        for place in (1, 2, 3)
    ]
    made = f"name: t0, action: copied.make, with_items: '{{{{ range({n_made}) }}}}', input: {{n: '{{{{ item }}}}'}}"

    run = engine.run(tasks(made, *reads))

    assert run.status == "completed", run.result
    decoded, n_workers = decoded_and_workers(run, "t1", "t2", "t3")
    assert 0 < decoded <= n_workers * texts_of(run.task("t0").results)


@pytest.mark.parametrize("n_bytes", [200, 300_000])
def test_a_plain_result_is_decoded_at_most_once_per_worker(engine: Engine, n_bytes: int) -> None:
    """By items that are made of it and by templates of three fan-outs, wherever it travels."""
    reads = [
        f"name: t{place}, action: copied.echo, with_items: '{{{{ range(length(task.t0.x)) }}}}', "
        "input: {x: '{{ task.t0.x[item].n }}'}"
        for place in (1, 2, 3)
    ]
    made = "name: t0, action: copied.echo, input: {x: {x: '{{ parameters.x }}'}}"
    xs = [{"n": n, "filler": "x" * (n_bytes // 20)} for n in range(20)]

    run = engine.run(tasks(made, *reads), {"x": xs})

    assert run.status == "completed", run.result
    decoded, n_workers = decoded_and_workers(run, "t1", "t2", "t3")
    stored = dict(run.task("t0").result or {})
    stored.pop("x")  # which the view has lifted out of its data
    assert 0 < decoded <= n_workers * texts_of([stored])


def test_items_from_an_earlier_fan_out_do_not_pass_through_the_coordinator(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched, only what describes the actions is put, and what workers tell is small."""
    counted: dict[str, list[int]] = {"get": [], "put": [], "told": []}
    real_get, real_put, real_answer = ray.get, ray.put, remote.answer_of
    monkeypatch.setattr(ray, "get", lambda *refs: (counted["get"].append(1), real_get(*refs))[1])
    monkeypatch.setattr(ray, "put", lambda *values: (counted["put"].append(1), real_put(*values))[1])
    monkeypatch.setattr(remote, "answer_of", lambda told: (counted["told"].append(len(told)), real_answer(told))[1])
    made = f"name: t0, action: copied.make, with_items: '{{{{ range({N_ITEMS}) }}}}', input: {{n: '{{{{ item }}}}'}}"

    run = engine.run(
        tasks(
            made,
            "name: t1, action: copied.make, with_items: '{{ task.t0.results }}', input: {n: '{{ item.n }}'}",
            "name: t2, action: copied.number, with_items: '{{ task.t1.results }}', input: {x: '{{ item }}'}",
        )
    )

    assert run.status == "completed", run.result
    assert (counted["get"], len(counted["put"])) == ([], 1)
    assert sum(counted["told"]) < 500 * len(counted["told"])
    assert decoded_and_workers(run, "t1", "t2")[0] == 0
    assert list(run.task("t2").results) == list(range(N_ITEMS))
