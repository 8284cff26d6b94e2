"""What the tests of expressions share: a context with something of everything."""

from collections.abc import Callable
from typing import Any

import pytest

from attune_ray.expression import ItemContext, LazyList, WorkflowContext, compile_expression, compile_value


class Column(LazyList):
    """A lazy list over three numbers, as an Arrow column is one."""

    def __getitem__(self, index: Any) -> Any:
        """One number, or several."""
        return [10, 20, 30][index]

    def __len__(self) -> int:
        """Three."""
        return 3


@pytest.fixture
def context() -> WorkflowContext:
    """A run with parameters, variables and one ended task."""
    return WorkflowContext(
        parameters={"name": "web", "port": "80", "n": 2, "deep": {"list": [1, 2, 3]}, "tpl": "{{ 1 + 1 }}"},
        variables={"food": [1, 2, 3], "xs": [{"n": "a", "v": 1}, {"n": "b", "v": 2}], "zero": 0, "o": {"x": None}},
        tasks={"fetch": {"code": 200, "column": Column(), "data-id": 7}},
        config={"url": "https://h"},
        system={"run_id": "r1", "workflow_start": "2020-01-01T00:00:00Z"},
        now="2020-01-02T00:00:00Z",
        seed="seed",
    )


@pytest.fixture
def scope(context: WorkflowContext) -> ItemContext:
    """The third item of a fan-out of that run."""
    item_scope = context.for_item({"id": 1, "name": "x"}, 3)
    item_scope.result, item_scope.outcome = {"status": "ok"}, "succeeded"
    return item_scope


@pytest.fixture
def evaluate(scope: ItemContext) -> Callable[[str], Any]:
    """The value of a bare expression."""
    return lambda text: compile_expression(text).render(scope)


@pytest.fixture
def render(scope: ItemContext) -> Callable[[Any], Any]:
    """The value of a nested value with templates."""
    return lambda value: compile_value(value).render(scope)
