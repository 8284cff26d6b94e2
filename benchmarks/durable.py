"""What it costs to keep runs, by level and by database, and how fast one that was interrupted is gone on with."""

import asyncio
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from attune_ray import Engine, Settings, load
from attune_ray.engine import RunStarted, TaskRunId, TimerFired
from attune_ray.ports import Journal
from attune_ray.records import Fact, RunBegun
from attune_ray.settings import RaySettings, StateSettings
from benchmarks import cases
from benchmarks.child import in_child, peak_resident_bytes
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure", "thousand_runs"]

Level = Literal["off", "relaxed", "strict"]
LEVELS: tuple[Level, ...] = ("off", "relaxed", "strict")
N_ITEMS, N_FINISHED, N_RUNS, N_LISTED = 10_000, 100_000, 1_000, 100_000
N_ENTRIES = 100
AT = "2026-01-01T00:00:00.000000Z"
THREE_TASKS = """
tasks:
  - {name: a, action: bench.add, input: {n: "{{ parameters.n }}"}, next: [{do: b}]}
  - {name: b, action: bench.add, input: {n: "{{ task.a.n }}"}, next: [{do: c}]}
  - {name: c, action: bench.add, input: {n: "{{ task.b.n }}"}}
output_map: {n: "{{ task.c.n }}"}
"""
WAITING = """
parameters: {n_items: {type: integer}}
tasks:
  - {name: servers, action: bench.items, input: {n_items: "{{ parameters.n_items }}"}, next: [{do: check}]}
  - name: check
    action: bench.noop
    with_items: "{{ task.servers.servers }}"
    input: {url: "{{ item.url }}", name: "{{ index }}", note: ""}
    next: [{do: ask}]
  - {name: ask, action: core.ask, input: {prompt: "go on?"}}
"""


