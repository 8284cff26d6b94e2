"""Files whose columns are not of one type from row to row, or from file to file: items as they are, or an error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attune_ray import Engine, RunResult, action
from attune_ray.dispatch.worker.sources import open_source
from attune_ray.values.item_source import ItemSource

ROWS: list[dict[str, Any]] = [
    {"a": 1, "b": "x"},
    {"a": "1", "b": None},
    {"a": True},
    {"a": [1, {"c": None}], "b": 0.5},
    {"a": {"d": []}, "b": 2**64 - 1},
    {"a": None, "b": ""},
]


@action("mixed.same", inline=True)
def same(row: Any) -> Any:
    """The item."""
    return row


@action("mixed.types", batch="arrow", inline=True)
def types(rows: pa.RecordBatch) -> dict[str, str]:
    """The columns of a batch."""
    return {field.name: str(field.type) for field in rows.schema}


@action("mixed.rows", batch="arrow", inline=True)
def as_rows(rows: pa.RecordBatch) -> Any:
    """A batch as objects."""
    return rows.to_pylist()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path, make_engine: Callable[..., Engine]) -> Callable[..., RunResult]:  # noqa: ARG001
    """Runs an action over the rows of a source, or over batches of them."""

    def run(ref: str, source: Any, **more: Any) -> RunResult:
        parameter = "row" if ref == "mixed.same" else "rows"
        task = {"name": "f", "action": ref, "with_items": source, "input": {parameter: "{{ item }}"}, **more}
        return make_engine(same, types, as_rows).run(json.dumps({"tasks": [task]}))

    return run


def errors(result: RunResult) -> dict[int, str]:
    """Of the failed items, by index."""
    return {failed["index"]: failed["error"] for failed in result.task("f").failed_items}


def write_tables(folder: Path, **tables: pa.Table) -> None:
    """Each in a parquet file of its own, two rows a row group."""
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=2)


@pytest.mark.parametrize("ending", ["ndjson", "json"])
def test_rows_of_mixed_types_arrive_as_they_are(folder: Path, run: Callable[..., RunResult], ending: str) -> None:
    """One by one, and as lists: no column is made of them."""
    text = json.dumps(ROWS) if ending == "json" else "\n".join(map(json.dumps, ROWS))
    (folder / f"a.{ending}").write_text(text)

    assert list(run("mixed.same", {"source": f"a.{ending}"}).task("f").results) == ROWS
    assert list(run("mixed.same", {"source": f"a.{ending}"}, batch_size=4).task("f").results) == [ROWS[:4], ROWS[4:]]


def test_values_of_csv_are_texts_whatever_they_look_like(folder: Path, run: Callable[..., RunResult]) -> None:
    """A number, a word and nothing in one column; so a batch of them is always a table."""
    (folder / "a.csv").write_text("a,b\n1,x\ntrue,2.50\n,null\n")

    expected = [{"a": "1", "b": "x"}, {"a": "true", "b": "2.50"}, {"a": "", "b": "null"}]
    assert list(run("mixed.same", {"source": "a.csv"}).task("f").results) == expected
    assert run("mixed.rows", {"source": "a.csv"}, batch_size=3).task("f").results[0] == expected


def test_a_batch_of_mixed_types_names_the_column_the_rows_and_the_file(
    folder: Path, run: Callable[..., RunResult]
) -> None:
    """It is that batch alone, for good: another attempt would find the same."""
    (folder / "a.ndjson").write_text('{"a": 1}\n\n{"a": 2.5, "b": 1}\n{"a": null}\n{"a": "x"}\n{"a": 1}\n')
    (folder / "b.ndjson").write_text('{"a": [1]}\n{"a": 2}\n')

    result = run("mixed.types", {"source": "*.ndjson"}, batch_size=2, retry={"count": 1, "delay": 86_400})

    assert list(result.task("f").results) == [{"a": "double", "b": "int64"}, {"a": "string"}, None, {"a": "int64"}]
    assert errors(result) == {
        2: "a.ndjson, row 5; b.ndjson, row 1: the values of 'a' in the batch do not make a column: "
        "number in row 1 and array in row 2"
    }


def test_files_of_different_schemas_give_the_rows_that_each_has(folder: Path, run: Callable[..., RunResult]) -> None:
    """Other types, a missing column, another order: an item is what its own file says."""
    write_tables(
        folder,
        a=pa.table({"n": [1, 2, 3], "s": ["x", "y", "z"]}),
        b=pa.table({"s": [True], "n": ["one"]}),
        c=pa.table({"n": pa.array([None], pa.null())}),
    )
    with pa.ipc.new_file(folder / "d.arrow", pa.schema({"m": pa.list_(pa.int8())})) as writer:
        writer.write_table(pa.table({"m": pa.array([[1]], pa.list_(pa.int8()))}))

    rows = list(run("mixed.same", {"source": ["*.parquet", "*.arrow"]}).task("f").results)

    assert rows == [
        {"n": 1, "s": "x"},
        {"n": 2, "s": "y"},
        {"n": 3, "s": "z"},
        {"s": True, "n": "one"},
        {"n": None},
        {"m": [1]},
    ]


def test_a_batch_over_files_of_different_types_fails_alone_and_names_both(
    folder: Path, run: Callable[..., RunResult]
) -> None:
    """A missing column is null, one that is null throughout takes the other's type; the rest is no one table."""
    write_tables(
        folder,
        a=pa.table({"n": [1, 2, 3], "s": ["x", "y", "z"], "o": [{"p": 1}] * 3}),
        b=pa.table({"n": pa.array([None], pa.null()), "o": [{"q": 2}]}),
        c=pa.table({"n": ["one", "two"], "s": ["x", "y"]}),
        d=pa.table({"n": ["three", "four"]}),
    )

    result = run("mixed.rows", {"source": "*.parquet"}, batch_size=4)
    narrow = run("mixed.rows", {"source": "*.parquet"}, batch_size=5)

    assert list(result.task("f").results) == [
        [
            {"n": n, "s": s, "o": {"p": p, "q": q}}
            for n, s, p, q in [(1, "x", 1, None), (2, "y", 1, None), (3, "z", 1, None), (None, None, None, 2)]
        ],
        [{"n": "one", "s": "x"}, {"n": "two", "s": "y"}, {"n": "three", "s": None}, {"n": "four", "s": None}],
    ]
    told = "the files of a batch do not make one table: 'n' is int64 in a.parquet and string in c.parquet"
    assert errors(narrow) == {0: told}
    assert narrow.task("f").results[1][0] == {"n": "two", "s": "y"}


