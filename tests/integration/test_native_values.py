"""Arrow tables, NumPy arrays and data frames in and out of Python actions, and batches of items."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attune_ray import Engine, RunResult, action
from attune_ray.errors import InvalidWorkflowError

pytestmark = pytest.mark.ray
MakeEngine = Callable[..., Engine]


@action("native.table")
def make_table(n: int) -> pa.Table:
    """Numbers, and their names."""
    return pa.table({"n": np.arange(n), "name": [f"row {number}" for number in range(n)]})


@action("native.frame")
def make_frame(n: int) -> Any:
    """The same as a data frame."""
    return pd.DataFrame({"n": range(n), "x": [float("nan")] * n})


@action("native.array")
def make_array(shape: list[int]) -> Any:
    """Numbers in order."""
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


@action("native.odd_array")
def odd_array(kind: str) -> Any:
    """Arrays that are not rows of numbers behind each other."""
    grid = np.arange(6).reshape(2, 3)
    return {"strided": grid[:, ::2], "fortran": np.asfortranarray(grid), "masked": np.ma.array(grid, mask=grid > 4)}[
        kind
    ]


@action("native.make_inline", inline=True)
def make_inline() -> pa.RecordBatch:
    """Made in the coordinator."""
    return pa.record_batch({"n": [1, 2, 3]})


@action("native.unstorable")
def unstorable(kind: str) -> Any:
    """Tables that are none."""
    if kind == "twice":
        return pa.table([[1], [2]], names=["a", "a"])
    return [pa.table({"b": [b"\xff"]})]


@action("native.binary")
def binary() -> pa.Table:
    """A column that JSON has not, null in one row."""
    return pa.table({"n": [1, 2, 3], "b": [b"\xff", None, b"x"]})


@action("native.union", inline=True)
def union() -> pa.Table:
    """A column that pandas has not."""
    types, offsets = pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32())
    return pa.table({"n": pa.UnionArray.from_dense(types, offsets, [pa.array([1]), pa.array(["x"])])})


@action("native.look")
def look(value: Any) -> dict[str, Any]:
    """What it was given; a buffer that is read-only and not its own is mapped."""
    if isinstance(value, np.ndarray):
        return {
            "type": "ndarray",
            "is_mapped": not value.flags.writeable and not value.flags.owndata,
            "sum": value.sum(),
        }
    if isinstance(value, pa.Table):
        return {"type": "Table", "allocated": pa.total_allocated_bytes(), "rows": value.num_rows}
    return {"type": type(value).__name__}


@action("native.look_inline", inline=True)
def look_inline(value: Any) -> str:
    """In the coordinator."""
    return type(value).__name__


@action("native.frame_sum")
def frame_sum(frame: pd.DataFrame) -> int:
    """An annotation asks for a data frame."""
    assert isinstance(frame, pd.DataFrame)
    return int(frame["n"].sum())


@action("native.frame_sum_inline", inline=True)
def frame_sum_inline(frame: pd.DataFrame) -> int:
    """The same in the coordinator."""
    return int(frame["n"].sum())


@action("native.fail_batch", batch="arrow")
def fail_batch(rows: pa.RecordBatch) -> None:
    """Of a batch that JSON has not."""
    raise ValueError(rows.num_rows)


@action("native.look_async")
async def look_async(value: Any) -> str:
    """In an event loop of a worker."""
    return type(value).__name__


@action("native.forms")
def forms(table: pa.Table, as_dict: dict, as_rows: list, as_array: np.ndarray, series: "pd.Series", plain: Any) -> Any:
    """One table in several forms."""
    values = (table, as_dict, as_rows, as_array, series, plain)
    return [type(value).__name__ for value in values]


@action("native.mean", batch="arrow")
def mean(rows: pa.RecordBatch, more: str = "") -> dict[str, Any]:
    """Of a batch."""
    assert isinstance(rows, pa.RecordBatch)
    return {"n": rows.num_rows, "columns": rows.schema.names, "more": more}


@action("native.double", batch="arrow")
def double(rows: pa.RecordBatch) -> Any:
    """A batch for a batch."""
    return pa.record_batch({"twice": pa.array([2 * n for n in rows.column("n").to_pylist()])})


@action("native.row")
def row(row: dict[str, Any]) -> Any:
    """One of a table's rows."""
    return row["n"]


ALL = (
    make_table,
    make_frame,
    make_array,
    odd_array,
    make_inline,
    unstorable,
    binary,
    union,
    look,
    look_inline,
    look_async,
    frame_sum,
    frame_sum_inline,
    fail_batch,
    forms,
    mean,
    double,
    row,
)


