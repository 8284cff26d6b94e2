"""Files as items on real workers, which read the ranges; the coordinator holds none of them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine, Settings, action
from attune_ray.settings import FanOutSettings

pytestmark = pytest.mark.ray


@action("files.where")
def where(record: dict[str, int]) -> list[int]:
    """The record's number and the process that read it."""
    return [record["n"], os.getpid()]


@action("files.sum")
def total(records: list[dict[str, int]]) -> int:
    """Of a batch."""
    return sum(record["n"] for record in records)


@action("files.remove")
def remove(path: str, n: int) -> int:
    """Take a file away from whoever reads on."""
    Path(path).unlink(missing_ok=True)
    return n


def reading(ref: str, source: str, values: dict[str, Any], **more: Any) -> str:
    """A workflow of one task over the items of a source."""
    return json.dumps(
        {"tasks": [{"name": "read", "action": ref, "with_items": {"source": source}, "input": values, **more}]}
    )


def test_workers_read_what_the_coordinator_never_holds(
    tmp_path: Path, make_ray_engine: Callable[..., Engine], ray_settings: Settings
) -> None:
    """30,000 rows of 12 MB in two files: in order, each once, and in other processes."""
    numbers = range(30_000)
    for name, part in {"a": numbers[:20_000], "b": numbers[20_000:]}.items():
        text = "".join(json.dumps({"n": n, "filler": "x" * 380}) + "\n" for n in part)
        (tmp_path / f"{name}.ndjson").write_text(text)
    settings = Settings(ray=ray_settings.ray, fan_out=FanOutSettings(max_chunk_items=3_000, first_chunk_items=500))
    engine = make_ray_engine(where, settings=settings)

    result = engine.run(reading("files.where", f"{tmp_path}/*.ndjson", {"record": "{{ item }}"}))

    assert [n for n, _ in result.task("read").results] == list(numbers)
    assert os.getpid() not in {pid for _, pid in result.task("read").results}


def test_batches_are_read_in_one_go(tmp_path: Path, make_ray_engine: Callable[..., Engine]) -> None:
    """The last is shorter."""
    (tmp_path / "b.ndjson").write_text("".join(f'{{"n": {n}}}\n' for n in range(10)))
    text = reading("files.sum", f"{tmp_path}/b.ndjson", {"records": "{{ item }}"}, batch_size=4)
    result = make_ray_engine(total).run(text)

    assert list(result.task("read").results) == [6, 22, 17]


def test_a_relative_path_is_that_of_the_coordinator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_ray_engine: Callable[..., Engine]
) -> None:
    """Whatever the folder of the workers is."""
    (tmp_path / "a.ndjson").write_text('{"n": 5}')
    monkeypatch.chdir(tmp_path)
    result = make_ray_engine(total).run(reading("files.sum", "a.ndjson", {"records": "{{ item }}"}, batch_size=4))

    assert list(result.task("read").results) == [5]


def test_what_is_taken_away_meanwhile_fails_the_items_that_need_it(
    tmp_path: Path, make_ray_engine: Callable[..., Engine]
) -> None:
    """The first item removes the second file; the error tells which file is missing on which machine."""
    (tmp_path / "a.ndjson").write_text('{"n": 0}')
    (tmp_path / "b.ndjson").write_text('{"n": 1}\n{"n": 2}')
    values = {"path": f"{tmp_path}/b.ndjson", "n": "{{ item.n }}"}
    result = make_ray_engine(remove).run(reading("files.remove", f"{tmp_path}/*.ndjson", values, concurrency=1))

    assert list(result.task("read").results) == [0, None, None]
    assert [failed["index"] for failed in result.task("read").failed_items] == [1, 2]
    assert (
        f"({tmp_path}/b.ndjson); every worker must see the same files" in result.task("read").failed_items[0]["error"]
    )


def test_a_source_that_is_none_fails_its_task(tmp_path: Path, make_ray_engine: Callable[..., Engine]) -> None:
    """As it does in the coordinator."""
    result = make_ray_engine(total).run(reading("files.sum", str(tmp_path), {"records": "{{ item }}"}))

    assert "is a folder" in (result.task("read").error or "")
