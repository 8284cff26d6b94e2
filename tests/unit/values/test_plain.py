"""Values that are more than their JSON, made plain."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.values.plain import plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3), of, max_size=3),
)


class View(dict[str, Any]):
    """An object that knows more names than it has."""

    def __missing__(self, key: str) -> str:
        return key


class Lazy:
    """A list that nobody may read yet."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was read")


LAZY = Lazy()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (View(a=1), {"a": 1}),
        ({"x": [View(a=View(b=2))]}, {"x": [{"a": {"b": 2}}]}),
        (View(rows=LAZY), {"rows": LAZY}),
        ([LAZY, View()], [LAZY, {}]),
        ({"large": 2**70, "view": View()}, {"large": 2**70, "view": {}}),
    ],
)
def test_views_are_their_objects_alone(value: Any, expected: Any) -> None:
    """At any depth; what is read lazily stays unread."""
    found = plain(value)

    assert found == expected
    assert views_in(found) == []


@given(value=JSON)
def test_json_stays_itself(value: Any) -> None:
    """Nothing is copied where there is nothing to change."""
    assert plain(value) == value
    assert not isinstance(value, list | dict) or plain({"at": value})["at"] is value or not within_64_bits(value)


def within_64_bits(value: Any) -> bool:
    """Whether all its numbers are such as JSON is read with."""
    if isinstance(value, dict | list):
        return all(map(within_64_bits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def views_in(value: Any) -> list[Any]:
    """Its parts that are no plain dicts."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, View) else []
    return [*own, *(view for part in parts for view in views_in(part))]
