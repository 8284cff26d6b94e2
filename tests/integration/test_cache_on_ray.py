"""``cache`` over real workers: what was called is not called again, in whatever task and run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attune_ray import Engine, action

pytestmark = pytest.mark.ray

TEXT = """
parameters: {n: {type: integer}, log: {type: string}}
tasks:
  - name: look
    action: cache.look
    with_items: "{{ range(parameters.n) }}"
    input: {x: "{{ item }}", log: "{{ parameters.log }}"}
    cache: {ttl: 3600, key: "{{ item % 1000 }}"}
    next: [{do: one}]
  - {name: one, action: cache.look, input: {x: 3, log: "{{ parameters.log }}"}, cache: {ttl: 3600, key: "{{ 3 }}"}}
"""


@action("cache.look")
def look(x: int, log: str) -> dict[str, int]:
    """Leaves a line behind each call, from any process."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{x}\n".encode())
    os.close(file)
    return {"x": x % 1000}


def test_what_was_called_is_not_called_again(make_ray_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """In one run equal items may meet in two workers, so they run at most once in each; in the next run, not at all."""
    engine, log = make_ray_engine(look), tmp_path / "log"
    first = engine.run(TEXT, {"n": 5_000, "log": str(log)})
    n_calls = len(log.read_text().split())
    second = engine.run(TEXT, {"n": 3_000, "log": str(log)})

    workers = len(first.task("look").stats.workers)
    assert 1_000 <= n_calls <= 1_000 * workers
    assert first.task("look").stats.n_cached == 5_000 - n_calls
    one = first.task("one")
    assert (one.stats.n_cached, one.result and one.result["cached"], one.result and one.result["x"]) == (1, True, 3)
    assert len(log.read_text().split()) == n_calls
    assert (second.task("look").stats.n_cached, second.task("look").stats.n_failed) == (3_000, 0)
    assert list(second.task("look").results) == [{"x": number % 1000} for number in range(3_000)]


def test_another_engine_knows_nothing_of_it(make_ray_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """The cache lives as long as its engine, even where both share one Ray."""
    counts = []
    for _ in range(2):
        run = make_ray_engine(look).run(TEXT, {"n": 10, "log": str(tmp_path / "log")})
        counts.append(run.task("look").stats.n_cached)

    assert counts == [0, 0]
