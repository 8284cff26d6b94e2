"""The checks of a workflow as a whole."""

import pytest

from attune_ray.errors import InvalidWorkflowError, Problem
from attune_ray.model import parse_workflow


def problems(text: str) -> tuple[Problem, ...]:
    """What is wrong with a text."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow(text, source="w.yaml")
    return caught.value.problems


def problem(text: str) -> str:
    """The one thing that is wrong with a text."""
    (found,) = problems(text)
    return str(found)


def warnings(text: str) -> list[str]:
    """What is odd about a valid text."""
    return [
        f"{found.location.line}:{found.location.column} {found.message} ({found.hint})"
        for found in parse_workflow(text).warnings
    ]


def test_a_name_may_be_used_once() -> None:
    """The error tells where the first one is."""
    text = "tasks:\n- {name: a, action: c.d}\n- {name: b, action: c.d}\n- {name: a, action: c.d}"

    assert problem(text) == (
        "w.yaml:4:10: tasks[2].name: a task called `a` stands in line 2 already (rename one of them)"
    )


def test_lists_of_subtasks_have_names_of_their_own() -> None:
    """A parallel task's result is a map by their names."""
    subtasks = "type: parallel, tasks: [{name: x, action: c.d}]"

    assert parse_workflow(f"tasks: [{{name: p, {subtasks}}}, {{name: q, {subtasks}}}]").warnings == ()
    assert "stands in line 1 already" in problem(
        "tasks: [{name: p, type: parallel, tasks: [{name: x, action: c.d}, {name: x, action: c.d}]}]"
    )


def test_an_unknown_target_is_told_with_the_closest_name() -> None:
    """At the very word."""
    others = "- {name: b, action: c.d}\n- {name: notify, action: c.d}"
    text = f"tasks:\n- name: a\n  action: c.d\n  next:\n  - do: [b, notfy]\n{others}"

    assert problem(text) == ("w.yaml:5:13: tasks[0].next[0].do[1]: there is no task `notfy` (did you mean `notify`?)")
    assert "the tasks are a)" in problem("tasks: [{name: a, action: c.d, next: [{do: zzz}]}]")


def test_a_transition_stays_in_its_list() -> None:
    """Neither into a parallel task nor out of it."""
    text = """
tasks:
  - name: p
    type: parallel
    tasks:
      - {name: x, action: c.d, next: [{do: [y, out]}]}
      - {name: y, action: c.d}
    next: [{do: x}]
  - {name: out, action: c.d}
"""
    inner, outer = problems(text)

    assert (inner.path, inner.message) == ("tasks[0].tasks[0].next[0].do[1]", "`out` is not in the same list of tasks")
    assert (outer.path, outer.message) == ("tasks[0].next[0].do", "`x` is not in the same list of tasks")


FORK = """
tasks:
  - {name: a, action: c.d, next: [{do: m}, {when: failed(), do: m}]}
  - {name: b, action: c.d, next: [{do: [m, m]}]}
  - {name: m, action: c.d, join: %s}
"""


@pytest.mark.parametrize("join", ["1", "2", "all"])
def test_a_join_may_wait_for_every_inbound_task(join: str) -> None:
    """A task that leads to it twice counts once."""
    assert parse_workflow(FORK % join).warnings == ()


def test_a_join_above_the_inbound_tasks_can_never_be_met() -> None:
    """The error names who can lead there."""
    assert problem(FORK % 3) == (
        "w.yaml:5:34: tasks[2].join: waits for 3 tasks, but 2 can lead here (a, b) (write `join: 2` or `join: all`)"
    )


@pytest.mark.parametrize("join", ["1", "all"])
def test_a_join_on_an_entry_task_is_an_error(join: str) -> None:
    """There is nothing that it could wait for."""
    assert "nothing leads to this task" in problem(f"tasks: [{{name: a, action: c.d, join: {join}}}]")


