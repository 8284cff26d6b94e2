"""Functions, filters and tests."""

from collections.abc import Callable
from typing import Any

import pytest

from attune_ray.errors import EvaluationError
from attune_ray.expression import WorkflowContext, compile_expression

Evaluate = Callable[[str], Any]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string(null)", "null"),
        ("string([1, 'é'])", '[1,"é"]'),
        ("number('4')", 4.0),
        ("number(true)", 1.0),
        ("int(-3.9)", -3),
        ("int('3.9')", 3),
        ("int(true)", 1),
        ("bool([])", False),
        ("type_of(1)", "number"),
        ("type_of(true)", "boolean"),
        ("length('é')", 2),
        ("keys({'b': 1, 'a': 2})", ["a", "b"]),
        ("values({'b': 1, 'a': 2})", [2, 1]),
        ("floor(-1.5)", -2),
        ("ceil(-1.5)", -1),
        ("round(-2.5)", -3),
        ("round(0.49999999999999994)", 0),
        ("min(1, 2.5)", 1.0),
        ("max([1], [2])", [2]),
        ("sum([])", 0),
        ("split('abc', '')", ["", "a", "b", "c", ""]),
        ("join([1, null, 'a'], '-')", "1-null-a"),
        ("match('(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaab')", False),
        ("reversed('abc')", "cba"),
        ("sort([3, 1.5, 2])", [1.5, 2, 3]),
        ("sort([[2], [1, 5]])", [[1, 5], [2]]),
        ("sort([null])", [None]),
        ("unique([1, true, 1.0, '1', [1], [1.0], {'a': 1}, {'a': 1}])", [1, True, "1", [1], {"a": 1}]),
        ("flat([[1], 2, [[3]]])", [1, 2, [3]]),
        ("zip([1, 2], ['a'])", [[1, "a"]]),
        ("range(5, 2)", []),
        ("slice('héllo', 1, 3)", "él"),
        ("slice([1, 2], -1)", []),
        ("index_of('hél', 'l')", 3),
        ("index_of([1], 2)", -1),
        ("count('banana', 'an')", 2),
        ("merge({'a': 1}, {'a': 2})", {"a": 2}),
        ("chunks([1, 2, 3], 2)", [[1, 2], [3]]),
        ("contains('abc', 'b')", True),
    ],
)
def test_a_function_gives_what_the_language_says(evaluate: Evaluate, text: str, expected: Any) -> None:
    """One case for each rule that is not plain."""
    assert repr(evaluate(text)) == repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        "int('1_000')",
        "int(' 1')",
        "number('nan')",
        "int(null)",
        "min(1, 'a')",
        "sum([true])",
        "sort([1, 'a'])",
        "sort([true, false])",
        "range(2.0)",
        "range(1, null)",
        "range(2000000)",
        "slice('abc', '1')",
        "chunks([1], 0)",
        "merge({}, null)",
        "values([1])",
        "match(1, 'a')",
    ],
)
def test_a_function_refuses_other_types(evaluate: Evaluate, text: str) -> None:
    """Never a Python error, never a guess."""
    with pytest.raises(EvaluationError):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("missing | default(1)", 1),
        ("parameters.a.b | default('x')", "x"),
        ("o.x.y | default(missing | default(2))", 2),
        ("zero | default(5)", 0),
        ("zero | default(5, true)", 5),
        ("task.other.x is defined", False),
        ("missing is undefined and item.id is defined", True),
        ("[] | first | default('none')", "none"),
        ("xs | map(attribute='n') | join(', ')", "a, b"),
        ("xs | selectattr('v', 'gt', 1) | map(attribute='n') | list", ["b"]),
        ("xs | sum(attribute='v')", 3),
        ("xs | groupby('n') | map('first') | list", ["a", "b"]),
        ("{'b': 1} | items", [["b", 1]]),
        ("[1, null, true] | join('-')", "1--true"),
        ("food | reject('odd') | list", [2]),
        ("food | batch(2)", [[1, 2], [3]]),
        ("5 is odd and 'a' is in 'abc'", True),
        ("1 is sameas true", False),
        ("[1, 2] | tojson", "[1, 2]"),
        ("'%05.1f|%s' | format(2.5, [1])", "002.5|[1]"),
        ("item | length", 2),
    ],
)
def test_filters_and_tests_are_those_of_jinja(evaluate: Evaluate, text: str, expected: Any) -> None:
    """On JSON values; generators and tuples come out as lists."""
    assert repr(evaluate(text)) == repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        "'a' | center(100000000)",
        "'%999999999d' | format(1)",
        "'%*d' | format(999999999, 1)",
        "'%1000000000d' is even",
        "[1] | batch(100000000, 0)",
        "'a' | indent(100000000)",
        "range(4000) | join(range(4000) | join('x'))",
        "missing | upper",
        "5 | length",
        "'x' | round",
    ],
)
def test_a_filter_is_bounded_and_raises_our_errors(evaluate: Evaluate, text: str) -> None:
    """No width, count or wrong operand gets through to Python."""
    with pytest.raises(EvaluationError):
        evaluate(text)


def test_a_uuid_differs_by_item_and_place_and_can_be_repeated(context: WorkflowContext) -> None:
    """It is derived from the seed, so that an evaluation can be done again elsewhere."""
    template = compile_expression("[uuid(), uuid()]")

    first, second = template.render(context.for_item("a", 0)), template.render(context.for_item("a", 1))

    assert template.render(context.for_item("b", 0)) == first
    assert len({*first, *second}) == 4
    assert compile_expression("uuid()", path="a").render(context.for_task()) != compile_expression(
        "uuid()", path="b"
    ).render(context.for_task())
