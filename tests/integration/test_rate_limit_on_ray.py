"""``rate_limit`` over real workers: every item runs once, in as many chunks as ticks are needed for them."""

from collections.abc import Callable

import pytest

from attune_ray import Engine, action

pytestmark = pytest.mark.ray


@action("rate.double")
def double(x: int) -> int:
    """On the worker's main thread."""
    return 2 * x


@action("rate.double_async")
async def double_async(x: int) -> int:
    """In the worker's event loop."""
    return 2 * x


@pytest.mark.parametrize("ref", ["rate.double", "rate.double_async"])
def test_a_limited_fan_out_ends_with_all_its_results(make_ray_engine: Callable[..., Engine], ref: str) -> None:
    """Twenty items a tick: a hundred of them need five."""
    run = make_ray_engine(double, double_async).run(f"""
tasks:
  - {{name: f, action: {ref}, with_items: "{{{{ range(100) }}}}", input: {{x: "{{{{ item }}}}"}}, rate_limit: 40/s}}
""")

    assert list(run.task("f").results) == [2 * number for number in range(100)]
    assert run.task("f").stats.n_chunks >= 5
