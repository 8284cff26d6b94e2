"""Values as JSON: what is refused says where it stands, of which type it is, and what to do."""

import datetime as dt
import math
import subprocess
import sys
from collections import Counter, defaultdict, namedtuple
from typing import Any

import numpy as np
import pytest

from attune_ray.dispatch.worker.encoding import decode, encode
from attune_ray.dispatch.worker.results import Part, ResultList
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.stored import LocalRows
from attune_ray.errors import UnstorableResultError

Point = namedtuple("Point", "x y")  # noqa: PYI024  an untyped one is what users have


class Key(str):
    """A text of another type."""

    __slots__ = ()


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [1, {2}]}, "result.a[1]: a value of type set cannot be stored; return JSON values"),
        ([b"x"], "result[0]: a value of type bytes cannot be stored; return JSON values"),
        (object(), "result: a value of type object cannot be stored; return JSON values"),
        ({"p": Point(1, 2)}, f"result.p: a value of type {__name__}.Point cannot be stored; return JSON values"),
        ({"a b": {"c": 1j}}, 'result["a b"].c: a value of type complex cannot be stored; return JSON values'),
        ({"a": {1: 2}}, "result.a: the key 1 is of type int, JSON keys are text"),
        ({None: 2}, "result: the key None is of type NoneType, JSON keys are text"),
        ({Key("k"): 2}, "result: the key 'k' is of type Key, JSON keys are text"),
        ({"n": 2**64}, "result.n: an integer beyond 64 bits; return it as text"),
        ({"n": -(2**63) - 1}, "result.n: an integer beyond 64 bits; return it as text"),
        (
            {"s": "\ud800"},
            "result.s: a value of type str cannot be stored; it is no valid Unicode; return JSON values",
        ),
        ((1, (2, {3})), "result[1][1]: a value of type set cannot be stored; return JSON values"),
        (nested(300), f"result{'[0]' * 64}[0…: nested deeper than 200 levels"),
        (np.array([object()]), "result: a value of type numpy.ndarray cannot be stored; return JSON values"),
        (np.array([object()] * 4)[::2], "result: a value of type numpy.ndarray cannot be stored; return JSON values"),
        (np.array([1j]), "result: a value of type numpy.ndarray cannot be stored; return JSON values"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_path(value: object, told: str) -> None:
    """The first such part, as the author would write its path."""
    with pytest.raises(UnstorableResultError) as caught:
        encode(value)

    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (math.nan, None),
        ([math.inf, -math.inf], [None, None]),
        ((1, 2), [1, 2]),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        ("żółć \x00 🎈", "żółć \x00 🎈"),
        (np.int64(3), 3),
        (np.arange(3), [0, 1, 2]),
        (np.arange(10)[::3], [0, 3, 6, 9]),
        ({"a": np.asfortranarray(np.arange(4).reshape(2, 2))}, {"a": [[0, 1], [2, 3]]}),
        (np.arange(6.0).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (np.array([[1, 2]]).view(np.recarray), [[1, 2]]),
        (np.ma.array([1, 2], mask=[0, 1]), [1, None]),
        ([np.ma.array([[1.5, math.nan]], mask=[[1, 0]]), np.ma.masked], [[[None, None]], None]),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, {"k": [1]}), {"k": [1]}),
        ({}, {}),
    ],
)
def test_what_is_nearly_json_is_stored_as_json(value: object, stored: object) -> None:
    """Numbers that JSON has not become null."""
    assert decode(encode(value)) == stored


def test_results_of_a_fan_out_are_stored_as_a_list() -> None:
    """They may be a part of another result."""
    rows = Rows(index=range(2), status=[0, 1], data=[b'"a"', None], error=[None, "no"], duration_us=[1, 1])
    results = ResultList([Part(range(2), LocalRows(rows))], 2)

    assert decode(encode({"r": results})) == {"r": ["a", None]}


def test_a_fault_within_results_of_a_fan_out_is_found() -> None:
    """Beside them, in the same object."""
    results = ResultList([], 2)

    with pytest.raises(UnstorableResultError, match=r"^result\.s: a value of type set"):
        encode({"r": results, "s": {1}})


LITTLE_MEMORY = """
import resource
from attune_ray.dispatch.worker.encoding import decode

text = b'["' + b"x" * 50_000_000 + b'",1]'
resource.setrlimit(resource.RLIMIT_AS, (600_000_000, -1))
for part in (text, memoryview(text)):
    found = decode(part)
    print(len(found[0]), found[1])
try:
    decode(text[:-1])
except ValueError as error:
    print(type(error).__name__)
"""


def test_a_text_is_decoded_where_there_is_no_memory_for_twelve_times_its_size() -> None:
    """In a process that may have 600 MB; a text that is no JSON is refused as ever."""
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["50000000", "1", "50000000", "1", "JSONDecodeError"]
