"""What the engine is told of a workflow: what a task needs, which cycles it is behind, whose data it waits for."""

import pytest

from attune_ray.model import parse_workflow
from attune_ray.plan import Plan, build


def plan_of(tasks: str) -> Plan:
    """The plan of some tasks."""
    return build(parse_workflow(f"tasks:\n{tasks}"))


NESTED = """
  - {name: begin, action: t.x, next: [{do: [outer, beside]}]}
  - {name: outer, action: t.x, next: [{do: inner}, {do: behind}]}
  - {name: inner, action: t.x, next: [{do: [inner, outer]}]}
  - {name: behind, action: t.x, next: [{do: [last, again]}]}
  - {name: again, action: t.x, next: [{do: again}, {do: last}]}
  - {name: last, action: t.x}
  - {name: beside, action: t.x}
"""


def test_a_task_is_behind_every_cycle_that_leads_to_it() -> None:
    """Its own included; each cycle goes by the first of its names."""
    loops = {name: set(task.loops) for name, task in plan_of(NESTED).tasks.items()}

    assert loops == {
        "begin": set(),
        "outer": {"inner"},
        "inner": {"inner"},
        "behind": {"inner"},
        "again": {"again", "inner"},
        "last": {"again", "inner"},
        "beside": set(),
    }


def test_loops_that_share_a_task_are_one_cycle() -> None:
    """A loop within a loop belongs to it."""
    cycles = {name: set(task.cycle) for name, task in plan_of(NESTED).tasks.items() if task.cycle}

    assert cycles == {"outer": {"outer", "inner"}, "inner": {"outer", "inner"}, "again": {"again"}}


@pytest.mark.parametrize(("join", "needs"), [("", 1), ("join: 2, ", 2), ("join: all, ", 3)])
def test_a_task_needs_what_its_join_says(join: str, needs: int) -> None:
    """All: every distinct task that has a transition to it."""
    plan = plan_of(f"""
  - {{name: a, action: t.x, next: [{{do: [z, z]}}, {{do: z}}]}}
  - {{name: b, action: t.x, next: [{{do: z}}]}}
  - {{name: c, action: t.x, next: [{{do: z}}]}}
  - {{name: z, {join}action: t.x}}
""")

    assert (plan.tasks["z"].needs, plan.tasks["z"].is_join) == (needs, bool(join))
    assert plan.entries == ("a", "b", "c")


def test_only_entry_tasks_wait_for_data() -> None:
    """Others come after what leads to them."""
    plan = plan_of("""
  - {name: a, action: t.x, next: [{do: c}]}
  - {name: b, action: t.x, input: {x: "{{ task.a.y }}", z: "{{ task.c.y }}"}}
  - {name: c, action: t.x, input: {x: "{{ task.a.y }}"}}
""")

    assert {name: set(task.waits_for) for name, task in plan.tasks.items()} == {"a": set(), "b": {"a", "c"}, "c": set()}
    assert plan.waiting == {"a": ("b",), "c": ("b",)}