@pytest.fixture
def run(make_ray_engine: MakeEngine) -> Callable[..., RunResult]:
    """Runs tasks, given as name → fields, with all actions of this file."""

    def run(output: dict[str, str] | None = None, **tasks: dict[str, Any]) -> RunResult:
        return make_ray_engine(*ALL).run(json.dumps({"tasks": tasks, "output_map": output or {}}))

    return run


def test_a_table_is_an_object_of_columns_to_expressions(run: Callable[..., RunResult]) -> None:
    """Its columns are lists; they stand at the top of the result too."""
    output = {
        "whole": "{{ task.make.result }}",
        "names": "{{ task.make.data.name }}",
        "last": "{{ task.make.n[-1] }}",
        "some": "{{ task.make.n[:2] }}",
        "n": "{{ length(task.make.result.n) }}",
        "is_there": "{{ 'row 1' in task.make.name }}",
    }
    result = run(output, make={"action": "native.table", "input": {"n": 3}})

    assert json.loads(json.dumps(result.output, default=list)) == {
        "whole": {"n": [0, 1, 2], "name": ["row 0", "row 1", "row 2"]},
        "names": ["row 0", "row 1", "row 2"],
        "last": 2,
        "some": [0, 1],
        "n": 3,
        "is_there": True,
    }


def test_an_array_is_a_list_to_expressions(run: Callable[..., RunResult]) -> None:
    """One of two dimensions is a list of lists."""
    make = {"action": "native.array", "input": {"shape": [2, 3]}}
    result = run({"whole": "{{ task.make.result }}", "one": "{{ task.make.data[1][2] }}"}, make=make)

    assert result.output == {"whole": [[0, 1, 2], [3, 4, 5]], "one": 5}


def test_arrays_are_the_same_to_a_plain_task_and_to_a_fan_out(run: Callable[..., RunResult]) -> None:
    """Whatever lies between their numbers in memory; null where one is masked."""
    kinds = {"strided": [[0, 2], [3, 5]], "fortran": [[0, 1, 2], [3, 4, 5]], "masked": [[0, 1, 2], [3, 4, None]]}
    make = {kind: {"action": "native.odd_array", "input": {"kind": kind}} for kind in kinds}
    each = {"action": "native.odd_array", "with_items": list(kinds), "input": {"kind": "{{ item }}"}}
    output = {kind: f"{{{{ task.{kind}.result }}}}" for kind in kinds}
    result = run(output, each=each, **make)

    assert {kind: list(result.output[kind]) for kind in kinds} == kinds
    assert list(result.task("each").results) == list(kinds.values())


@pytest.mark.parametrize("make", ["native.table", "native.frame"])
def test_a_later_action_gets_the_table_itself(run: Callable[..., RunResult], make: str) -> None:
    """Out of shared memory: a table of 16 MB and more allocates next to nothing where it is taken."""
    result = run(
        make={"action": make, "input": {"n": 1_000_000}},
        take={"action": "native.look", "input": {"value": "{{ task.make.result }}"}},
    )

    taken = result.task("take").result
    assert taken is not None
    assert (taken["type"], taken["rows"]) == ("Table", 1_000_000)
    assert taken["allocated"] < 1_000_000


def test_items_of_a_fan_out_share_the_array(run: Callable[..., RunResult]) -> None:
    """Read-only, and mapped."""
    result = run(
        make={"action": "native.array", "input": {"shape": [100_000]}},
        take={
            "action": "native.look",
            "with_items": [1, 2],
            "input": {"value": "{{ task.make.data }}"},
        },
    )

    assert list(result.task("take").results) == [{"type": "ndarray", "is_mapped": True, "sum": 4_999_950_000.0}] * 2


def test_an_annotation_asks_for_a_form(run: Callable[..., RunResult]) -> None:
    """A data frame, rows, columns as arrays; a column without one is a list."""
    whole, column = "{{ task.make.result }}", "{{ task.make.result.n }}"
    values = {"table": whole, "as_dict": whole, "as_rows": whole, "as_array": column, "series": column, "plain": column}
    result = run(
        make={"action": "native.table", "input": {"n": 4}},
        add={"action": "native.frame_sum", "input": {"frame": whole}},
        forms={"action": "native.forms", "input": values},
    )

    assert result.task("add").result["data"] == 6  # type: ignore[index]
    assert result.task("forms").result["data"] == ["Table", "dict", "list", "ndarray", "Series", "list"]  # type: ignore[index]


