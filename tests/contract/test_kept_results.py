"""What every executor promises of results that are kept: another process has them again, and goes on with them."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from executor_bench import REFUSED, Bench
from s3 import running_s3

from attune_ray.dispatch import spool
from attune_ray.dispatch.keeping import Recollection
from attune_ray.errors import StateError
from attune_ray.plan import Chunk, Items
from attune_ray.ports import ChunkReport, Kept, KeptPart
from attune_ray.store.results import FileResults
from attune_ray.values.keeping import Keeping

FAN_OUT = "action: contract.echo, with_items: '{{ parameters.xs }}', input: {x: '{{ item }}'}"
XS = [0, REFUSED, 2, 3]


@pytest.fixture(params=["files", "inline", "s3"])
def keeping(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    """Results in files, small enough to be told, or behind S3; and no rows of other tests."""
    monkeypatch.setattr(spool, "logs_folder", lambda: tmp_path)
    if request.param != "s3":
        results = FileResults(str(tmp_path / "results"))
        yield Keeping(results=results, inline_bytes=0 if request.param == "files" else 10**6)
        return
    with running_s3() as service:
        bucket = secrets.token_hex(8)  # the service remembers those of its process
        service.make_bucket(bucket)
        yield Keeping(results=FileResults(service.uri(f"{bucket}/results")), inline_bytes=0)


@pytest.fixture
def kept_bench(make_bench: Callable[..., Bench], keeping: Keeping) -> Callable[[], Bench]:
    """Makes benches over the same store: as after a restart."""
    return lambda: replace(make_bench(), keeping=keeping)


def part(items: Items, report: ChunkReport) -> KeptPart:
    """What the journal has of a chunk."""
    assert report.saved is not None
    return KeptPart(items, orjson.loads(report.saved))


def plain(view: Any) -> dict[str, Any]:
    """A view as plain values, without its times."""
    listed = {"results", "failed_items"}
    return {
        name: list(value) if name in listed else value
        for name, value in view.items()
        if not name.startswith("duration")
    }


async def test_a_fan_out_is_recalled_without_its_executor(kept_bench: Callable[[], Bench], keeping: Keeping) -> None:
    """Results, counts, failed items and their errors."""
    bench = kept_bench()
    held = await bench.open(FAN_OUT, parameters={"xs": XS})
    first, second = await bench.run(held, range(2), range(2, 4))
    kept = Kept(
        is_fan_out=True,
        n_items=4,
        parts=(part(range(2), first), part(range(2, 4), second)),
        n_succeeded=3,
        n_failed=1,
    )

    again = Recollection(keeping.results).result(kept, succeeded=False)

    assert plain(again.view()) == plain(bench.executor.result(held, succeeded=False).view())
    assert again.view()["failed_items"][0]["item"] == REFUSED


async def test_a_plain_task_is_recalled_without_its_executor(kept_bench: Callable[[], Bench], keeping: Keeping) -> None:
    """Its view is the same."""
    bench = kept_bench()
    held = await bench.open("action: contract.clash")
    (report,) = await bench.run(held, range(1))
    kept = Kept(is_fan_out=False, n_items=1, parts=(part(range(1), report),), n_succeeded=1)

    again = Recollection(keeping.results).result(kept, succeeded=True)

    assert plain(again.view()) == plain(bench.executor.result(held, succeeded=True).view())


async def test_a_task_that_is_opened_again_has_what_its_chunks_had_given(kept_bench: Callable[[], Bench]) -> None:
    """And runs the others."""
    bench = kept_bench()
    held = await bench.open(FAN_OUT, parameters={"xs": XS}, name="again")
    (report,) = await bench.run(held, range(2))
    kept = Kept(is_fan_out=True, n_items=4, parts=(part(range(2), report),), n_succeeded=1, n_failed=1)
    heir = kept_bench()

    reopened = await heir.open(FAN_OUT, parameters={"xs": XS}, name="again", kept=kept)
    await heir.executor.run(reopened, Chunk(id=7, items=range(2, 4)))

    view = heir.executor.result(reopened, succeeded=False).view()
    assert list(view["results"]) == [{"x": 0}, None, {"x": 2}, {"x": 3}]
    assert (view["succeeded_count"], view["failed_count"]) == (3, 1)


async def test_other_items_than_before_are_refused(kept_bench: Callable[[], Bench]) -> None:
    """Nothing would tell which results are whose."""
    kept = Kept(is_fan_out=True, n_items=5)

    with pytest.raises(StateError, match=r"gives 4 item\(s\) and gave 5 before"):
        await kept_bench().open(FAN_OUT, parameters={"xs": XS}, kept=kept)


async def test_a_chunk_that_had_ended_when_its_coordinator_died_is_not_run_again(
    kept_bench: Callable[[], Bench], tmp_path: Path
) -> None:
    """Its rows are found in the store, or in what its process has left."""
    flag, items = str(tmp_path / "flag"), range(3)
    values = "{x: '{{ item }}', flag: '{{ parameters.flag }}'}"
    task = f"action: contract.flaky, with_items: '{{{{ parameters.xs }}}}', input: {values}"
    parameters = {"xs": [5, REFUSED, 6], "flag": flag}
    bench = kept_bench()
    held = await bench.open(task, parameters=parameters, name="late", begun_at=flag)
    await bench.executor.run(held, Chunk(id=1, items=items))
    Path(flag).touch()  # noqa: ASYNC240  whoever ran it again would succeed
    heir = kept_bench()
    reopened = await heir.open(task, parameters=parameters, name="late", begun_at=flag)

    report = await heir.executor.salvage(reopened, Chunk(id=1, items=items), 10.0)

    if bench.name != "scripted":  # a script is played again
        ended = items if report.lost is None else report.lost.ended
        assert (list(ended), report.n_succeeded, report.n_failed, report.retryable) == ([0, 1, 2], 2, 1, (1,))
        assert report.lost is None or report.lost.blameless
        view = heir.executor.result(reopened, succeeded=False).view()
        assert list(view["results"]) == [{"x": 5, "flag": flag}, None, {"x": 6, "flag": flag}]
        assert report.saved is not None


async def test_of_a_chunk_that_left_nothing_nothing_is_reported(kept_bench: Callable[[], Bench]) -> None:
    """It is sent again by the engine, without blame."""
    bench = kept_bench()
    held = await bench.open(FAN_OUT, parameters={"xs": XS})

    report = await bench.executor.salvage(held, Chunk(id=9, items=range(2)), 1.0)

    if bench.name != "scripted":
        assert (report.n_succeeded, report.n_failed) == (0, 0)
        assert report.lost is not None
        assert (report.lost.ended, report.lost.blameless) == ((), True)
