"""What every executor promises: the same orders give the same results, wherever the chunks run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executor_bench import REFUSED, Bench

from attune_ray.dispatch.keeping import Recollection
from attune_ray.dispatch.worker.results import FanOutResult, PlainResult
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import AttuneError, EvaluationError, PermanentError
from attune_ray.plan import Chunk
from attune_ray.plan.chunks import widths
from attune_ray.settings import FanOutSettings, LimitSettings


async def test_a_plain_task_lifts_the_keys_of_its_data(bench: Bench) -> None:
    """``task.x.key`` is the data's; ``result`` and ``output`` are the view itself."""
    view = await bench.view("action: contract.echo, input: {x: [1, 2]}")

    assert (view["x"], view["data"], view["succeeded"], view["exit_code"]) == ([1, 2], {"x": [1, 2]}, True, 0)
    assert view["result"] is view
    assert view["output"] is view


async def test_data_that_is_no_object_is_the_result_itself(bench: Bench) -> None:
    """There is nothing to lift from a text."""
    view = await bench.view("action: contract.text")

    assert (view["data"], view["result"], view["output"]) == ("plain", "plain", "plain")


async def test_the_view_s_own_keys_win_over_those_of_the_data(bench: Bench) -> None:
    """But ``result`` is one of the data where the data has it."""
    view = await bench.view("action: contract.clash")

    assert (view["exit_code"], view["result"], view["k"]) == (0, "mine", 1)
    assert view["output"] is view


async def test_a_failed_plain_task_has_a_view_too(bench: Bench) -> None:
    """With the error, and without data."""
    view = await bench.view(f"action: contract.echo, input: {{x: {REFUSED}}}")

    assert (view["succeeded"], view["error"]) == (False, "refused")
    assert view["result"] is view
    with pytest.raises(KeyError):
        view["data"]


async def test_results_come_in_the_order_of_the_items(bench: Bench) -> None:
    """Whatever chunk ended first."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: [0, 1, 2, 3, 4, 5], input: {x: '{{ item }}'}",
        range(4, 6),
        range(2),
        range(2, 4),
    )

    view = result.view()
    assert list(view["results"]) == [{"x": number} for number in range(6)]
    assert [view["results"][place] for place in (5, 0, -2)] == [{"x": 5}, {"x": 0}, {"x": 4}]
    assert (view["total_count"], view["succeeded_count"], view["failed_count"]) == (6, 6, 0)
    assert view["result"] is view["output"] is view["results"]


async def test_a_failed_item_is_data(bench: Bench) -> None:
    """It is null among the results, and listed with its index, the item and the error."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: [5, -1, 7], input: {x: '{{ item }}'}", succeeded=False
    )

    view = result.view()
    assert list(view["results"]) == [{"x": 5}, None, {"x": 7}]
    assert list(view["failed_items"]) == [{"index": 1, "item": -1, "error": "refused"}]
    assert (view["succeeded_count"], view["failed_count"], view["succeeded"]) == (2, 1, False)
    assert view["error"] == "1 of 3 item(s) failed"


async def test_the_report_of_a_chunk_counts_and_names_what_may_be_tried_again(bench: Bench) -> None:
    """Only the counts and the indexes come back, not the results."""
    held = await bench.open(
        "action: contract.flaky, retry: {count: 1}, with_items: [5, -1, 7], input: {x: '{{ item }}', flag: /nowhere}"
    )

    (report,) = await bench.run(held, range(3))

    assert (report.n_succeeded, report.n_failed, report.retryable) == (2, 1, (1,))


async def test_an_item_that_was_tried_again_supersedes_its_first_attempt(bench: Bench, tmp_path: Path) -> None:
    """The results, the counts and the failed items tell of the last attempt."""
    flag = tmp_path / "flag"
    held = await bench.open(
        "action: contract.flaky, retry: {count: 1}, with_items: [5, -1, 7, 8],"
        f" input: {{x: '{{{{ item }}}}', flag: {flag}}}"
    )
    await bench.run(held, range(2), range(2, 4))
    flag.touch()
    await bench.run(held, (1,), attempt=2)

    view = bench.executor.result(held, succeeded=True).view()
    assert [found["x"] for found in view["results"]] == [5, -1, 7, 8]
    assert view["results"][1]["x"] == -1
    assert (view["succeeded_count"], view["failed_count"], list(view["failed_items"])) == (4, 0, [])


