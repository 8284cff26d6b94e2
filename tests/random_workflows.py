"""Workflows made at random, small and without cycles, and what a run of one comes to."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from attune_ray.coordinator import RunResult
from attune_ray.errors import InvalidWorkflowError
from attune_ray.testing import load_workflow

__all__ = ["CHILD", "come_to", "require_valid", "workflows"]

SECONDS = st.sampled_from([0, 1, 2.5, 7])
CHILD = """
tasks:
  - {name: one, action: t.c, input: {x: 1}, next: [{do: two}]}
  - {name: two, action: t.c, input: {x: "{{ task.one.x }}"}}
output_map: {x: "{{ task.two.x }}"}
"""


@st.composite
def workflows(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Small graphs without cycles, and what their actions come to."""
    n_tasks = draw(st.integers(1, 6))
    names = [f"t{number}" for number in range(n_tasks)]
    edges = {name: draw(st.sets(st.sampled_from(names[number + 1 :]))) if number + 1 < n_tasks else set()
             for number, name in enumerate(names)}  # fmt: skip
    tasks = []
    for name in names:
        task: dict[str, Any] = {"name": name, "action": f"t.{name}", "input": {"x": "{{ item }}"}}
        task["action"] = draw(st.sampled_from([f"t.{name}", f"t.{name}", "w.child"]))
        if draw(st.booleans()):
            task |= {"with_items": list(range(draw(st.integers(0, 5)))), "concurrency": draw(st.integers(1, 3))}
        else:
            task["input"] = {"x": name}
        if draw(st.booleans()):
            task["retry"] = {"count": draw(st.integers(1, 2)), "delay": draw(SECONDS)}
        task["delay"] = draw(SECONDS)
        if edges[name]:
            task["next"] = [{"when": draw(st.sampled_from(["{{ true }}", "{{ succeeded() }}", "{{ failed() }}"])),
                             "publish": [{f"by_{name}": "{{ succeeded() }}"}], "do": sorted(edges[name])}]  # fmt: skip
        n_inbound = sum(name in targets for targets in edges.values())
        if n_inbound > 1 and draw(st.booleans()):
            task["join"] = draw(st.integers(1, n_inbound))
        tasks.append(task)
    outcomes = st.sampled_from([{"echo_input": True}, {"echo_input": True}, {"fail": "no"}])
    scripts = {f"t.{name}": {"attempts": [{**draw(outcomes), "sleep": draw(SECONDS)} for _ in range(2)]}
               for name in names}  # fmt: skip
    return json.dumps({"tasks": tasks}), {**scripts, "t.c": {"echo_input": True, "sleep": draw(SECONDS)}}


def require_valid(text: str) -> None:
    """Take another example where this one is no workflow: a task of it may never start."""
    try:
        load_workflow(text)
    except InvalidWorkflowError:
        assume(False)


def come_to(run: RunResult) -> tuple[Any, ...]:
    """What a run has come to, apart from when."""
    tasks = {name: (task.status, untimed(task.result)) for name, task in run.tasks.items()}
    return run.result, dict(run.variables), tasks


def untimed(value: Any) -> Any:
    """A view without the times that it tells."""
    if isinstance(value, Mapping):
        return {key: untimed(inner) for key, inner in value.items() if key != "duration_ms"}
    return [untimed(inner) for inner in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