def test_a_task_that_nothing_reaches_is_an_error() -> None:
    """A circle beside the way, and a task that only follows itself."""
    text = """
tasks:
  - {name: a, action: c.d, next: [{do: b}]}
  - {name: b, action: c.d, next: [{do: a2}]}
  - {name: a2, action: c.d, next: [{do: b}]}
  - {name: x, action: c.d, next: [{do: y}]}
  - {name: y, action: c.d, next: [{do: x}]}
  - {name: loner, action: c.d, next: [{do: loner}]}
"""
    assert [found.message for found in problems(text)] == [
        "nothing that runs leads to `x`",
        "nothing that runs leads to `y`",
        "nothing that runs leads to `loner`",
    ]


def test_a_workflow_that_is_one_circle_is_valid_with_a_warning() -> None:
    """It completes at once."""
    text = "tasks:\n- {name: a, action: c.d, on_success: b}\n- {name: b, action: c.d, on_success: a}"

    (warning,) = warnings(text)
    assert "nothing runs" in warning


def test_entry_tasks_that_read_each_other_can_never_start() -> None:
    """The error names the circle, once."""
    text = """
tasks:
  - {name: a, action: c.d, input: {x: "{{ task.b.data }}"}}
  - {name: b, action: c.d, with_items: "{{ task.c.items }}"}
  - {name: c, action: c.d, when: task.a.ok}
  - {name: d, action: c.d, input: {x: "{{ task.a.data }}"}}
"""
    assert problem(text) == (
        "w.yaml:3:12: tasks[0].name: `a` can never start: `a` reads the result of `b`, `b` reads the result of `c`, "
        "`c` reads the result of `a` (break the circle)"
    )


def test_an_entry_task_that_reads_its_own_successor_can_never_start() -> None:
    """It would have to end before it starts."""
    text = """
tasks:
  - {name: a, action: c.d, input: {x: "{{ task.c.data }}"}, next: [{do: b}]}
  - {name: b, action: c.d, next: [{do: c}, {do: b}]}
  - {name: c, action: c.d}
"""
    assert "`a` reads the result of `c`, `c` follows `b`, `b` follows `a`" in problem(text)


def test_an_entry_task_may_read_what_another_way_reaches() -> None:
    """Data edges and transitions mix."""
    text = """
tasks:
  - {name: a, action: c.d, next: [{do: b}]}
  - {name: b, action: c.d}
  - {name: c, action: c.d, input: {x: "{{ task.b.data }}"}, next: [{do: b}]}
"""
    assert parse_workflow(text).warnings == ()


def test_a_reference_to_a_task_that_does_not_exist_is_told_at_its_place() -> None:
    """Line and column of the word within the template."""
    text = """
tasks:
  - name: fetch
    action: c.d
  - name: use
    action: c.d
    input:
      deep: [{text: "see {{ task.fetch.data }} and {{ task.fetsh.data }}"}]
      block: |
        one
        {{ tasks["gone"] }}
"""
    first, second = problems(text)

    assert (first.path, first.hint) == ("tasks[1].input.deep[0].text", "did you mean `fetch`?")
    assert first.location.line == 8
    assert (second.path, second.location.line) == ("tasks[1].input.block", 11)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ('input: {x: "{{ 1 + }}"}', "tasks[0].input.x"),
        ('input: {x: {y: ["a", "{{ nope(1) }}"]}}', "tasks[0].input.x.y[1]"),
        ('with_items: "{{ [1, }}"', "tasks[0].with_items"),
        ('with_items: [1, "{{ nope() }}"]', "tasks[0].with_items[1]"),
        ('with_items: [1], concurrency: "{{ nope() }}"', "tasks[0].concurrency"),
        ('when: "nope()"', "tasks[0].when"),
        ('when: "{{ 1 + }}"', "tasks[0].when"),
        ('retry: {count: 1, on_error: "nope()"}', "tasks[0].retry.on_error"),
        ('cache: {ttl: 1, key: "{{ nope() }}"}', "tasks[0].cache.key"),
        ('worker_selector: {zone: "{{ nope() }}"}', "tasks[0].worker_selector.zone"),
        ('worker_tolerations: ["{{ nope() }}"]', "tasks[0].worker_tolerations[0]"),
        ('worker_affinity: "{{ nope() }}"', "tasks[0].worker_affinity"),
        ('next: [{when: "nope()"}]', "tasks[0].next[0].when"),
        ('next: [{publish: [{x: {y: "{{ nope() }}"}}]}]', "tasks[0].next[0].publish[0].x.y"),
        ('next: [{publish: {x: "{{ nope() }}"}}]', "tasks[0].next[0].publish.x"),
        ('decision: [{when: "nope()", next: a2}]', "tasks[0].decision[0].when"),
        ('publish: [{x: "{{ nope() }}"}]', "tasks[0].publish[0].x"),
    ],
)
def test_every_template_is_compiled_at_load(fields: str, path: str) -> None:
    """Syntax errors and unknown functions are found before anything runs."""
    text = f"tasks: [{{name: a, action: c.d, {fields}}}, {{name: a2, action: c.d}}]"

    (found,) = problems(text)
    assert found.path == path


