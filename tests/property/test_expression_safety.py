"""Whatever a template or a value is, only our errors come out, in bounded time, and data stays data."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attune_ray.errors import AttuneError
from attune_ray.expression import WorkflowContext, compile_condition, compile_expression, compile_value, to_text

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ATOMS = st.sampled_from(
    [
        "x",
        "y",
        "item",
        "index",
        "task",
        "parameters",
        "1",
        "0",
        "2.5",
        "'a'",
        "''",
        "true",
        "null",
        "[]",
        "[1, x]",
        "{}",
    ]
)
BINARY = st.sampled_from(
    ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "not in", "and", "or", "~", "if x else"]
)
SUBSCRIPTS = (".a", "['a']", "[0]", "[-1]", "[x]", "[1:]", ".__class__", " is defined", " is even")
FILTERS = ("length", "default(1)", "sort", "upper", "join", "map('abs') | list", "unique", "first", "int", "format(x)")
MORE_FILTERS = ("sum", "center(y)", "items", "dictsort", "round(x)", "batch(2)", "tojson", "string", "list")
SUFFIX = st.sampled_from([*SUBSCRIPTS, *(f" | {name}" for name in (*FILTERS, *MORE_FILTERS))])
CALLS = st.sampled_from(
    ["length", "sort", "unique", "sum", "keys", "int", "number", "range", "flat", "string", "lower", "round", "trim"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, BINARY, inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(inner, SUFFIX).map(lambda parts: f"({parts[0]}{parts[1]})"),
        st.tuples(CALLS, inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        inner.map(lambda part: f"not ({part})"),
    ),
    max_leaves=6,
)
SOUP = st.lists(
    st.sampled_from(
        ["{{", "}}", "{%", "%}", "{#", "#}", " ", "x", ".", "[", "]", "(", ")", "'", '"', "\\", "|", "1", "-"]
    )
    | st.sampled_from(
        ["for", "in", "if", "endif", "endfor", "set", "=", "is", "not", "é", "\n", "__class__", ",", "~"]
    ),
    max_size=14,
).map(" ".join)


def context(x: Any, y: Any) -> WorkflowContext:
    """A run with two variables."""
    return WorkflowContext(
        parameters={"x": x}, variables={"x": x, "y": y}, tasks={}, system={}, now="2020-01-01T00:00:00Z", seed="s"
    )


@given(EXPRESSIONS, JSON, JSON)
def test_an_expression_gives_a_value_or_one_of_our_errors(text: str, x: Any, y: Any) -> None:
    """On any data; never a KeyError, a MemoryError or an endless loop."""
    try:
        compile_expression(text).render(context(x, y).for_item(x, 0))
    except AttuneError:
        return


@given(EXPRESSIONS, JSON, JSON)
def test_a_block_gives_a_text_or_one_of_our_errors(text: str, x: Any, y: Any) -> None:
    """The same expressions through Jinja2's own machinery."""
    try:
        compile_value(f"{{# c #}}{{{{ {text} }}}}{{% for v in x %}}{{{{ v }}}}{{% endfor %}}").render(
            context(x, y).for_item(x, 0)
        )
    except AttuneError:
        return


@given(SOUP | st.text(max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    """As a value and as a condition."""
    for build in (compile_value, compile_condition):
        try:
            build(text).render(context(1, [2]).for_task())
        except AttuneError:
            continue


@given(JSON)
def test_data_is_never_a_template(data: Any) -> None:
    """What holds braces arrives as it is."""
    value = {"a": "{{ 1 }}", "b": data, "c": "{% x %}"}

    assert compile_value("{{ x }}").render(context(value, 0).for_task()) == value
    assert compile_value("-{{ x.a }}{{ x.c }}").render(context(value, 0).for_task()) == "-{{ 1 }}{% x %}"


@given(JSON)
def test_the_text_of_a_list_is_its_json(data: Any) -> None:
    """Compact, keys sorted, non-ASCII kept."""
    assert json.loads(to_text([data])) == [data]
