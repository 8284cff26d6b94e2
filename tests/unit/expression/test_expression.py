"""Expressions: operators, access, names, literals, what is refused and how it is told."""

from collections.abc import Callable
from typing import Any

import pytest

from attune_ray.errors import EvaluationError, ExpressionSyntaxError
from attune_ray.expression import WorkflowContext, compile_expression, compile_value

Evaluate = Callable[[str], Any]


def same(value: Any, expected: Any) -> bool:
    """Equality that keeps 1, 1.0 and true apart."""
    return repr(value) == repr(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6 / 3", 2),
        ("7 / 2", 3.5),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("5.5 % -2", 1.5),
        ("1 + 1.0", 2.0),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("1 == true", False),
        ("[1, {'a': true}] == [1.0, {'a': true}]", True),
        ("[true] == [1]", False),
        ("'1' != 1", True),
        ("2 < 10 == true", True),
        ("[1, 2] < [1, 2, 0]", True),
        ("zero == 0", True),
        ("zero == false", False),
        ("o.x == null", True),
        ("2 and 'x'", True),
        ("zero or ''", False),
        ("false and missing", False),
        ("not []", True),
        ("1.0 in [1]", True),
        ("true in [1]", False),
        ("'x' in o", True),
        ("'d' not in 'abc'", True),
        ("007", 7),
        (r"'\d'", r"\d"),
        (r"'a\tb\\'", "a\tb\\"),
        ("'x' ~ 1 ~ null ~ true ~ [1]", "x1true[1]"),
        ("'y' if zero else 'n'", "n"),
        ("'y' if zero", None),
        ("food[1:]", [2, 3]),
        ("food[::-1]", [3, 2, 1]),
        ("(1, 'a')", [1, "a"]),
        ("{'a': {'b': [1]}}.a.b[0]", 1),
        ("None == none", True),
    ],
)
def test_operators_follow_the_language(evaluate: Evaluate, text: str, expected: Any) -> None:
    """Types are kept apart, nothing is coerced, and, or, not give booleans."""
    assert same(evaluate(text), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters.deep.list[-1]", 3),
        ("task['fetch'].code", 200),
        ("tasks.fetch['data-id']", 7),
        ("vars.food[parameters.n]", 3),
        ("workflow.zero", 0),
        ("variables.zero", 0),
        ("config.url", "https://h"),
        ("keystore", None),
        ("system.run_id", "r1"),
        ("item.id", 1),
        ("index", 3),
        ("result().status", "ok"),
        ("succeeded() and not failed() and not timed_out()", True),
        ("task.fetch.column[1]", 20),
        ("20 in task.fetch.column", True),
        ("task.fetch.column == [10, 20, 30]", True),
        ("length(task.fetch.column)", 3),
        ("task.fetch.column", [10, 20, 30]),
        ("now()", "2020-01-02T00:00:00Z"),
    ],
)
def test_names_reach_the_context(evaluate: Evaluate, text: str, expected: Any) -> None:
    """Every root, and lazy lists as lists."""
    assert same(evaluate(text), expected)


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [
        ("item.health_endpoint", "item has no key 'health_endpoint'; it has id, name", 4),
        ("parameters.port.x", "parameters.port is a text, '.x' needs an object", 15),
        ("1 + parameters.deep.y", "parameters.deep has no key 'y'; it has list", 19),
        ("parameters.prt", "there is no parameter 'prt'; did you mean 'port'?", 10),
        ("fod", "unknown name 'fod'; did you mean 'food'?", 0),
        ("port", "unknown name 'port'; a parameter is read as 'parameters.port'", 0),
        ("fetch", "unknown name 'fetch'; a task's result is read as 'task.fetch'", 0),
        ("food[5]", "index 5 is out of range: food has 3 elements", 4),
        ("task.other.x", "task 'other' has not ended", 4),
        ("task[item.name].x", "task[item.name] names a task that has not ended", 4),
        ("item[parameters.port]", "item has no key [parameters.port]; it has id, name", 4),
        ("food[true]", "a list is indexed by an integer, not by a boolean", 4),
        ("item[0]", "item is an object, indexed by a text, not by a number", 4),
        ("zero.x", "zero is a number, '.x' needs an object", 4),
        ("1 + 'a'", "'+' needs two numbers, two texts or two lists, not a number and a text", 0),
        ("1 / zero", "division by zero", 0),
        ("null < 1", "'<' cannot order null and a number", 0),
        ("lower(5)", "lower() needs a text, not a number", 5),
        ("-true", "'-' needs a number, not a boolean", 0),
        ("1e308 * 10", "the result is not a finite number", 0),
        ("9223372036854775807 * 4", "the result does not fit into 64 bits", 0),
    ],
)
def test_an_error_names_what_is_missing_and_where(evaluate: Evaluate, text: str, reason: str, offset: int) -> None:
    """Names and types, never a value."""
    with pytest.raises(EvaluationError) as caught:
        evaluate(text)

    assert (caught.value.reason, caught.value.expression, caught.value.offset) == (reason, text, offset)


