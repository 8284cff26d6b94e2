"""Hostile files and templates: only our errors come out, and soon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attune_ray.errors import AttuneError
from attune_ray.expression import WorkflowContext, compile_condition, compile_value
from attune_ray.model import parse_workflow

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MOST_S = 3.0  # for one text, on a machine that is busy; a calm one takes a fifth
CONTEXT = WorkflowContext(
    parameters={"p": 1}, variables={"x": [3, 1, 2], "t": "a" * 50}, tasks={}, system={}, now="2020", seed="s"
)


@contextmanager
def soon() -> Iterator[None]:
    """Only our errors, within the time."""
    start = time.process_time()
    with suppress(AttuneError):
        yield
    assert time.process_time() - start < MOST_S


def rendered(text: str) -> None:
    """As a value and as a condition."""
    for build in (compile_value, compile_condition):
        with soon():
            build(text).render(CONTEXT.for_item("i", 0))


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
HOSTILE = {
    "alias bomb": LAUGHS,
    "alias to itself": "tasks: &a [*a]",
    "merge bomb": "b: &b0 {k: 1}\n" + "".join(f"b{i}: &b{i} {{<<: [*b{i - 1}, *b{i - 1}]}}\n" for i in range(1, 60)),
    "merge of itself": "tasks: &a {<<: *a}",
    "deep lists": "[" * 100_000,
    "deep maps": "{a: " * 100_000,
    "deep blocks": "".join(f"{' ' * i}a:\n" for i in range(1_000)),
    "deep JSON": '{"tasks":' * 5_000 + "1" + "}" * 5_000,
    "huge integer": f"tasks: {'9' * 500_000}",
    "huge float": f"tasks: [{{name: a, action: c.d, timeout: 1e{'9' * 5_000}}}]",
    "huge retry": f"tasks: [{{name: a, action: c.d, retry: {{count: {'1' * 4_000}}}}}]",
    "tags": "!!python/object/apply:os.system ['true']",
    "binary": "tasks: !!binary aGVsbG8=",
    "surrogate": '{"tasks": "\\ud800"}',
    "half a pair": 'tasks: ["\\udc00\\ud800"]',
    "nulls": "\0" * 1_000,
    "many documents": "---\n" * 10_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(50_000)),
    "same key": "k: 1\n" * 50_000,
    "many anchors": "".join(f"k{i}: &a{i} 1\n" for i in range(20_000)),
    "long key": f"{'k' * 100_000}: 1",
    "percent": "tasks: [{name: a, action: c.d, with_items: [1], tolerate: " + "1" * 50_000 + "%}]",
    "memory": "tasks: [{name: a, action: c.d, resources: {memory: " + "1" * 50_000 + "x}}]",
    "action": f"tasks: [{{name: a, action: {'a.' * 50_000}}}]",
    "braces": "tasks: [{name: a, action: c.d, input: {x: '" + "{{" * 50_000 + "'}}]",
    "blocks": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 }}" + "{%" * 50_000 + "'}}]",
    "comments": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 }}" + "{#" * 50_000 + "#}'}}]",
    "raw": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 }}" + "{% raw %}" * 20_000 + "'}}]",
    "open tag": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 }}{% if " + "{% " * 20_000 + "%}'}}]",
    "dashes": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 }}{%-" + " " * 50_000 + "x" + "{%- " * 9_000 + "%}'}}]",
    "brackets": "tasks: [{name: a, action: c.d, input: {x: '{{ " + "[" * 50_000 + " }}'}}]",
    "operators": "tasks: [{name: a, action: c.d, input: {x: '{{ " + "1 + " * 20_000 + "1 }}'}}]",
    "words": "tasks: [{name: a, action: c.d, input: {x: '{{ " + "not " * 20_000 + "1 }}'}}]",
    "filters": "tasks: [{name: a, action: c.d, input: {x: '{{ 1 " + "| abs " * 20_000 + " }}'}}]",
    "keys": "tasks: [{name: a, action: c.d, input: {x: '{{ vars" + ".a" * 20_000 + " }}'}}]",
    "pattern": "tasks: [{name: a, action: c.d, when: 'match(\"" + "(a{1,1000})" * 500 + '", "a")\'}]',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_read_or_refused_soon(text: str) -> None:
    """Whatever it does to a reader."""
    with soon():
        parse_workflow(text)


DOUBLED = (
    "{% set n = namespace(a=[1, 2], b=[1, 2]) %}{% for i in range(SIZE) %}"
    "{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}"
)
USES = [
    *("n.a", "n.a == n.b", "n.a < n.b", "n.a in [n.b]", "sort([n.a, n.b])", "n.a | sort", "n.a | tojson", "n.a ~ n.b"),
    *("unique(n.a)", "join(n.a, ',')", "max(n.a, n.b)", "contains(n.a, n.b)", "n.a is eq(n.b)", "n.a | map('string')"),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("size", [17, 20, 60])
def test_a_structure_that_doubles_is_refused_at_once(use: str, size: int) -> None:
    """It takes no memory, and a walk over it would never end."""
    template = compile_value(f"{DOUBLED.replace('SIZE', str(size))}{{{{ {use} }}}}")
    start = time.process_time()
    with soon():
        template.render(CONTEXT.for_task())
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(1000) %}" * 3 + "{{ 1 }}" + "{% endfor %}" * 3,
        "{% for i in range(1000) %}{% set x = range(1000000) %}{% endfor %}{{ 1 }}",
        "{% for i in range(1000) %}{% set x = t * 2 %}{% endfor %}{{ 1 }}",
        "{% set n = namespace(a=t) %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}",
        "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(50) }}",
        "{% macro m(a, a) %}{% endmacro %}{{ 1 }}",
        "{% for a in x %}" * 25 + "{{ 1 }}" + "{% endfor %}" * 25,
        "{% if true %}" * 3_000 + "{{ 1 }}" + "{% endif %}" * 3_000,
        "{% set v %}" * 99 + "{{ 1 }}" + "{% endset %}" * 99,
        "{% include 'x' %}{{ 1 }}",
        "{% raw %}{{ 1 }}",
        "{% for i in x %}{{ loop.__class__ }}{% endfor %}",
        "{{ match('(a|a)*$' ~ t, t ~ t) }}{{ match('((a{0,99}){0,99}){0,99}', t) }}",
    ],
)
def test_a_hostile_block_ends_soon(text: str) -> None:
    """Loops, macros, texts that grow, and Python's own limits."""
    rendered(text)


