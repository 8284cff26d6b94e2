"""Which actions a Python file defines, without running it."""

import pytest

from attune_ray.actions.marks import Mark, marks_in


def test_decorated_functions_are_found_by_what_the_file_imports() -> None:
    """Under whatever names; what else is called ``action`` is not meant."""
    text = """
import attune_ray
import attune_ray as ar
from attune_ray import action, Execution as Ex
from elsewhere import action as other

@attune_ray.action("p.one")
def one(x): ...

@ar.action("p.two", blocking=True)
def two(x, *, about: "ar.Execution"): ...

@action(ref="p.three")
async def three(execution: Ex): ...

@other("p.four")
def four(): ...

@action(NAME)
def five(): ...

def six():
    @action("p.seven")
    def seven(): ...
"""
    assert marks_in(text) == (
        Mark(ref="p.one", is_async=False, is_blocking=False),
        Mark(ref="p.two", is_async=False, is_blocking=True, execution="about"),
        Mark(ref="p.three", is_async=True, is_blocking=False, execution="execution"),
        Mark(ref=None, is_async=False, is_blocking=False),
    )


@pytest.mark.parametrize("text", ["", "print(1)", "def broken(:", "\0", "@action('a.b')\ndef f(): ..."])
def test_a_script_has_none(text: str) -> None:
    """Nor what cannot be parsed, which fails when it is run."""
    assert marks_in(text) == ()