def test_a_column_that_one_file_lacks_cannot_be_asked_for(folder: Path, run: Callable[..., RunResult]) -> None:
    """Told before any item runs, with the file."""
    write_tables(folder, a=pa.table({"n": [1], "s": ["x"]}), b=pa.table({"n": [2]}))

    result = run("mixed.same", {"source": "*.parquet", "columns": ["n", "s"]})

    assert result.task("f").error == "with_items: b.parquet has no column 's' (it has n)"
    assert list(run("mixed.same", {"source": "*.parquet", "columns": ["n"]}).task("f").results) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_that_names_a_column_twice_is_refused(folder: Path, run: Callable[..., RunResult], ending: str) -> None:
    """As a csv file is: an object would have one of them, and which is anybody's guess."""
    table = pa.table([[1], [2]], names=["n", "n"])
    if ending == "parquet":
        pq.write_table(table, folder / "a.parquet")
    else:
        with pa.ipc.new_file(folder / "a.arrow", table.schema) as writer:
            writer.write_table(table)

    result = run("mixed.same", {"source": f"a.{ending}"})

    assert result.task("f").error == f"a.{ending}: the header names the column 'n' twice"


def test_a_column_without_a_json_form_is_told_with_its_file(folder: Path, run: Callable[..., RunResult]) -> None:
    """The rows of the other files run, and so do all where the column is not asked for, or is taken as it is."""
    write_tables(folder, a=pa.table({"n": [1]}), b=pa.table({"n": [2], "raw": [b"\xff"]}))

    result = run("mixed.same", {"source": "*.parquet"})

    told = "b.parquet: the column 'raw' is of type binary, which has no JSON form; choose others by `columns`"
    assert errors(result) == {1: told}
    assert result.task("f").results[0] == {"n": 1}
    assert list(run("mixed.same", {"source": "*.parquet", "columns": ["n"]}).task("f").results) == [{"n": 1}, {"n": 2}]
    both = run("mixed.types", {"source": "*.parquet"}, batch_size=2)
    assert list(both.task("f").results) == [{"n": "int64", "raw": "binary"}]


def test_dictionaries_of_different_row_groups_and_files_are_one_column(
    folder: Path, run: Callable[..., RunResult]
) -> None:
    """As data frames with categories are written."""
    parts = {name: pa.table({"s": pa.array([*name * 3, "z"]).dictionary_encode()}) for name in ("a", "b")}
    write_tables(folder, **parts)

    whole = run("mixed.rows", {"source": "*.parquet"}, batch_size=8)

    assert whole.task("f").results[0] == [{"s": text} for text in "aaazbbbz"]
    assert list(run("mixed.same", {"source": "*.parquet"}).task("f").results) == [{"s": text} for text in "aaazbbbz"]


def test_rows_without_columns_are_empty_objects(folder: Path) -> None:
    """An Arrow file may have such."""
    with pa.ipc.new_file(folder / "a.arrow", pa.schema([])) as writer:
        writer.write_table(pa.table({"n": [1, 2]}).select([]))

    items = open_source(ItemSource(source="a.arrow", base=str(folder)), "a.arrow", None)

    assert list(items.take(range(len(items)))) == [{}, {}]
