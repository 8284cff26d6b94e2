"""Executors at work on the tasks of one run: in this process, on Ray, and from scripts; for their contract."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attune_ray.actions import Action, Catalog, action, sources_of
from attune_ray.bootstrap import SystemClock
from attune_ray.dispatch.cluster import Cluster
from attune_ray.dispatch.executor import RayExecutor
from attune_ray.dispatch.inline import InlineExecutor
from attune_ray.dispatch.orders import Held
from attune_ray.dispatch.result_cache import ResultCache
from attune_ray.engine import TaskRunId
from attune_ray.errors import PermanentError
from attune_ray.model import parse_workflow
from attune_ray.plan import Chunk, Items, build
from attune_ray.ports import ChunkReport, Executor, Kept, RunContext, StoredResult, TaskOrder
from attune_ray.settings import Settings
from attune_ray.testing import ScriptedExecutor
from attune_ray.testing.script import scripted_action
from attune_ray.values.keeping import Keeping

__all__ = ["REFUSED", "Bench", "bench", "make_bench"]

REFUSED = -1


@action("contract.echo")
def echo(x: Any) -> dict[str, Any]:
    """What it was given; one number is refused."""
    if x == REFUSED:
        raise PermanentError("refused")
    return {"x": x}


@action("contract.text")
def text() -> str:
    """Data that is no object."""
    return "plain"


@action("contract.flaky")
def flaky(x: Any, flag: str) -> dict[str, Any]:
    """Refuses one number until the file of that name exists."""
    if x == REFUSED and not Path(flag).exists():
        raise ValueError("not yet")
    return {"x": x, "flag": flag}


@action("contract.clash")
def clash() -> dict[str, Any]:
    """Data with the names that a view has itself."""
    return {"exit_code": 77, "result": "mine", "k": 1}


ACTIONS = (echo, text, flaky, clash)
SCRIPTS: Mapping[str, Mapping[str, Any]] = {
    "contract.echo": {
        "by_input": {"param": "x", "cases": {"-1": {"fail": "refused"}}, "default": {"echo_input": True}}
    },
    "contract.text": {"data": "plain"},
    "contract.flaky": {
        "by_input": {
            "param": "x",
            "cases": {"-1": {"attempts": [{"fail": "ValueError: not yet"}, {"echo_input": True}]}},
            "default": {"echo_input": True},
        }
    },
    "contract.clash": {"data": {"exit_code": 77, "result": "mine", "k": 1}},
}


@dataclass(slots=True)
class Bench:
    """An executor at work on the tasks of one run."""

    name: str
    executor: Executor[Any]
    actions: Mapping[str, Action]
    context: RunContext = field(
        default_factory=lambda: RunContext(run_id="contract", given={}, parameters={}, variables={})
    )
    n_runs: int = 0
    keeping: Keeping | None = None

    async def open(self, task: str, *, kept: Kept | None = None, name: str = "", **context: Any) -> Held:
        """Open a task, written as YAML (without its name), in a context; ``kept``: again."""
        self.n_runs += 1
        name = name or f"t{self.n_runs}"
        others = "".join(f", {{name: {other}, action: core.noop}}" for other in context.get("results", {}))
        plan = build(parse_workflow(f"tasks: [{{name: {name}, {task}}}{others}]"))
        planned = plan.tasks[name]
        order = TaskOrder(
            run=TaskRunId(name, 1),
            task=planned,
            action=self.actions[planned.task.action or ""],
            context=replace(self.context, **context),
            concurrency=planned.task.concurrency if isinstance(planned.task.concurrency, int) else None,
            now="2026-01-01T00:00:00.000000Z",
            keeping=self.keeping,
            kept=kept,
        )
        held: Held = await self.executor.open(order)
        return held

    async def run(self, held: Held, *chunks: Items, attempt: int = 1, width: int = 1) -> list[ChunkReport]:
        """Run chunks one after the other, in the order given."""
        found = []
        for number, items in enumerate(chunks):
            chunk = Chunk(id=number, items=items, attempt=attempt, width=width)
            found.append(await self.executor.run(held, chunk))
        return found

    async def view(self, task: str, **context: Any) -> Any:
        """The view of a plain task that was opened and run."""
        held = await self.open(task, **context)
        (report,) = await self.run(held, range(1))
        return self.executor.result(held, succeeded=report.n_failed == 0).view()

    async def fan_out(self, task: str, *chunks: Items, succeeded: bool = True, **context: Any) -> StoredResult:
        """The result of a fan-out of which some chunks were run; all of it in one chunk where none is named."""
        held = await self.open(task, **context)
        await self.run(held, *(chunks or [range(held.n_items)]))
        return self.executor.result(held, succeeded=succeeded)


def results(settings: Settings) -> ResultCache:
    """An empty cache of results."""
    return ResultCache.of(SystemClock(), settings.limits)


def inline_bench(settings: Settings) -> Bench:
    """Chunks in this process."""
    catalog = Catalog(source for given in ACTIONS for source in sources_of(given))
    return Bench(
        "inline",
        InlineExecutor(settings.fan_out, settings.limits, results(settings)),
        catalog,
    )


def ray_bench(settings: Settings) -> Bench:
    """Chunks on Ray."""
    catalog = Catalog(source for given in ACTIONS for source in sources_of(given))
    return Bench(
        "ray",
        RayExecutor(settings, catalog, Cluster(settings.ray), results(settings)),
        catalog,
    )


def scripted_bench(settings: Settings) -> Bench:
    """Chunks that are played from scripts."""
    inline = InlineExecutor(settings.fan_out, settings.limits, results(settings))
    return Bench("scripted", ScriptedExecutor(SCRIPTS, inline=inline), {ref: scripted_action(ref) for ref in SCRIPTS})


BENCHES: Mapping[str, Callable[[Settings], Bench]] = {
    "inline": inline_bench,
    "ray": ray_bench,
    "scripted": scripted_bench,
}


@pytest.fixture(params=["inline", "scripted", pytest.param("ray", marks=pytest.mark.ray)])
def make_bench(request: pytest.FixtureRequest, ray_settings: Settings) -> Iterator[Callable[..., Bench]]:
    """Makes benches of one kind of executor, with settings of their own."""
    made: list[Bench] = []
    if request.param == "ray":
        request.getfixturevalue("ray_session")

    def make(**groups: Any) -> Bench:
        made.append(BENCHES[request.param](replace(ray_settings, **groups)))
        return made[-1]

    yield make
    for bench in made:
        if isinstance(bench.executor, RayExecutor):
            bench.executor.cluster.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """One bench with the usual settings."""
    return make_bench()
