"""What a run may name: the core actions, and those of its sources."""

import pytest

from attune_ray.actions import Catalog, action, sources_of
from attune_ray.actions.sources import FunctionSource
from attune_ray.errors import UsageError


@action("text.shout")
def shout() -> None:
    """One."""


@action("text.shout")
def other() -> None:
    """Another of the same name."""


@action("core.echo")
def echo() -> None:
    """One that we have ourselves."""


def test_the_core_actions_are_always_there() -> None:
    """And run in the coordinator."""
    catalog = Catalog()

    assert {"core.echo", "core.noop", "core.sleep", "core.http_request"} <= set(catalog)
    assert all(catalog[ref].inline for ref in ("core.echo", "core.noop", "core.sleep", "core.http_request"))
    assert len(catalog) == len(list(catalog))


def test_one_function_may_be_named_twice() -> None:
    """By a module and by itself."""
    catalog = Catalog([*sources_of(shout), *sources_of(shout)])

    assert catalog["text.shout"].function is shout
    assert catalog.sources == (FunctionSource(shout), FunctionSource(shout))


@pytest.mark.parametrize(("given", "ref"), [((shout, other), "text.shout"), ((echo,), "core.echo")])
def test_two_functions_of_one_reference_are_refused(given: tuple[object, ...], ref: str) -> None:
    """With the places of both."""
    with pytest.raises(UsageError, match=f"action '{ref}' is defined twice: in .* and in .*") as caught:
        Catalog(source for each in given for source in sources_of(each))

    assert f"{__name__}.{getattr(given[-1], '__name__', '')}" in str(caught.value)


def test_what_is_near_an_unknown_reference_is_suggested() -> None:
    """Or all that there is."""
    catalog = Catalog(sources_of(shout))

    assert catalog.suggestion("text.shuot") == "did you mean 'text.shout'?"
    assert catalog.suggestion("zzz.yyy").startswith("known actions: core.")
    assert catalog.get("text.shuot") is None
