"""The decorator, and what a function takes."""

import asyncio
from typing import Any

import pytest

from attune_ray.actions import Action, Execution, Kind, action
from attune_ray.actions.python import from_function
from attune_ray.errors import PermanentError, UsageError


def made(function: Any) -> Action:
    """The action that a function is."""
    found = from_function(function)
    assert found is not None
    return found


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    """It can be called and tested like any other."""

    @action("text.shout")
    def shout(text: str) -> str:
        return text.upper()

    assert shout("a") == "A"
    assert made(shout).function is shout
    assert made(shout).ref == "text.shout"


@pytest.mark.parametrize("ref", ["shout", "", ".", "text.", ".shout", "shout."])
def test_a_reference_has_a_pack_and_a_name(ref: str) -> None:
    """Else the decorator refuses it."""
    with pytest.raises(UsageError, match=r"a reference is 'pack\.name'"):
        action(ref)


def test_the_way_a_function_runs_follows_from_how_it_is_written() -> None:
    """Or is declared."""

    @action("a.sync")
    def sync() -> None: ...

    @action("a.blocking", blocking=True)
    def blocking() -> None: ...

    @action("a.async")
    async def asynchronous() -> None:
        await asyncio.sleep(0)

    @action("a.inline", inline=True)
    async def inline() -> None:
        await asyncio.sleep(0)

    kinds = [made(each).kind for each in (sync, blocking, asynchronous, inline)]
    assert kinds == [Kind.SYNC, Kind.BLOCKING, Kind.ASYNC, Kind.ASYNC]
    assert [made(each).inline for each in (sync, blocking, asynchronous, inline)] == [False, False, False, True]


def test_what_cannot_be_is_refused_where_it_is_written() -> None:
    """An async function never blocks; a blocking one never runs in the coordinator."""

    async def asynchronous() -> None: ...

    def blocking() -> None: ...

    with pytest.raises(UsageError, match="an async function is never blocking"):
        action("a.b", blocking=True)(asynchronous)
    with pytest.raises(UsageError, match="would stop the coordinator"):
        action("a.b", blocking=True, inline=True)(blocking)


def test_a_function_that_is_not_decorated_is_no_action() -> None:
    """Nor is anything else."""
    assert from_function(test_a_function_that_is_not_decorated_is_no_action) is None
    assert from_function(dict) is None


@action("a.takes")
def takes(url: str, *, timeout_s: float = 5.0, tags: Any = None) -> None:
    """One parameter that is needed, and two that are not."""


@action("a.any")
def takes_any(first: int, **rest: Any) -> None:
    """Whatever there is."""


@pytest.mark.parametrize("given", [{"url"}, {"url", "tags"}, {"url", "timeout_s", "tags"}])
def test_an_input_that_fits_is_taken(given: set[str]) -> None:
    """What has a default may be missing."""
    made(takes).check(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url", "verify"}, "a.takes: it does not take 'verify'; its parameters are (url, timeout_s=5.0, tags=None)"),
        (set(), "a.takes: it needs 'url'; its parameters are (url, timeout_s=5.0, tags=None)"),
        (
            {"z", "y"},
            "a.takes: it does not take 'y', 'z' and it needs 'url'; its parameters are (url, timeout_s=5.0, tags=None)",
        ),
    ],
)
def test_an_input_that_does_not_fit_is_told_with_the_parameters(given: set[str], told: str) -> None:
    """Before anything runs."""
    with pytest.raises(PermanentError) as caught:
        made(takes).check(given)

    assert str(caught.value) == told


def test_a_function_that_takes_anything_needs_only_what_it_names() -> None:
    """``**rest`` takes the others."""
    made(takes_any).check({"first", "whatever"})
    with pytest.raises(PermanentError, match=r"it needs 'first'; its parameters are \(first, \*\*any\)"):
        made(takes_any).check({"whatever"})


def test_of_the_run_s_parameters_a_function_gets_those_that_it_takes() -> None:
    """Or all."""
    given = {"url": "u", "other": 1}

    assert made(takes).select(given) == {"url": "u"}
    assert made(takes_any).select(given) == given


def test_an_action_may_ask_for_batches_of_arrow_alone() -> None:
    """Anything else is a mistake."""
    made = from_function(action("a.b", batch="arrow")(lambda rows: rows))

    assert made is not None
    assert made.batch == "arrow"
    with pytest.raises(UsageError, match="batch is 'arrow', or left out; it is 'pandas'"):
        action("a.b", batch="pandas")  # type: ignore[arg-type]


def test_a_parameter_that_takes_the_execution_is_no_input() -> None:
    """By its annotation, a class or its name; a class of that name from elsewhere is not meant."""

    @action("text.asks")
    def asks(text: str, execution: Execution) -> str:
        return f"{text} {execution.index}"

    @action("text.asks_by_name")
    def asks_by_name(text: str, about: "Execution") -> str:
        return f"{text} {about.index}"

    @action("text.takes")
    def takes(execution: "str") -> str:
        return execution

    assert (made(asks).execution, made(asks).names, made(asks).signature) == ("execution", {"text"}, "(text)")
    assert (made(asks_by_name).execution, made(asks_by_name).required) == ("about", {"text"})
    assert (made(takes).execution, made(takes).informed()) == (None, made(takes))
    assert made(asks).informed().function(text="a") == "a 0"
    with pytest.raises(PermanentError, match="it does not take 'execution'"):
        made(asks).check({"text", "execution"})