def test_an_unknown_function_in_the_output_is_told_too() -> None:
    """The output map is a set of templates."""
    assert "output_map.x: " in problem('tasks: [{name: a, action: c.d}]\noutput_map: {x: "{{ nope() }}"}')


def test_an_unknown_variable_is_a_warning() -> None:
    """It may be published; the hint tells a near name, or that it is a parameter."""
    text = """
parameters: {host: {type: string}}
vars: {servers: []}
tasks:
  - name: a
    action: c.d
    input: {x: "{{ workflow.severs }}", y: "{{ host }}", z: "{{ seen }}"}
    next: [{publish: [seen, {other: 1}]}]
output_map:
  o: "{{ other }}"
"""
    assert warnings(text) == [
        "7:29 the workflow variable `severs` is never set (did you mean `servers`?)",
        "7:48 the workflow variable `host` is never set (write `parameters.host`)",
    ]


def test_item_needs_with_items() -> None:
    """Its own, or those of the task around it."""
    assert problem('tasks: [{name: a, action: c.d, input: {x: "no {{ index }}"}}]') == (
        "w.yaml:1:50: tasks[0].input.x: `item` and `index` exist in tasks with `with_items` only (add `with_items`)"
    )
    subtasks = 'type: parallel, tasks: [{name: x, action: c.d, input: {x: "{{ item }}"}}]'
    assert parse_workflow(f"tasks: [{{name: p, with_items: [1], {subtasks}}}]").warnings == ()
    assert len(warnings('tasks: [{name: a, action: c.d}]\noutput_map: {x: "{{ item }}"}')) == 1


def test_result_outside_of_transitions_is_a_warning() -> None:
    """There it has no value."""
    (warning,) = warnings('tasks: [{name: a, action: c.d, input: {x: "{{ result() }}"}, next: [{when: result().ok}]}]')

    assert warning.startswith("1:47 result()")


def test_a_long_circle_of_data_is_told_in_few_words() -> None:
    """And found in linear time."""
    tasks = "".join(
        f"- {{name: t{i}, action: c.d, input: {{x: '{{{{ task.t{(i + 1) % 300} }}}}'}}}}\n" for i in range(300)
    )

    assert "`t0` reads the result of `t1`, " in (told := problem(f"tasks:\n{tasks}"))
    assert told.endswith(" and 290 more (break the circle)")


def test_many_faults_are_all_told() -> None:
    """The search for close names ends before it takes long."""
    tasks = "".join(f"- {{name: t{i}, action: c.d, next: [{{do: nope{i}}}]}}\n" for i in range(1_000))

    assert len(problems(f"tasks:\n{tasks}")) == 1_000


def test_literals_are_never_templates() -> None:
    """Workflow variables are not rendered, and keys are not."""
    text = 'vars: {x: "{{ nope( }}"}\ntasks: [{name: a, action: c.d, input: {"{{ nope( }}": 1}}]'

    assert parse_workflow(text).warnings == ()
