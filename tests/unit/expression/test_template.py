"""Templates: pure and mixed texts, nested values, conditions, blocks, references."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from attune_ray.errors import EvaluationError, ExpressionSyntaxError
from attune_ray.expression import (
    ItemContext,
    References,
    WorkflowContext,
    compile_condition,
    compile_text,
    compile_value,
    to_text,
)

Render = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ food }}", [1, 2, 3]),
        ("\n {{ zero }} ", 0),
        ("{{ zero }}{{ zero }}", "00"),
        ("v={{ food }}", "v=[1,2,3]"),
        ("v={{ o.x }}", "v="),
        ("v={{ true }} {{ 2.0 }} {{ 'é' }}", "v=true 2.0 é"),
        ("v={{ {'b': 1, 'a': 'é'} }}", 'v={"a":"é","b":1}'),
        ("v={{ task.fetch.column }}", "v=[10,20,30]"),
        ("{{ '}}' }}", "}}"),
        ("{{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("open {{ only", "open {{ only"),
        ("{{ zero }} {{", "0 {{"),
        ("{% if x %}y{% endif %}", "{% if x %}y{% endif %}"),
        ("{# note #}", "{# note #}"),
        ("%{code} {{ zero }} {# open", "%{code} 0 {# open"),
        ("{{ parameters.tpl }}", "{{ 1 + 1 }}"),
        ("x{{ parameters.tpl }}", "x{{ 1 + 1 }}"),
    ],
)
def test_a_pure_text_keeps_its_type_and_a_mixed_one_is_text(render: Render, text: str, expected: Any) -> None:
    """Data is never a template."""
    assert repr(render(text)) == repr(expected)


def test_a_mixed_text_ends_an_expression_at_the_first_braces() -> None:
    """Even inside a string: only a pure text is read with its strings."""
    with pytest.raises(ExpressionSyntaxError):
        compile_text("x {{ '}}' }}")


def test_a_nested_value_is_rendered_whole_and_its_keys_are_not(render: Render, scope: ItemContext) -> None:
    """Each call makes what holds a template anew; the source stays as it was."""
    source = {"{{ zero }}": ["{{ index }}", {"n": "{{ item.id }}", "c": [1.5, None]}], "k": True}
    before = copy.deepcopy(source)
    template = compile_value(source)

    assert render(source) == {"{{ zero }}": [3, {"n": 1, "c": [1.5, None]}], "k": True}
    assert source == before
    assert template.render(scope) is not template.render(scope)
    assert not template.is_constant


def test_a_value_without_templates_is_constant(scope: ItemContext) -> None:
    """Nothing is compiled for it."""
    template = compile_value({"a": [1, "x"]})

    assert template.is_constant
    assert template.references == References()
    assert template.render(scope) == {"a": [1, "x"]}


def test_an_error_tells_the_path_in_the_value(render: Render) -> None:
    """The path, the expression, the reason."""
    with pytest.raises(EvaluationError) as caught:
        render({"headers": [{"x": "a {{ item.zz }}"}]})

    assert str(caught.value) == "headers[0].x: {{ item.zz }}: item has no key 'zz'; it has id, name"
    assert caught.value.offset == 9


def test_a_template_travels_between_processes(scope: ItemContext) -> None:
    """It is pickled by its source."""
    template = pickle.loads(pickle.dumps(compile_value({"a": "{{ item.id }}"}, path="input")))  # noqa: S301 - our own bytes

    assert template.render(scope) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("item.id", True),
        ("{{ zero }}", False),
        (" {{ food }} ", True),
        ("YES{{ '' }}", True),
        ("{{ zero }}{{ '' }}", False),
        ("{{ '' }}{{ '' }}", False),
    ],
)
def test_a_condition_is_true_or_false(scope: ItemContext, text: str, expected: bool) -> None:  # noqa: FBT001 - pytest passes it
    """One expression by its truthiness, a longer text by its word."""
    assert compile_condition(text).render(scope) is expected


def test_a_condition_of_another_text_is_an_error(scope: ItemContext) -> None:
    """Rather than a guess."""
    with pytest.raises(EvaluationError, match="neither true, 1, yes"):
        compile_condition("{{ item.id }} == 1").render(scope)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for x in xs %}{{ x.n }}={{ x.v }};{% endfor %}", "a=1;b=2;"),
        ("{{ zero }}{# note #}{% if not zero %}y{% endif %}\n", "0y\n"),
        ("{# c #}{{ true == 1 }} {{ 1 and 2 }} {{ null ~ 'x' }} {{ o }} {{ 7 / 2 }} {{ food[0:1] }}", None),
        ("{% set ns = namespace(n=0) %}{% for x in xs %}{% set ns.n = ns.n + x.v %}{% endfor %}{{ ns.n }}", "3"),
        ("{% for x in food %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}", "1a2b3a"),
        ("{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1, b=3) }}", "1-3"),
        ("{% raw %}{{ x }}{% endraw %}{{ index }}", "{{ x }}3"),
        ("{# c #}{{ missing.x | default('d') }}{{ succeeded() }}{{ length(food) }}{{ now() }}", None),
    ],
)
def test_statements_of_jinja_work_in_mixed_text(render: Render, text: str, expected: str | None) -> None:
    """With the operators and the texts of the language."""
    special = {2: 'false true x {"x":null} 3.5 [1]', 3: "dtrue32020-01-02T00:00:00Z"}
    assert render(text) == (expected or special[2 if "true ==" in text else 3])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{# c #}{{ zz }}", "unknown name 'zz'"),
        ("{# c #}{{ item.__class__ }}", "an object has no key '__class__'"),
        ("{# c #}{{ ''['__class__'] }}", "a text has no such key"),
        ("{# c #}{{ 'a' * 1000000000 }}", "'*' needs two numbers, not a text and a number"),
        ("{# c #}{{ 1 < 2 < 3 }}", "'<' cannot order a boolean and a number"),
        (
            "{{ zero }}{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}",
            "the text takes more than 1,000,000 steps of loops and calls",
        ),
        (
            "{{ zero }}{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
            "the text is above 10 MiB",
        ),
    ],
)
def test_a_block_is_bounded_and_sees_no_python(render: Render, text: str, reason: str) -> None:
    """Errors as those of expressions."""
    with pytest.raises(EvaluationError) as caught:
        render(text)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text", ["{{ a }}{% include 'x' %}", "{{ a }}{% if %}", "{# c #}{{ a.f() }}", "{{ nope() }}{% raw %}{% endraw %}"]
)
def test_a_block_that_is_wrong_is_refused_when_it_is_compiled(text: str) -> None:
    """Templates of elsewhere, bad syntax, method calls, unknown functions."""
    with pytest.raises(ExpressionSyntaxError):
        compile_text(text)


def test_references_name_what_the_context_must_hold() -> None:
    """Tasks with their place, variables, and the other roots."""
    template = compile_value({"a": "{{ task.x.y }} {{ tasks['z'] }}", "b": ["{{ food + vars.k + workflow['l'] }}"]})

    assert template.references == References(
        tasks=frozenset({"x", "z"}),
        variables=frozenset({"food", "k", "l"}),
        task_sites=(("x", "a", 3), ("z", "a", 18)),
        result_sites=(("x", "y", "a", 3),),
    )
    assert compile_text("{{ task[item] }}").references == References(all_tasks=True, item=True)
    assert compile_text("{{ keys(vars) }}").references == References(all_variables=True)
    assert compile_text("{{ result().x and config and keystore.k }}").references == References(
        result=True, result_value=True, config=True, keystore=True
    )
    assert compile_text("{{ parameters.x }}").references == References(parameters=True, parameter_sites=(("x", "", 3),))


def test_a_loop_variable_shadows_a_root() -> None:
    """Inside the loop ``task`` is the loop's; outside it is the run's."""
    template = compile_text("{{ task.a.x }}{% for task in food %}{{ task.q }}{{ other }}{% endfor %}")

    assert template.references.tasks == frozenset({"a"})
    assert template.references.variables == frozenset({"food", "other"})


def test_references_of_two_templates_can_be_joined() -> None:
    """For a task, which has many templates."""
    one, other = compile_text("{{ task.a }}").references, compile_text("{{ item.x }}").references

    assert (one | other) == References(tasks=frozenset({"a"}), item=True, task_sites=(("a", "", 3),))


def test_the_text_of_a_value_is_that_of_mixed_text() -> None:
    """And refuses what has none."""
    assert [to_text(value) for value in (None, True, 1.0, -0.5, [1, {"b": None}])] == [
        "",
        "true",
        "1.0",
        "-0.5",
        '[1,{"b":null}]',
    ]
    with pytest.raises(EvaluationError):
        to_text(b"\xff")


def test_a_context_may_be_a_lazy_mapping(context: WorkflowContext) -> None:
    """Tasks are decoded when they are read; the whole is handed out as an object."""
    assert compile_text("{{ task }}").render(context.for_task()).keys() == {"fetch"}
