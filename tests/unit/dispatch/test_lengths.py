"""What is said of the number of a fan-out's items before anybody has looked at them."""

import functools
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from attune_ray.actions import Catalog
from attune_ray.dispatch.lengths import known_length
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.items import as_items
from attune_ray.dispatch.worker.results import COUNTED_BYTES, FanOutResult, Part, PlainResult, lists_in
from attune_ray.dispatch.worker.rows import SUCCEEDED, Rows
from attune_ray.dispatch.worker.snapshot import Snapshot
from attune_ray.dispatch.worker.stored import Entry, LocalRows
from attune_ray.engine import TaskRunId
from attune_ray.expression import WorkflowContext, compile_items
from attune_ray.model import parse_workflow
from attune_ray.plan import PlanTask, build
from attune_ray.ports import RunContext, TaskOrder

NAMES = ("result", "output", "data", "error", "", "x")
PATHS = [names for n_names in (0, 1, 2) for names in itertools.product(NAMES, repeat=n_names)]
LISTS = st.lists(st.integers(0, 3), max_size=3)
VALUES = LISTS | st.none() | st.dictionaries(st.sampled_from(NAMES), LISTS | st.none(), max_size=4)
DATA = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4) | LISTS


@functools.cache
def planned(items: str, batch_size: int | None) -> PlanTask:
    """A task with ``with_items``."""
    batches = "" if batch_size is None else f", batch_size: {batch_size}"
    text = f"tasks: [{{name: f, action: core.noop, with_items: '{items}'{batches}}}, {{name: t, action: core.noop}}]"
    return build(parse_workflow(text)).tasks["f"]


def order(items: str, batch_size: int | None = None, **context: Any) -> TaskOrder:
    """Such a task in a context."""
    return TaskOrder(
        run=TaskRunId("f", 1),
        task=planned(items, batch_size),
        action=Catalog(())["core.noop"],
        context=RunContext(**{"run_id": "r", "given": {}, "parameters": {}, "variables": {}, **context}),
        concurrency=None,
        now="",
    )


def known(given: TaskOrder) -> int | None:
    """What is said of such a task, all that it may read being there."""
    entry = {name: Entry(encode(getattr(given.context, name))) for name in ("parameters", "variables")}
    snapshot = Snapshot(config=None, keystore=None, system={}, results={}, **entry)
    return known_length(given, snapshot)


def row_of(value: Any) -> LocalRows:
    """The one row of a plain task."""
    return LocalRows(Rows((0,), 1, [SUCCEEDED], [encode(value)], [None], [0]))


def plain(data: Any) -> PlainResult:
    """The result of a plain task, as its worker stores and tells of it."""
    stored = {"exit_code": 0, "duration_ms": 1, "succeeded": True, "data": data}
    return PlainResult(row_of(stored), succeeded=True, lists=lists_in(stored))


@given(data=DATA, root=st.sampled_from(["task.t", "parameters", "vars", "x"]), batch_size=st.none() | st.just(2))
def test_what_is_said_is_what_the_template_gives(data: Any, root: str, batch_size: int | None) -> None:
    """Whatever a result, the parameters and the variables look like, and whatever path leads into them."""
    result, held = plain(data), data if isinstance(data, dict) else {}
    context = WorkflowContext(
        parameters=held, variables=held, tasks={"t": result.view()}, system={}, now="", seed=""
    ).for_task()
    for names in PATHS:
        text = "{{ " + root + "".join(f'["{name}"]' for name in names) + " }}"
        told = known(order(text, batch_size, results={"t": result}, parameters=held, variables=held))
        if told is not None:
            event(f"{root} counted")
            assert len(as_items(compile_items(text).render(context), batch_size)) == told