WORDS = st.sampled_from(
    ["tasks", "name", "action", "next", "do", "with_items", "<<", "input", "workflow", "parameters", "when", "vars"]
)
SCALARS = st.sampled_from(
    [
        *(
            "a",
            "c.d",
            "{{ task.a }}",
            "{{ x | y }}",
            "{% if x %}{{ 1 }}",
            "~",
            "1e999",
            "-0",
            "0x1F",
            "1_000",
            "!!int x",
        ),
        *(
            "*a",
            "&a b",
            '"\\ud800"',
            "'",
            '"',
            "|",
            ">-",
            "- ",
            "? x",
            "[",
            "]",
            "{",
            "}",
            "!",
            "%TAG ! x",
            "...",
            "---",
        ),
        *("99999999999999999999999", "\ufeff", "\u2028", "\x85", "{{ match('[', x) }}", "2020-01-01", "0o7", "# x"),
    ]
)
LINES = st.tuples(st.integers(0, 4), st.sampled_from(["", "- ", "? "]), WORDS, SCALARS | st.text(max_size=6)).map(
    lambda parts: f"{'  ' * parts[0]}{parts[1]}{parts[2]}: {parts[3]}"
)


@SETTINGS
@given(st.lists(LINES, max_size=12).map("\n".join) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_a_random_file_is_read_or_refused(text: str) -> None:
    """Indentation, markers and scalars thrown together; any bytes."""
    with soon():
        parse_workflow(text)


TOKENS = st.sampled_from(
    [
        *("x", "t", "item", "task", "1", "0.5", "'a'", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|", "~", "+", "-"),
        *(
            "*",
            "/",
            "%",
            "==",
            "<",
            "in",
            "not",
            "and",
            "is",
            "if",
            "else",
            "length",
            "sort",
            "default",
            "map",
            "range",
        ),
        *("match", "join", "upper", "namespace", "loop", "__class__", "é", "\\", '"', "=", "**", "//", "\n", "true"),
    ]
)
STATEMENTS = st.sampled_from(
    [
        *("{% for v in x %}", "{% endfor %}", "{% if x %}", "{% else %}", "{% endif %}", "{% set v = x %}", "{{ v }}"),
        *("{% set n = namespace(a=x) %}", "{% set n.a = [n.a, n.a] %}", "{{ n.a }}", "{% macro m(a) %}", "{{ m(x) }}"),
        *("{% endmacro %}", "{% call m(1) %}", "{% endcall %}", "{% filter upper %}", "{% endfilter %}", "{# c #}"),
        *("{% raw %}", "{% endraw %}", "{% with a = x %}", "{% endwith %}", "{% import 'a' as b %}", "{%- x -%}", "{%"),
        *(
            "{{ loop.index }}",
            "{{ loop(x) }}",
            "{% for v in x recursive %}",
            "{{ caller() }}",
            "{% do x %}",
            "}}",
            "{{",
        ),
    ]
)


@SETTINGS
@given(st.lists(TOKENS, max_size=14).map(" ".join))
def test_random_words_are_an_expression_or_refused(source: str) -> None:
    """With and without braces."""
    rendered(f"{{{{ {source} }}}}")
    rendered(source)


@SETTINGS
@given(st.lists(STATEMENTS | TOKENS, max_size=10).map(" ".join))
def test_random_statements_are_a_text_or_refused(text: str) -> None:
    """The machinery of blocks."""
    rendered(f"{text}{{{{ 1 }}}}{{# #}}")


@SETTINGS
@given(st.lists(st.sampled_from(list("ab()[]{}|*+?.^$\\1,-:<>=!P9")) | st.characters(), max_size=20).map("".join))
def test_any_pattern_matches_or_is_refused(pattern: str) -> None:
    """RE2's time is linear in the text, whatever the pattern."""
    context = WorkflowContext(
        parameters={}, variables={"p": pattern, "t": "ab" * 5_000}, tasks={}, system={}, now="", seed=""
    )
    with soon():
        compile_value("{{ match(p, t) }}").render(context.for_task())
    with soon():
        compile_value("{{ match('" + pattern.replace("\\", "\\\\").replace("'", "\\'") + "', t) }}").render(
            context.for_task()
        )
