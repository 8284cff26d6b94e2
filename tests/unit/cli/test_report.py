"""The report of a run."""

import json

import pytest

from attune_ray.cli.report import to_json
from attune_ray.expression import LazyList


class Lazy(LazyList):
    """A list that is decoded when it is read."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:  # type: ignore[override]  # no slices here
        return range(2)[index]


@pytest.mark.parametrize(
    "value",
    [{"a": "\x1b[31m\x7f\x9b\u202e\u2028é世"}, {"big": 2**70}, {"half": "\ud800"}, [1.5, None, True], "{{ x }}"],
)
def test_json_keeps_its_value_and_shows_no_control_character(value: object) -> None:
    """A terminal does not act upon it."""
    text = to_json(value)

    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()


def test_lazy_lists_are_written_as_lists() -> None:
    """Results of a fan-out among them."""
    assert json.loads(to_json({"results": Lazy()})) == {"results": [0, 1]}


def test_a_stream_without_utf8_gets_ascii() -> None:
    """Of the same value."""
    assert to_json("é", ascii_only=True) == '"\\u00e9"'