def test_item_is_unknown_outside_a_fan_out(context: WorkflowContext) -> None:
    """Reading it is an error; not reading it is none."""
    assert compile_expression("false and item").render(context.for_task()) is False
    with pytest.raises(EvaluationError, match="item is only known inside with_items"):
        compile_expression("item.x").render(context.for_task())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the expression is empty"),
        ("2 ** 3", "there is no operator '**'"),
        ("7 // 2", "there is no operator '//'"),
        ("[1, 2,]", "there is a comma too many before ']'"),
        ("length(1,)", "there is a comma too many before ')'"),
        ("'a' 'b'", "two texts stand side by side; join them with '+'"),
        ("é", "a name is made of ASCII letters, digits and '_'"),
        ("a.1", "after '.' a name is due"),
        ("[in]", "'in' is a word of the language, not a name"),
        ("'a'.upper()", "only a function can be called, by its bare name"),
        ("length(v=1)", "length() takes its arguments by position alone"),
        ("lenght(food)", "unknown function 'lenght'; did you mean 'length'?"),
        ("length(1, 2)", "length() takes 1 argument, not 2"),
        ("range()", "range() takes 1 or 2 arguments, not 0"),
        ("food | uper", "unknown filter 'uper'; did you mean 'upper'?"),
        ("food is defned", "unknown test 'defned'; did you mean 'defined'?"),
        ("()", "'()' is empty"),
        ("+1", "there is no sign '+'"),
        ("1 2", "unexpected 2"),
        ("1e999", "the number is too large"),
        ("9" * 30, "the integer does not fit into 64 bits"),
        ("match('(', 'x')", "the pattern is not a valid regular expression (RE2 syntax)"),
        ("(" * 33 + "1" + ")" * 33, "it is nested deeper than 32 brackets"),
        ("1" + "+1" * 200, "it is nested too deeply; split it into several steps"),
        ("not " * 5000 + "1", "it is nested too deeply"),
    ],
)
def test_what_is_not_of_the_language_is_refused_when_it_is_compiled(text: str, reason: str) -> None:
    """Jinja2's parser alone would accept most of these."""
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(text)

    assert caught.value.reason == reason


def test_a_syntax_error_tells_its_place_in_a_nested_value() -> None:
    """The path of the text and the offset in it."""
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value({"headers": {"x": ["ok", "a {{ 1 + }} b"]}}, path="input")

    assert (caught.value.path, caught.value.offset) == ("input.headers.x[1]", 7)


@pytest.mark.parametrize(
    "text",
    ["'a'.__class__", "food.__len__", "item['__class__']", "food | map(attribute='__class__') | list", "item.keys"],
)
def test_no_attribute_of_python_is_reachable(evaluate: Evaluate, text: str) -> None:
    """A dot is a key of an object and nothing else."""
    with pytest.raises(EvaluationError):
        evaluate(text)
