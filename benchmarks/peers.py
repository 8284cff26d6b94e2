"""The same job done by others: three small templates over a 1 MB context and a function that does nothing, per item.

Each peer has two workers and is given the context in the best way it offers. It runs in a fresh process, so that the
driver's memory is its own.
"""

import importlib.util
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template

from benchmarks import cases
from benchmarks.child import in_child, peak_heap_bytes, peak_resident_bytes
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["PEERS", "measure"]

N_ENTRIES = 100
WORKERS = 2
_PATIENCE_S = 4.0
_TEXTS = ("{{ item.url }}", "{{ parameters.region }}-{{ index }}", "{{ task.context.settings.note }}")
_Pair = tuple[int, dict[str, Any]]
_Run = Callable[[list[_Pair]], float]
"""Does the job for some items; its seconds."""
_shared: dict[str, Any] = {}


def measure(*, quick: bool) -> list[Figure]:
    """A table of all peers at 1,000 and 10,000 items."""
    figures, rows = [], []
    for n_items in (1_000,) if quick else (1_000, 10_000):
        for peer, needs in NEEDS.items():
            if importlib.util.find_spec(needs) is None:
                print(f"{peer}: {needs} is not installed (pip install 'attune-ray[bench]')")
                continue
            n_run = min(n_items, MOST_ITEMS.get(peer, n_items))
            found = in_child(run_peer, peer=peer, n_items=n_run, repeats=2 if quick else 5)
            of_peer = _figures(peer, n_items, found, n_run)
            figures += of_peer
            rows.append([f"{n_items:,} items: {peer}", *map(text_of, of_peer), of_peer[0].note])
    table(["two workers, 1 MB of context", "per item", "start-up", "driver RSS", "driver heap", ""], rows)
    return figures


def _figures(peer: str, n_items: int, found: dict[str, Any], n_run: int) -> list[Figure]:
    what = {
        "time per item": ("µs", [seconds / n_run * 1e6 for seconds in found["seconds"]]),
        "start-up": ("s", [found["start_s"]]),
        "driver RSS": ("B", [found["resident_bytes"]]),
        "driver heap": ("B", [found["heap_bytes"]]),
    }
    note = "" if n_run == n_items else f"{n_run:,} items: too slow for more"
    return [
        Figure(name=f"{n_items} items/{peer}/{name}", unit=unit, samples=samples, note=note, is_peer=peer != "attune")
        for name, (unit, samples) in what.items()
    ]


