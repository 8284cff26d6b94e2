"""What loading a file tells about its templates: place, expression and what was meant."""

import pytest

from attune_ray.errors import InvalidWorkflowError
from attune_ray.model import parse_workflow

FAN_OUT = ["error", "failed_count", "failed_items", "output", "result", "results", "succeeded", "succeeded_count"]
FAN_OUT += ["total_count"]


def problems(text: str) -> list[str]:
    """What is wrong with a text."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow(text, source="w")
    return [str(problem) for problem in caught.value.problems]


def warnings(text: str) -> list[str]:
    """What is odd about a valid text."""
    return [f"{found.location.column} {found.message} ({found.hint})" for found in parse_workflow(text).warnings]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("lenght(item)", "unknown function 'lenght' (did you mean `length`?)"),
        ("item | uper", "unknown filter 'uper' (did you mean `upper`?)"),
        ("item is evn", "unknown test 'evn' (did you mean `even`?)"),
        ("item | map('uper')", "unknown filter 'uper' (did you mean `upper`?)"),
        ("item | select('evn')", "unknown test 'evn' (did you mean `even`?)"),
        ("item | selectattr('a', 'evn')", "unknown test 'evn' (did you mean `even`?)"),
        ("split(item)", "split() takes 2 arguments, not 1"),
        ("item | upper(1)", "the filter 'upper' takes no arguments, not 1"),
        ("item | join('a', 'b', 'c')", "the filter 'join' takes 2 arguments at most, not 3"),
        ("item | sort(revers=true)", "the filter 'sort' takes no 'revers' (did you mean `reverse`?)"),
        ("item | replace('a')", "the filter 'replace' needs 'new'"),
        ("item | round(1, precision=2)", "the filter 'round' is given 'precision' twice"),
        ("item is divisibleby", "the test 'divisibleby' needs 'number'"),
        ("item is defined(1)", "the test 'defined' takes no arguments, not 1"),
        ("match('(', item)", "the pattern is not a valid regular expression (RE2 syntax)"),
    ],
)
def test_an_expression_is_told_with_what_was_meant(expression: str, told: str) -> None:
    """Names, and how much they take."""
    text = f'tasks: [{{name: a, action: c.d, with_items: [1], input: {{x: "{{{{ {expression} }}}}"}}}}]'

    (found,) = problems(text)
    assert found.startswith("w:1:")
    assert found.endswith(f"tasks[0].input.x: `{expression}`: {told}")


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Each at its own place, in the order of the file."""
    text = """
tasks:
  - name: a
    action: c.d
    input: {x: "{{ 1 + }}", y: "{{ nope() }}", z: "{{ task.gone.x }}"}
    next: [{when: "{{ task.b. }}", do: [c]}]
  - {name: b, action: c.d, join: 2}
output_map:
  o: "{{ task.bb.x }}"
"""
    assert [found.split(":")[1] for found in problems(text)] == ["5", "5", "5", "6", "6", "7", "9"]


def test_a_parameter_that_is_not_declared_is_a_warning() -> None:
    """Where the workflow declares parameters, and says of none that there may be more."""
    task = 'tasks: [{name: a, action: c.d, input: {x: "{{ parameters.hots }}", y: "{{ parameters[\'zzz\'] }}"}}]'

    assert warnings(f"parameters: {{host: {{type: string}}}}\n{task}") == [
        "47 the workflow declares no parameter `hots` (did you mean `host`?)",
        "75 the workflow declares no parameter `zzz` (declare it in `parameters`)",
    ]
    assert warnings(task) == []
    assert warnings(f"parameters: {{type: object, additionalProperties: true}}\n{task}") == []


def test_a_key_that_a_result_cannot_have_is_a_warning() -> None:
    """Of a fan-out and of a parallel task; a plain task's result is its action's."""
    text = """
tasks:
  - {name: many, action: c.d, with_items: [1]}
  - {name: both, type: parallel, tasks: [{name: x, action: c.d}]}
  - {name: one, action: c.d}
output_map: {a: "{{ task.many.result }}", b: "{{ task.many.reslts }}", c: "{{ task.both.x }}", d: "{{ task.both.y }}",
  e: "{{ task.one.results }}", f: "{{ task.many.stdout }}"}
"""
    assert [found.partition(" ")[2] for found in warnings(text)] == [
        "the result of the fan-out `many` has no key `reslts` (did you mean `results`?)",
        "the result of the parallel task `both` has no key `y` (it has error, output, result, succeeded, x)",
        "the result of the fan-out `many` has no key `stdout` (it has " + ", ".join(FAN_OUT) + ")",
    ]
