"""What is checked of functions, filters and tests is what they take."""

import inspect

import pytest

from attune_ray.expression import filters
from attune_ray.expression.filters import FILTERS, TESTS
from attune_ray.expression.functions import FUNCTIONS
from attune_ray.expression.signatures import FILTER_PARAMETERS, FUNCTION_ARITY, TEST_PARAMETERS

FILTER_CALLS = filters._OF_TEXTS | filters._OF_SHORT_TEXTS | filters._OF_VALUES  # noqa: SLF001 - before they are guarded
OPAQUE = {"abs", "count", "length", "list"}  # Python's own: the value and nothing else


def test_there_is_one_signature_for_each() -> None:
    """No more and no fewer."""
    assert set(FUNCTION_ARITY) == set(FUNCTIONS)
    assert set(FILTER_PARAMETERS) == {*FILTERS, "default", "d"}
    assert set(TEST_PARAMETERS) == {*TESTS, "defined", "undefined"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_take_what_is_said(name: str) -> None:
    """By position."""
    least, most = FUNCTION_ARITY[name]
    signature = inspect.signature(FUNCTIONS[name])

    for count in (least, most):
        signature.bind(*[None] * count)
    if name != "range":  # it takes any number, and unpacks two
        for count in (least - 1, most + 1):
            with pytest.raises(TypeError):
                signature.bind(*[None] * count)


@pytest.mark.parametrize("name", sorted(set(FILTER_CALLS) - OPAQUE))
def test_filters_take_what_is_said(name: str) -> None:
    """By position and by name."""
    call = FILTER_CALLS[name]
    parameters = list(inspect.signature(call).parameters.values())
    parameters = parameters[2 if hasattr(call, "jinja_pass_arg") else 1 :]
    if FILTER_PARAMETERS[name] is None:
        assert any(each.kind is each.VAR_POSITIONAL for each in parameters)
    else:
        told = tuple(f"{each.name}{'' if each.default is each.empty else '?'}" for each in parameters)
        assert told == FILTER_PARAMETERS[name]