async def test_failed_items_are_listed_up_to_a_bound(make_bench: Callable[..., Bench]) -> None:
    """The first ones, in item order; the count stays exact."""
    bench = make_bench(limits=LimitSettings(failed_items_listed=2))
    result = await bench.fan_out(
        "action: contract.echo, with_items: [-1, 1, -1, -1, -1], input: {x: '{{ item }}'}",
        range(3, 5),
        range(3),
        succeeded=False,
    )

    view = result.view()
    assert [failed["index"] for failed in view["failed_items"]] == [0, 2]
    assert (len(view["failed_items"]), view["failed_count"]) == (2, 4)


async def test_a_detached_result_is_the_same_and_holds_no_reference(bench: Bench) -> None:
    """It can be read when its cluster is gone."""
    fan_out = await bench.fan_out(
        "action: contract.echo, with_items: '{{ parameters.xs }}', input: {x: '{{ item }}'}",
        range(2),
        range(2, 4),
        succeeded=False,
        parameters={"xs": ["ä{{ x }}", REFUSED, [], {"k": None}]},
    )
    held = await bench.open("action: contract.text")
    await bench.run(held, range(1))
    plain = bench.executor.result(held, succeeded=True)

    kept, kept_plain = fan_out.detached(), plain.detached()

    assert isinstance(kept, FanOutResult)
    assert isinstance(kept_plain, PlainResult)
    assert all(isinstance(source, LocalRows) for source in [kept_plain.source, *(part.source for part in kept.parts)])
    assert kept_plain.view() == plain.view()
    assert {name: _listed(value) for name, value in kept.view().items()} == {
        name: _listed(value) for name, value in fan_out.view().items()
    }
    assert kept.view()["results"][0] == {"x": "ä{{ x }}"}
    assert kept.detached().view()["failed_items"][0]["item"] == -1


async def test_items_that_did_not_run_are_null_and_not_listed(bench: Bench) -> None:
    """A run may end before every item had its turn."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: [-1, 1, 2, 3], input: {x: '{{ item }}'}", range(2), succeeded=False
    )

    view = result.view()
    assert list(view["results"]) == [None, {"x": 1}, None, None]
    assert [failed["index"] for failed in view["failed_items"]] == [0]
    assert len(view["failed_items"]) == 1


async def test_a_template_that_fails_on_one_item_names_it(bench: Bench) -> None:
    """With its index, the expression and the reason; the other items run."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: [{u: 1}, {}, {u: 3}], input: {x: '{{ item.u }}'}", succeeded=False
    )

    (failed,) = result.view()["failed_items"]
    assert (failed["index"], failed["item"]) == (1, {})
    assert "{{ item.u }}" in failed["error"]
    assert "'u'" in failed["error"]
    assert list(result.view()["results"]) == [{"x": 1}, None, {"x": 3}]


async def test_a_chunk_whose_time_is_up_hands_back_the_rest(make_bench: Callable[..., Bench]) -> None:
    """The first item always runs; what was not started is in no count, and another chunk may run it."""
    bench = make_bench(fan_out=FanOutSettings(target_chunk_s=0.0))
    if bench.name == "scripted":
        pytest.skip("its chunks hold one item each")
    held = await bench.open("action: contract.echo, with_items: [5, 6, 7], input: {x: '{{ item }}'}")

    (report,) = await bench.run(held, range(3))
    assert (report.n_succeeded, report.n_failed, report.retryable) == (1, 0, ())
    await bench.run(held, range(1, 2), range(2, 3))

    assert [found["x"] for found in bench.executor.result(held, succeeded=True).view()["results"]] == [5, 6, 7]


async def test_items_given_up_are_stored_as_failed(bench: Bench) -> None:
    """With the reason, beside those that ran."""
    held = await bench.open("action: contract.echo, with_items: [5, 6], input: {x: '{{ item }}'}")
    await bench.run(held, range(1))

    report = await bench.executor.fail(held, Chunk(id=9, items=range(1, 2), attempt=3), "its worker died")

    view = bench.executor.result(held, succeeded=False).view()
    assert (report.n_succeeded, report.n_failed, report.retryable) == (0, 1, ())
    assert list(view["results"]) == [{"x": 5}, None]
    assert list(view["failed_items"]) == [{"index": 1, "item": 6, "error": "its worker died"}]