def test_tables_go_between_the_coordinator_and_workers(run: Callable[..., RunResult]) -> None:
    """In both directions, and to an action that takes JSON."""
    result = run(
        here={"action": "native.make_inline"},
        there={"action": "native.look", "input": {"value": "{{ task.here.result }}"}},
        made={"action": "native.table", "input": {"n": 2}},
        back={"action": "native.look_inline", "input": {"value": "{{ task.made.result }}"}},
        text={"action": "core.echo", "input": {"message": "{{ task.made.result }}!"}},
    )

    assert result.task("there").result["type"] == "Table"  # type: ignore[index]
    assert result.task("back").result["data"] == "Table"  # type: ignore[index]
    assert result.task("text").result["stdout"] == '{"n":[0,1],"name":["row 0","row 1"]}!'  # type: ignore[index]


def test_conditions_publishes_and_outputs_survive_a_column_without_a_json_form(run: Callable[..., RunResult]) -> None:
    """Each is told as any other that has no value."""
    then = [{"publish": {"v": "{{ task.made.result }}"}, "do": "never", "when": "{{ task.made.b[0] == 1 }}"}]
    result = run(
        {"b": "{{ task.made.b }}", "n": "{{ task.made.n }}"},
        made={"action": "native.binary", "next": then},
        never={"action": "core.noop"},
    )

    assert result.output["n"] == [1, 2, 3]
    assert "b" not in result.output
    assert len(result.warnings) == 2
    assert all("the column 'b' is of type binary, which has no JSON form" in told for told in result.warnings)


def test_a_table_outlives_the_cluster(make_ray_engine: MakeEngine) -> None:
    """Its buffers are copied when the engine is closed."""
    with make_ray_engine(*ALL) as engine:
        result = engine.run("tasks: [{name: make, action: native.table, input: {n: 2}}]")

    assert list(result.task("make").result["n"]) == [0, 1]  # type: ignore[index]


def test_a_table_is_made_anew_where_results_are_reused(make_ray_engine: MakeEngine) -> None:
    """A task with ``cache`` gives a table each time: what it keeps would be JSON."""
    engine = make_ray_engine(*ALL)
    text = "tasks: [{name: make, action: native.table, input: {n: 2}, cache: {ttl: 60}}, "
    text += '{name: take, action: native.look, input: {value: "{{ task.make.result }}"}}]'

    assert [engine.run(text).task("take").result["type"] for _ in range(2)] == ["Table", "Table"]  # type: ignore[index]


def test_rows_of_a_table_are_items(run: Callable[..., RunResult]) -> None:
    """One by one, with those that failed; and as batches, which are slices."""
    over = "{{ task.make.result }}"
    result = run(
        make={"action": "native.table", "input": {"n": 2_500}},
        each={"action": "native.row", "with_items": over, "input": {"row": "{{ item }}"}},
        cut={"action": "native.mean", "with_items": over, "batch_size": 1_000, "input": {"rows": "{{ item }}"}},
        lists={
            "action": "core.echo",
            "with_items": over,
            "batch_size": 2_000,
            "input": {"message": "{{ item[-1].n }}"},
        },
        bad={"action": "core.noop", "with_items": over, "input": {"exit_code": "{{ 1 if item.n == 7 else 0 }}"}},
    )

    assert list(result.task("each").results) == list(range(2_500))
    assert [batch["n"] for batch in result.task("cut").results] == [1_000, 1_000, 500]
    assert list(result.task("lists").results) == ["1999", "2499"]
    assert [failed["item"] for failed in result.task("bad").failed_items] == [{"n": 7, "name": "row 7"}]


@pytest.mark.parametrize("ref", ["native.look", "native.look_inline", "native.look_async", "core.echo"])
def test_rows_that_have_no_json_form_fail_alone(run: Callable[..., RunResult], ref: str) -> None:
    """Wherever the action runs; for good, and as a batch where they are in one."""
    told = "the column 'b' is of type binary, which has no JSON form"
    over: dict[str, Any] = {
        "action": ref,
        "with_items": "{{ task.made.result }}",
        "retry": {"count": 1, "delay": 9_999},
    }
    over["input"] = {"message" if ref == "core.echo" else "value": "{{ item }}"}
    result = run(
        made={"action": "native.binary"},
        each={**over, "tolerate": "100%"},
        cut={**over, "batch_size": 2, "when": "true"},
    )

    assert [(failed["index"], failed["error"]) for failed in result.task("each").failed_items] == [(0, told), (2, told)]
    assert [failed["item"] for failed in result.task("each").failed_items] == [None, None]
    assert result.task("each").results[1] is not None
    assert [failed["error"] for failed in result.task("cut").failed_items] == [told, told]


