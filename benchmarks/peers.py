"""The same job done by others: three small Jinja2 templates over a context, and a function that does nothing."""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

from jinja2 import Environment, Template

from benchmarks.cases import context, items, noop

__all__ = ["pool_seconds", "ray_task_seconds"]

_TEXTS = ("{{ item.url }}", "{{ parameters.region }}-{{ index }}", "{{ task.context.settings.note }}")
_shared: dict[str, Any] = {}


@cache
def _templates() -> tuple[Template, ...]:
    environment = Environment(autoescape=False)  # noqa: S701  no HTML is made
    return tuple(environment.from_string(text) for text in _TEXTS)


def _scope(n_entries: int) -> dict[str, Any]:
    return {"parameters": {"region": "north"}, "task": {"context": context(n_entries)}}


def _one(scope: dict[str, Any], index: int, item: dict[str, Any]) -> None:
    url, name, note = (template.render(**scope, item=item, index=index) for template in _templates())
    noop(url=url, name=name, note=note)


def ray_task_seconds(n_items: int, n_entries: int) -> float:
    """One Ray task per item; the context is put once and each task gets its reference. Ray must be running."""
    import ray  # noqa: PLC0415

    task = ray.remote(_one)
    began = time.perf_counter()
    shared = ray.put(_scope(n_entries))
    done = [task.remote(shared, index, item) for index, item in enumerate(items(n_items)["servers"])]
    ray.get(done)
    return time.perf_counter() - began


def _begin(scope: dict[str, Any]) -> None:
    _shared.update(scope)
    _templates()


def _pool_item(pair: tuple[int, dict[str, Any]]) -> None:
    _one(_shared, *pair)


def pool_seconds(n_items: int, n_entries: int, *, workers: int, repeats: int) -> list[float]:
    """``ProcessPoolExecutor.map`` over warm workers that hold the context, in chunks of a quarter per worker."""
    pairs = list(enumerate(items(n_items)["servers"]))
    size = max(1, n_items // (workers * 4))
    seconds = []
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(_scope(n_entries),)) as pool:
        list(pool.map(_pool_item, pairs[: workers * 4]))
        for _ in range(repeats):
            began = time.perf_counter()
            list(pool.map(_pool_item, pairs, chunksize=size))
            seconds.append(time.perf_counter() - began)
    return seconds