async def test_a_plain_task_given_up_has_the_reason_as_its_error(bench: Bench) -> None:
    """Its view is that of a failed task."""
    held = await bench.open("action: contract.text")

    await bench.executor.fail(held, Chunk(id=0, items=range(1)), "its worker died")

    view = bench.executor.result(held, succeeded=False).view()
    assert (view["succeeded"], view["error"]) == (False, "its worker died")


def test_a_task_that_could_not_be_opened_has_a_result() -> None:
    """It failed, and says why."""
    result = Recollection().failure("no such thing")

    assert result.succeeded is False
    assert (result.view()["succeeded"], result.view()["error"]) == (False, "no such thing")


async def test_a_task_that_was_cancelled_has_a_result(bench: Bench) -> None:
    """Whether it had been opened or not; what an earlier attempt came to is not its end."""
    cancelled = {"succeeded": False, "cancelled": True, "error": "Execution cancelled by user"}
    plain = await bench.open("action: contract.text")

    assert bench.executor.result(plain, succeeded=False, cancelled=True).view() == cancelled
    assert Recollection().failure(None).view() == cancelled
    await bench.executor.fail(plain, Chunk(id=1, items=(0,)), "the first attempt")
    assert bench.executor.result(plain, succeeded=False, cancelled=True).view() == cancelled


async def test_a_fan_out_that_was_cancelled_tells_what_had_ended(bench: Bench) -> None:
    """Items that never started have neither succeeded nor failed."""
    held = await bench.open("action: contract.echo, with_items: [5, 6, 7], input: {x: '{{ item }}'}")
    await bench.executor.run(held, Chunk(id=1, items=(1,)))
    view = bench.executor.result(held, succeeded=False, cancelled=True).view()

    assert list(view["results"]) == [None, {"x": 6}, None]
    assert (view["total_count"], view["succeeded_count"], view["failed_count"], view["cancelled"]) == (3, 1, 0, True)
    assert (view["error"], list(view["failed_items"])) == ("Execution cancelled after 1 of 3 item(s)", [])


async def test_no_items_are_a_result_too(bench: Bench) -> None:
    """An empty list gives empty lists."""
    held = await bench.open("action: contract.echo, with_items: [], input: {x: 1}")

    view = bench.executor.result(held, succeeded=True).view()
    assert (held.n_items, list(view["results"]), list(view["failed_items"]), view["total_count"]) == (0, [], [], 0)


async def test_a_value_that_is_no_list_is_one_item(bench: Bench) -> None:
    """An object too: its keys are not items."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: '{{ parameters.it }}', input: {x: '{{ item }}'}",
        parameters={"it": {"a": 1}},
    )

    assert list(result.view()["results"]) == [{"x": {"a": 1}}]


async def test_items_are_cut_into_batches(bench: Bench) -> None:
    """``item`` is the list, ``index`` the batch's number."""
    result = await bench.fan_out(
        "action: contract.echo, with_items: [a, b, c], batch_size: 2, input: {x: ['{{ index }}', '{{ item }}']}"
    )

    assert list(result.view()["results"]) == [{"x": [0, ["a", "b"]]}, {"x": [1, ["c"]]}]


async def test_data_is_never_a_template(bench: Bench) -> None:
    """Braces in items, parameters and results arrive as they are."""
    first = await bench.fan_out(
        "action: contract.echo, with_items: '{{ parameters.xs }}', input: {x: '{{ item }}'}",
        parameters={"xs": ["{{ 1 + 1 }}", "{% if %}"]},
    )
    assert [found["x"] for found in first.view()["results"]] == ["{{ 1 + 1 }}", "{% if %}"]

    second = await bench.fan_out(
        "action: contract.echo, with_items: '{{ task.first.results }}', input: {x: '{{ item.x }}'}",
        results={"first": first},
    )
    assert [found["x"] for found in second.view()["results"]] == ["{{ 1 + 1 }}", "{% if %}"]


