"""In any window of a simulated fan-out no more items start than ``rate_limit`` promises, and all of them do."""

from hypothesis import given
from hypothesis import strategies as st

from attune_ray.testing import simulate

ROUNDING_S = 1e-6


@given(
    per_s=st.sampled_from([0.01, 0.5, 1, 1.5, 2, 3, 7, 50]),
    sleeps_s=st.lists(st.sampled_from([0.0, 0.1, 0.4, 1.0, 30.0]), min_size=1, max_size=40),
    concurrency=st.sampled_from([1, 2, 100]),
    n_attempts=st.sampled_from([1, 2]),
)
def test_no_window_holds_more_starts_than_promised(
    per_s: float, sleeps_s: list[float], concurrency: int, n_attempts: int
) -> None:
    """Attempts after the first are starts, too."""
    cases = {
        str(index): {"sleep": sleep_s, "attempts": [{"fail": "x"}] * (n_attempts - 1) + [{"data": index}]}
        for index, sleep_s in enumerate(sleeps_s)
    }
    run = simulate(
        f"""
tasks:
  - name: f
    action: a.b
    with_items: "{{{{ range({len(sleeps_s)}) }}}}"
    input: {{x: "{{{{ item }}}}"}}
    concurrency: {concurrency}
    retry: {{count: 1}}
    rate_limit: {per_s}/s
""",
        actions={"a.b": {"by_input": {"param": "x", "cases": cases, "default": {}}}},
    )

    starts = sorted(execution.started_s for execution in run.executions)
    assert (run.status, len(starts)) == ("completed", n_attempts * len(sleeps_s))
    for first, began_s in enumerate(starts):
        for last in range(first, len(starts)):
            window_s = starts[last] - began_s
            assert last - first + 1 <= per_s * (window_s + ROUNDING_S) + max(per_s, 1 + per_s / 2)


def test_a_fan_out_of_short_items_runs_at_its_rate() -> None:
    """A hundred items at ten a second take ten seconds but for the first half."""
    run = simulate(
        "tasks: [{name: f, action: a.b, with_items: '{{ range(100) }}', concurrency: 50, rate_limit: 10/s}]",
        actions={"a.b": {"sleep": 0.2, "data": 1}},
    )
    assert [execution.started_s for execution in run.executions][::5] == [tick / 2 for tick in range(20)]