def measure(*, quick: bool) -> list[Figure]:
    """All of it."""
    figures = [
        *_overhead(4 if quick else 12),
        *_resumed(2 if quick else 5),
        *_listed(5 if quick else 20),
        *_commits(200 if quick else 1_000, repeats=2 if quick else 5),
        *_many_runs(1 if quick else 3),
    ]
    table(["runs that are kept", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _settings(level: Level, folder: str) -> Settings:
    state = None if level == "off" else StateSettings(url=folder, level=level)
    return Settings(ray=RaySettings(num_cpus=2), state=state)


def _overhead(n_rounds: int) -> list[Figure]:
    """A fan-out of no-op items by level, in turn; and what of it is in the journal."""
    times: dict[Level, list[float]] = {level: [] for level in LEVELS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        engines = {
            level: stack.enter_context(Engine(actions=[cases], settings=_settings(level, f"{folder}/{level}")))
            for level in LEVELS
        }
        for number in range(n_rounds + 3):
            for level, engine in engines.items():
                seconds = cases.fan_out(engine, N_ITEMS, N_ENTRIES).duration_s
                if number >= 3:  # the first ones warm up
                    times[level].append(seconds)
        with sqlite3.connect(f"{folder}/strict/state.db") as database:
            [(chunk_bytes,)] = database.execute("select avg(length(body)) from facts where kind = 'ChunkDone'")
    per_item = [
        Figure(
            name=f"{N_ITEMS} items, {level}/time per item",
            unit="µs",
            samples=[second / N_ITEMS * 1e6 for second in found],
        )
        for level, found in times.items()
    ]
    ratios = [
        Figure(
            name=f"{N_ITEMS} items, {level}/of a run that is not kept",
            unit="×",
            samples=[mine / off for mine, off in zip(times[level], times["off"], strict=True)],
        )
        for level in ("relaxed", "strict")
    ]
    return [*per_item, *ratios, Figure(name="journal/bytes per chunk", unit="B", samples=[chunk_bytes])]


def _resumed(n_rounds: int) -> list[Figure]:
    """From ``recover`` to the first order of the run that goes on: its facts read, its results checked."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder, Engine(actions=[cases], settings=_settings("off", "")) as ray:
        ray.run(WAITING.replace("core.ask", "core.noop").replace("prompt", "message"), {"n_items": 100})
        for number in range(n_rounds):
            settings = _settings("strict", f"{folder}/{number}")
            with Engine(actions=[cases], settings=settings) as first:
                run = first.arun(WAITING, {"n_items": N_FINISHED}, run_id="resumed")
                asyncio.run(_until_asked(first, run))
            with Engine(actions=[cases], settings=settings) as second:
                seconds.append(asyncio.run(_until_asked(second, second.recover("resumed"))))
    return [Figure(name=f"{N_FINISHED} finished items/time to go on", unit="s", samples=seconds)]


def _listed(repeats: int) -> list[Figure]:
    """The newest runs of many, as ``attune-ray runs`` reads them."""
    from attune_ray.store.archive import Archive  # noqa: PLC0415
    from attune_ray.store.sql_journal import SqlJournal  # noqa: PLC0415

    async def fill(folder: str) -> None:
        journal = SqlJournal(folder)
        for start in range(0, N_LISTED, 10_000):
            runs = (f"run-{number}" for number in range(start, start + 10_000))
            await journal.write([RunBegun(run_id=run, at=AT, title="", source="", text="", given={}) for run in runs])
        await journal.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(folder))
        archive, times = Archive(folder), []
        for _ in range(repeats):
            began = time.perf_counter()
            archive.runs(limit=50)
            times.append((time.perf_counter() - began) * 1e3)
    return [Figure(name=f"the newest 50 of {N_LISTED} runs", unit="ms", samples=times)]


async def _until_asked(engine: Engine, work: Awaitable[object]) -> float:
    """Seconds until a run asks; then it is left alone."""
    began = time.perf_counter()
    running = asyncio.ensure_future(work)
    while not engine.questions:
        await asyncio.wait([running], timeout=0.001)
        if running.done():
            raise RuntimeError(f"the run has not asked: {running.result()}")
    seconds = time.perf_counter() - began
    running.cancel()
    await asyncio.wait([running])
    return seconds


def _commits(n_facts: int, repeats: int) -> list[Figure]:
    """Facts per second, each committed by itself, and those of many runs that arrive at once."""
    figures = []
    with _databases() as urls:
        for name, url in urls.items():
            one_by_one, grouped = asyncio.run(_facts_per_second(url, n_facts, repeats))
            figures += [
                Figure(name=f"{name}/one commit per fact", unit="facts/s", samples=one_by_one, better="higher"),
                Figure(name=f"{name}/group commit", unit="facts/s", samples=grouped, better="higher"),
                Figure(
                    name=f"{name}/group commit of one per fact",
                    unit="×",
                    samples=[statistics.median(grouped) / statistics.median(one_by_one)],
                    better="higher",
                ),
            ]
    return figures


@contextmanager
def _databases() -> Iterator[dict[str, str]]:
    """Name → URL: SQLite, and PostgreSQL where it is installed."""
    from tests.postgres import serving  # noqa: PLC0415  it brings pytest along

    with tempfile.TemporaryDirectory() as folder, serving() as server:
        found = {"SQLite": folder}
        if server is not None:
            found["PostgreSQL (fsync off)"] = server.make_database("bench")
        yield found


async def _facts_per_second(url: str, n_facts: int, repeats: int) -> tuple[list[float], list[float]]:
    from attune_ray.store.sql_journal import SqlJournal  # noqa: PLC0415
    from attune_ray.store.write_behind import WriteBehind  # noqa: PLC0415

    journal = WriteBehind(SqlJournal(url), StateSettings())
    runs = [f"run-{number}" for number in range(n_facts)]
    await journal.write([RunBegun(run_id=run, at=AT, title="", source="", text="", given={}) for run in runs])
    one_by_one, grouped = [], []
    for _ in range(repeats):
        one_by_one.append(n_facts / await _seconds(lambda: _each(journal, runs)))
        grouped.append(n_facts / await _seconds(lambda: _together(journal, runs)))
    await journal.close()
    return one_by_one, grouped


async def _each(journal: Journal, runs: list[str]) -> None:
    for run in runs:
        await journal.write([_fact(run)])


async def _together(journal: Journal, runs: list[str]) -> None:
    await asyncio.gather(*(journal.write([_fact(run)]) for run in runs))


def _fact(run: str) -> Fact:
    event = RunStarted() if run.endswith("0") else TimerFired(TaskRunId("a", 1), 1)
    return Fact(run_id=run, at=AT, event=event, shell={"worker": "host:1"})  # noqa: S604  no process is started by it


async def _seconds(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def _many_runs(repeats: int) -> list[Figure]:
    """1,000 runs of three inline tasks at once, each level in a process of its own."""
    figures = []
    for level in LEVELS:
        found = [in_child(thousand_runs, level=level) for _ in range(repeats)]
        rates = [each["rate"] for each in found]
        resident = [each["resident_bytes"] for each in found]
        name = f"{N_RUNS} runs of three tasks at once, {level}"
        figures += [
            Figure(name=f"{name}/rate", unit="runs/s", samples=rates, better="higher"),
            Figure(name=f"{name}/CPU per run", unit="ms", samples=[each["cpu_ms"] for each in found]),
            Figure(name=f"{name}/coordinator RSS", unit="B", samples=resident),
        ]
    return figures


def thousand_runs(level: Level) -> dict[str, Any]:
    """Runs per second, CPU milliseconds of each, and the peak of this process's resident memory."""
    with tempfile.TemporaryDirectory() as folder, Engine(actions=[cases], settings=_settings(level, folder)) as engine:
        asyncio.run(_at_once(engine, 20))
        before = resource.getrusage(resource.RUSAGE_SELF)
        seconds = asyncio.run(_at_once(engine, N_RUNS))
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": N_RUNS / seconds, "cpu_ms": cpu_s / N_RUNS * 1e3, "resident_bytes": peak_resident_bytes()}


async def _at_once(engine: Engine, n_runs: int) -> float:
    workflow = load(THREE_TASKS)
    began = time.perf_counter()
    results = await asyncio.gather(*(engine.arun(workflow, {"n": number}) for number in range(n_runs)))
    seconds = time.perf_counter() - began
    wrong = [number for number, result in enumerate(results) if result.output != {"n": number + 3}]
    if wrong:
        raise RuntimeError(f"runs {wrong} gave something else")
    return seconds