async def test_templates_read_the_run_s_context(bench: Bench) -> None:
    """Parameters, variables, system, and results of tasks, plain and fanned out."""
    plain_held = await bench.open("action: contract.text")
    await bench.run(plain_held, range(1))
    fan_out = await bench.fan_out("action: contract.echo, with_items: [5, 6], input: {x: '{{ item }}'}")

    view = await bench.view(
        "action: contract.echo, input: {x: ['{{ parameters.p }}', '{{ v }}', '{{ system.run_id }}',"
        " '{{ task.plain.result }}', '{{ task.many.results[1].x }}', '{{ task.many.total_count }}']}",
        parameters={"p": 1},
        variables={"v": [2]},
        system={"run_id": "contract"},
        results={"plain": bench.executor.result(plain_held, succeeded=True), "many": fan_out},
    )

    assert view["x"] == [1, [2], "contract", "plain", 6, 2]


async def test_a_width_is_kept_to(bench: Bench) -> None:
    """The lanes of a task with ``concurrency`` are never wider together."""
    held = await bench.open("action: contract.echo, concurrency: 3, with_items: [1, 2, 3, 4], input: {x: 1}")

    assert 1 <= sum(widths(held.shape)) <= 3


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("action: contract.echo, with_items: '{{ parameters.missing }}', input: {x: 1}", EvaluationError),
        ("action: contract.echo, with_items: '{{ 1 / 0 }}', input: {x: 1}", EvaluationError),
    ],
)
async def test_a_task_that_cannot_be_prepared_is_refused(bench: Bench, task: str, error: type[AttuneError]) -> None:
    """Before any chunk of it is sent."""
    with pytest.raises(error):
        await bench.open(task)


async def test_an_input_that_does_not_fit_is_refused_with_the_function_s_parameters(bench: Bench) -> None:
    """Before any chunk of it is sent."""
    if bench.name == "scripted":
        pytest.skip("a script takes anything")

    with pytest.raises(PermanentError, match=r"does not take 'y' and it needs 'x'; its parameters are \(x\)"):
        await bench.open("action: contract.echo, input: {y: 1}")


def _listed(value: Any) -> Any:
    return list(value) if not isinstance(value, str | int | bool) else value


async def test_the_result_of_a_call_that_was_made_is_reused_with_cache(bench: Bench) -> None:
    """By a plain task and by a fan-out alike; ``cached`` and the report's count tell of it."""
    cache = "action: contract.echo, cache: {ttl: 3600}"
    first = await bench.view(f"{cache}, input: {{x: 1}}")
    again = await bench.view(f"{cache}, input: {{x: 1}}")
    held = await bench.open(f"{cache}, with_items: [0, 1, 2, {REFUSED}], input: {{x: '{{{{ item }}}}'}}")
    (report,) = await bench.run(held, range(1, 4))
    (rest,) = await bench.run(held, range(1))

    assert ("cached" in first, again["cached"], again["x"], again["succeeded"]) == (False, True, 1, True)
    assert (report.n_succeeded, report.n_failed, report.n_cached, rest.n_cached) == (2, 1, 1, 0)
    assert list(bench.executor.result(held, succeeded=False).view()["results"]) == [{"x": 0}, {"x": 1}, {"x": 2}, None]


async def test_what_failed_or_has_no_cache_is_not_reused(bench: Bench) -> None:
    """Nor what another task without ``cache`` has found."""
    task = f"action: contract.flaky, with_items: [1, {REFUSED}], input: {{x: '{{{{ item }}}}', flag: /nowhere}}"
    for cache, expected in (("", 0), (", cache: {ttl: 60}", 0), (", cache: {ttl: 60}", 1), ("", 0)):
        held = await bench.open(task + cache)
        (report,) = await bench.run(held, range(2))
        assert (report.n_failed, report.n_cached) == (1, expected)


async def test_a_key_stands_for_the_input(bench: Bench) -> None:
    """So that calls that differ in something else are the same one; a key without a value fails its item."""
    cache = "cache: {ttl: 60, key: '{{ item.id }}'}"
    items = "with_items: [{id: 1, at: 1}, {id: 1, at: 2}, {id: 2, at: 3}, {}]"
    task = f"action: contract.echo, {items}, input: {{x: '{{{{ item }}}}'}}"
    held = await bench.open(f"{task}, {cache}")

    reports = await bench.run(held, range(1), range(1, 3), range(3, 4))

    found = list(bench.executor.result(held, succeeded=False).view()["results"])
    assert [found[0], found[2:]] == [{"x": {"id": 1, "at": 1}}, [{"x": {"id": 2, "at": 3}}, None]]
    assert found[1] == found[0]
    assert [(report.n_cached, report.n_failed) for report in reports] == [(0, 0), (1, 0), (0, 1)]