def test_a_batch_that_has_no_json_form_is_taken_as_it_is(run: Callable[..., RunResult]) -> None:
    """Where its action fails, the item is null among the failed ones; whether it may be tried again asks for it too."""
    over: dict[str, Any] = {"with_items": "{{ task.made.result }}", "batch_size": 2, "input": {"rows": "{{ item }}"}}
    result = run(
        made={"action": "native.binary"},
        taken={**over, "action": "native.mean"},
        failing={**over, "action": "native.fail_batch", "retry": {"count": 1, "on_error": "{{ item[0].b == 1 }}"}},
    )

    assert [batch["n"] for batch in result.task("taken").results] == [2, 1]
    assert [(failed["index"], failed["item"]) for failed in result.task("failing").failed_items] == [
        (0, None),
        (1, None),
    ]
    assert result.task("failing").failed_items[0]["error"].startswith("ValueError: 2 (retry.on_error: ")


@pytest.mark.parametrize("over", [{}, {"with_items": [1, 2]}])
def test_a_table_that_pandas_cannot_hold_is_told(run: Callable[..., RunResult], over: dict[str, Any]) -> None:
    """By the items that were to take it, or their task."""
    take = {**over, "input": {"frame": "{{ task.made.result }}"}}
    for ref in ("native.frame_sum", "native.frame_sum_inline"):
        result = run(made={"action": "native.union"}, take={**take, "action": ref})

        found = result.task("take")
        error = found.failed_items[0]["error"] if found.failed_items else found.error
        assert error is not None
        assert error.startswith(f"{ref}: frame: the stored value cannot be handed over as DataFrame: No known")


def test_a_batch_of_files_is_a_record_batch(run: Callable[..., RunResult], tmp_path: Path) -> None:
    """Rows of parquet as they are, over the ends of row groups and files; lines and JSON made into columns."""
    pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]}), tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(pa.table({"a": [4]}), tmp_path / "b.parquet")
    (tmp_path / "c.ndjson").write_text('{"n": 1}\n{"n": 2, "m": null}\n{"n": "x"}\n')
    (tmp_path / "d.log").write_text("one\ntwo\n")
    tasks = {
        name: {
            "action": "native.mean",
            "with_items": {"source": f"{tmp_path}/*.{ending}"},
            "batch_size": size,
            "input": {"rows": "{{ item }}", "more": "{{ index }} {{ length(item) }}"},
        }
        for name, ending, size in (("tables", "parquet", 3), ("values", "ndjson", 2), ("lines", "log", 5))
    }
    tasks["values"]["tolerate"] = "100%"
    result = run(None, **tasks, twice={**tasks["values"], "action": "native.double", "input": {"rows": "{{ item }}"}})

    assert list(result.task("tables").results) == [
        {"n": 3, "columns": ["a", "b"], "more": "0 3"},
        {"n": 1, "columns": ["a"], "more": "1 1"},
    ]
    assert result.task("values").results[0] == {"n": 2, "columns": ["n", "m"], "more": "0 2"}
    assert list(result.task("lines").results) == [{"n": 2, "columns": ["item"], "more": "0 2"}]
    assert result.task("twice").results[0] == {"twice": [2, 4]}


def test_a_column_of_mixed_types_fails_its_batch(run: Callable[..., RunResult]) -> None:
    """Naming the column."""
    result = run(
        cut={
            "action": "native.mean",
            "with_items": [{"a": 1}, {"a": 2}, {"a": 1}, {"a": "x"}],
            "batch_size": 2,
            "input": {"rows": "{{ item }}"},
        }
    )

    [failed] = result.task("cut").failed_items
    assert failed["index"] == 1
    assert failed["error"].startswith("the values of 'a' in the batch do not make a column: ")


def test_what_is_no_table_is_told(run: Callable[..., RunResult]) -> None:
    """Two columns of one name; bytes where JSON is due."""
    result = run(
        twice={"action": "native.unstorable", "input": {"kind": "twice"}},
        each_twice={"action": "native.unstorable", "with_items": ["twice"], "input": {"kind": "{{ item }}"}},
        bytes={"action": "native.unstorable", "input": {"kind": "bytes"}},
    )

    told = "result: two columns of the table have the same name"
    assert result.task("twice").error == told
    assert [failed["error"] for failed in result.task("each_twice").failed_items] == [told]
    assert result.task("bytes").error == "result[0]: the column 'b' is of type binary, which has no JSON form"


def test_an_action_for_batches_needs_batches(run: Callable[..., RunResult]) -> None:
    """Told before anything runs."""
    with pytest.raises(
        InvalidWorkflowError, match=r"native.mean takes batches of items, and task 'cut' makes none \(add"
    ):
        run(cut={"action": "native.mean", "with_items": [1], "input": {"rows": "{{ item }}"}})