def run_peer(peer: str, n_items: int, repeats: int) -> dict[str, Any]:
    """Start a peer, let it warm up, time it, then once more with its heap recorded.

    The start-up is from the first import to the first eight items done.
    """
    pairs = list(enumerate(cases.items(n_items)["servers"]))
    began = time.perf_counter()
    with PEERS[peer]() as run:
        run(pairs[:8])
        start_s = time.perf_counter() - began
        run(pairs[: n_items // 10])
        seconds = [run(pairs)]
        while len(seconds) < repeats and sum(seconds) < _PATIENCE_S:
            seconds.append(run(pairs))
        resident_bytes = peak_resident_bytes()
        heap_bytes = peak_heap_bytes(lambda: run(pairs))
    return {"start_s": start_s, "seconds": seconds, "resident_bytes": resident_bytes, "heap_bytes": heap_bytes}


@cache
def _templates() -> tuple[Template, ...]:
    environment = Environment(autoescape=False)  # noqa: S701  no HTML is made
    return tuple(environment.from_string(text) for text in _TEXTS)


def _scope() -> dict[str, Any]:
    return {"parameters": {"region": "north"}, "task": {"context": cases.context(N_ENTRIES)}}


def _one(scope: dict[str, Any], index: int, item: dict[str, Any]) -> None:
    url, name, note = (template.render(**scope, item=item, index=index) for template in _templates())
    cases.noop(url=url, name=name, note=note)


def _begin(scope: dict[str, Any]) -> None:
    _shared.update(scope)
    _templates()


def _of_worker(pair: _Pair) -> None:
    """The job of one item, where the worker has been given the context when it began."""
    _one(_shared, *pair)


def _timed(work: Callable[[list[_Pair]], object]) -> _Run:
    def run(pairs: list[_Pair]) -> float:
        began = time.perf_counter()
        work(pairs)
        return time.perf_counter() - began

    return run


@contextmanager
def _attune() -> Iterator[_Run]:
    from attune_ray import Engine, Settings  # noqa: PLC0415  in its own process alone, like all below
    from attune_ray.settings import RaySettings  # noqa: PLC0415

    with Engine(actions=[cases], settings=Settings(ray=RaySettings(num_cpus=WORKERS))) as engine:
        yield lambda pairs: cases.fan_out(engine, len(pairs), N_ENTRIES).duration_s


@contextmanager
def _ray() -> Iterator[Any]:
    import ray  # noqa: PLC0415

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray
    ray.shutdown()


@contextmanager
def _ray_task_by_value() -> Iterator[_Run]:
    with _ray() as ray:
        task, scope = ray.remote(_one), _scope()
        yield _timed(lambda pairs: ray.get([task.remote(scope, *pair) for pair in pairs]))


@contextmanager
def _ray_task_by_reference() -> Iterator[_Run]:
    with _ray() as ray:
        task, scope = ray.remote(_one), ray.put(_scope())
        yield _timed(lambda pairs: ray.get([task.remote(scope, *pair) for pair in pairs]))


@contextmanager
def _ray_pool() -> Iterator[_Run]:
    with _ray():
        from ray.util.multiprocessing import Pool  # noqa: PLC0415

        pool = Pool(WORKERS, initializer=_begin, initargs=(_scope(),))
        yield _timed(lambda pairs: pool.map(_of_worker, pairs, chunksize=_chunk(pairs)))


@contextmanager
def _ray_data() -> Iterator[_Run]:
    with _ray() as ray:
        ray.data.DataContext.get_current().enable_progress_bars = False
        reference = ray.put(_scope())

        def job(row: dict[str, Any]) -> dict[str, Any]:
            if not _shared:
                _begin(ray.get(reference))
            _of_worker((row["index"], row))
            return row

        def work(pairs: list[_Pair]) -> object:
            rows = [{"index": index, **item} for index, item in pairs]
            return ray.data.from_items(rows, override_num_blocks=WORKERS * 4).map(job).materialize()

        yield _timed(work)


@contextmanager
def _process_pool() -> Iterator[_Run]:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    with ProcessPoolExecutor(WORKERS, initializer=_begin, initargs=(_scope(),)) as pool:
        yield _timed(lambda pairs: list(pool.map(_of_worker, pairs, chunksize=_chunk(pairs))))


def _from_file(path: str, pair: _Pair) -> None:
    if not _shared:
        _begin(pickle.loads(Path(path).read_bytes()))  # noqa: S301  our own
    _of_worker(pair)


@contextmanager
def _joblib() -> Iterator[_Run]:
    from joblib import Parallel, delayed  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, Parallel(WORKERS, backend="loky") as parallel:
        path = Path(folder) / "context.pickle"
        path.write_bytes(pickle.dumps(_scope()))
        job = delayed(_from_file)
        yield _timed(lambda pairs: parallel(job(str(path), pair) for pair in pairs))


def _dask_one(pair: _Pair, scope: dict[str, Any]) -> None:
    _one(scope, *pair)


@contextmanager
def _dask() -> Iterator[_Run]:
    from distributed import Client, LocalCluster  # noqa: PLC0415

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        scope = client.scatter(_scope(), broadcast=True)
        yield _timed(lambda pairs: client.gather(client.map(_dask_one, pairs, scope=scope, pure=False)))


def _chunk(pairs: Iterable[_Pair]) -> int:
    """A quarter of each worker's share at once."""
    return max(1, len(list(pairs)) // (WORKERS * 4))


PEERS: dict[str, Callable[[], AbstractContextManager[_Run]]] = {
    "attune": _attune,
    "ProcessPoolExecutor": _process_pool,
    "joblib": _joblib,
    "ray.util.multiprocessing.Pool": _ray_pool,
    "Ray Data": _ray_data,
    "Dask distributed": _dask,
    "one Ray task per item, context by reference": _ray_task_by_reference,
    "one Ray task per item, context by value": _ray_task_by_value,
}
NEEDS = dict.fromkeys(PEERS, "ray") | {
    "ProcessPoolExecutor": "concurrent",
    "joblib": "joblib",
    "Dask distributed": "distributed",
}
"""The module that a peer is."""
MOST_ITEMS = {
    "one Ray task per item, context by value": 300,
    "one Ray task per item, context by reference": 3_000,
    "Dask distributed": 3_000,
}
"""Items at most, of peers that take milliseconds for each."""