@pytest.mark.parametrize(
    ("path", "n_items"),
    [
        ("task.t.result.servers", 3),
        ("task.t.output.servers", 3),
        ('tasks["t"].servers', 3),
        ("parameters.many", 2),
        ("parameters.deep.many", 1),
        ("names", 4),
        ("vars.names", 4),
        ("workflow.names", 4),
    ],
)
def test_lists_that_have_a_name_are_counted(path: str, n_items: int) -> None:
    """Where they are told of: results at their top, values that the coordinator has itself at any depth."""
    context = {
        "results": {"t": plain({"servers": [1, 2, 3], "n": 1})},
        "parameters": {"many": [1, 2], "deep": {"many": [{}]}},
        "variables": {"names": [1, 2, 3, 4]},
    }

    assert known(order(f"{{{{ {path} }}}}", **context)) == n_items
    assert known(order(f"{{{{ {path} }}}}", 3, **context)) == -(-n_items // 3)


@pytest.mark.parametrize(
    "items",
    [
        "{{ range(3) }}",
        "{{ task.t.servers[1:] }}",
        "{{ task.t.n }}",
        "{{ task.t }}",
        "{{ parameters }}",
        "{{ parameters.gone }}",
        "{{ config.many }}",
        "{{ item.many }}",
        "three",
    ],
)
def test_what_is_no_path_to_a_list_is_left_to_who_makes_the_items(items: str) -> None:
    """Also what looks like one, and gives an error."""
    assert known(order(items, results={"t": plain({"servers": [1, 2, 3], "n": 1})})) is None


@pytest.mark.parametrize(
    ("what", "item"), [("rate_limit: 5/s", 0), ("concurrency: 1", "x" * COUNTED_BYTES)], ids=["rate limit", "large"]
)
def test_items_that_must_not_start_late_are_waited_for(what: str, item: Any) -> None:
    """Those of a rate limit, and those that take so long to make that a pause may come meanwhile."""
    text = f"tasks: [{{name: f, action: core.noop, with_items: '{{{{ parameters.many }}}}', {what}}}]"
    given = order("{{ parameters.many }}", parameters={"many": [item]})

    assert known(replace(given, task=build(parse_workflow(text)).tasks["f"])) is None
    assert known(replace(given, context=replace(given.context, parameters={"many": [0]}))) == 1


def test_results_of_a_fan_out_are_cut_into_batches_before_they_are_counted() -> None:
    """All of them must be decoded for that."""
    result = FanOutResult(parts=(Part(range(5), row_of(1)),), n_items=5, n_succeeded=5, n_failed=0, succeeded=True)

    assert known(order("{{ task.t.results }}", 2, results={"t": result})) is None


def test_a_constant_is_no_variable() -> None:
    """Whatever the variables are called."""
    assert known(order("{{ null }}", variables={"null": [1, 2]})) is None


def test_a_result_that_is_not_there_yet_is_not_counted() -> None:
    """As in a branch that did not run."""
    assert known(order("{{ task.t.servers }}")) is None


def test_a_table_or_a_text_is_not_counted() -> None:
    """The one is cut by its columns, the other is one item."""
    results = {"t": plain("text"), "none": PlainResult(row_of({}), succeeded=False)}

    assert known(order("{{ task.t.result }}", results=results)) is None


@pytest.mark.parametrize(
    ("path", "n_items"), [("results", 5), ("result", 5), ("output", 5), ("failed_items", None), ("results.x", None)]
)
def test_a_fan_out_has_as_many_results_as_items(path: str, n_items: int | None) -> None:
    """Those that failed are among them, as null."""
    part = Part(range(5), row_of(1))
    result = FanOutResult(parts=(part,), n_items=5, n_succeeded=4, n_failed=1, succeeded=False)

    assert known(order(f"{{{{ task.t.{path} }}}}", results={"t": result})) == n_items


def test_only_the_first_lists_of_a_result_are_counted() -> None:
    """What travels with each summary stays small."""
    many = {f"list_{number}": [number] for number in range(1_000)}

    assert list(lists_in({"data": many})) == list(many)[:32]
