"""Many tasks that end in the same turn of the loop: facts per second through the coordinator."""

import time
from collections.abc import Callable

from attune_ray import Engine, RunResult
from attune_ray.engine import Event
from attune_ray.observe.progress import Progress
from benchmarks import cases
from benchmarks.figures import Figure, text_of
from benchmarks.report import table

__all__ = ["measure"]


class _Facts(Progress):
    """Notes when each fact of a run came."""

    def __init__(self) -> None:
        super().__init__()
        self.times_s: list[float] = []

    def saw(self, run_id: str, event: Event) -> None:  # noqa: ARG002  as observers are told
        """A fact."""
        self.times_s.append(time.perf_counter())


def measure(*, quick: bool) -> list[Figure]:
    """100 and 1,000 inline tasks of one run, which all go on in the same turn of the loop."""
    counter = _Facts()
    figures = []
    with Engine(actions=[cases], observers=[counter]) as engine:
        for n_tasks in (100, 1_000):
            text = _workflow(n_tasks)
            samples = [
                _facts_per_second(counter, lambda text=text: engine.run(text)) for _ in range(4 if quick else 10)
            ]
            figures.append(
                Figure(
                    name=f"{n_tasks} tasks end at once", unit="facts/s", samples=samples[1:], better="higher"
                )  # the first warms up
            )
    table(["coordinator, inline actions", ""], [[figure.name, text_of(figure)] for figure in figures])
    return figures


def _workflow(n_tasks: int) -> str:
    """So many entry tasks that wait for each other."""
    tasks = "\n".join(
        f"  - {{name: t{number}, action: bench.meet, input: {{n_tasks: {n_tasks}}}}}" for number in range(n_tasks)
    )
    return f"tasks:\n{tasks}\n"


def _facts_per_second(counter: _Facts, run: Callable[[], RunResult]) -> float:
    result = run()
    if result.status.value != "completed":
        raise RuntimeError(f"the workflow failed: {result.result}")
    facts = [at_s for at_s in counter.times_s if at_s > cases.opened_at_s]
    return len(facts) / (facts[-1] - cases.opened_at_s)
