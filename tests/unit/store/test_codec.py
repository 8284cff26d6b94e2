"""Entries are read as they were written, and what cannot be read is told."""

from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_made import AT, asked, begun, done, ended, fact

from attune_ray.engine import ChunkDone, ChunkLost, Event, TaskNotPrepared, TaskRunId
from attune_ray.errors import StateError
from attune_ray.plan import Items, Shape
from attune_ray.records import Fact
from attune_ray.store.codec import decode_asked, decode_begun, decode_fact, decode_result, encode, kind_of

numbers = st.integers(0, 2**62)
some_items = st.one_of(st.builds(range, numbers, numbers), st.builds(tuple, st.lists(numbers, max_size=4)))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

st.register_type_strategy(TaskRunId, st.builds(TaskRunId, st.text(min_size=1), st.integers(1, 10**6)))
st.register_type_strategy(Shape, st.builds(Shape, lanes=numbers, width=st.none() | numbers, target_s=st.floats(0, 1e6)))
st.register_type_strategy(int, numbers)
st.register_type_strategy(range, st.builds(range, numbers, numbers))
st.register_type_strategy(float, st.floats(allow_nan=False))


def events() -> st.SearchStrategy[Event]:
    """Any event of any type; a new type is among them."""
    lost = st.builds(ChunkLost, ended=some_items, running=st.none() | some_items)
    return st.one_of(lost, *(st.from_type(kind) for kind in get_args(Event) if kind is not ChunkLost))


def reread(entry: Fact) -> Fact:
    """A fact, after it was kept."""
    kind, body = kind_of(entry.event), encode(entry)
    return decode_fact(entry.run_id, entry.at, kind, body, is_secret=entry.is_secret)


@given(events(), st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
def test_a_fact_is_read_as_it_was_written(event: Event, shell: dict[str, Any], is_secret: bool) -> None:  # noqa: FBT001
    """Whatever the event, with all its values and their types."""
    entry = fact(event, "r1/child", holding=shell, is_secret=is_secret)

    assert reread(entry) == entry
    assert repr(reread(entry).event) == repr(event)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.dictionaries(st.text(), JSON, max_size=3), st.text())
def test_beginnings_ends_and_questions_are_read_as_they_were_written(
    parameters: dict[str, Any], launch: dict[str, Any], text: str
) -> None:
    """So are the other entries."""
    first, last = begun(text=text, given=parameters, launch=launch), ended(result=parameters)
    question = asked(response_schema=parameters or None, assigned_to=[text])

    assert decode_begun("r1", AT, "t", "t.yaml", encode(first), rerun_of=None, is_secret=False) == first
    assert decode_result("r1", encode(last)) == last.result
    assert decode_asked("r1", "a", None, AT, encode(question)) == question


@pytest.mark.parametrize("items", [(), range(3), range(4, 9), range(9, 1, -2), (7,), (0, 5)])
def test_items_are_read_as_ranges_or_indexes(items: Items) -> None:
    """A range of two is not taken for two indexes, nor none for not known."""
    event = ChunkLost(TaskRunId("a", 1), 3, "it died", ended=items, running=items)

    assert reread(fact(event)).event == event
    assert repr(reread(fact(event)).event) == repr(event)


def test_a_fact_is_small() -> None:
    """Defaults and first runs are left out: facts are most of a journal."""
    assert encode(done()) == b'{"event":{"run":"a","chunk":0,"n_succeeded":1}}'


def test_what_is_json_already_is_kept_as_it_is() -> None:
    """A shell may hold fragments of JSON, and other mappings than dicts."""
    entry = fact(holding={"rows": orjson.Fragment(b'[{"x":1}]'), "pair": (1, 2)})

    assert reread(entry).shell == {"rows": [{"x": 1}], "pair": [1, 2]}


def test_half_a_character_in_an_error_is_kept_as_its_escape() -> None:
    """Texts of foreign code may hold what UTF-8 cannot; the run does not die for it."""
    event = TaskNotPrepared(TaskRunId("a", 1), "caf\udce9 é")

    assert reread(fact(event)).event == TaskNotPrepared(TaskRunId("a", 1), "caf\\udce9 é")


@pytest.mark.parametrize("wait_s", [float("inf"), 0.0, 2.5, None])
def test_endless_waits_are_read_as_such(wait_s: float | None) -> None:
    """JSON has no infinity."""
    event = ChunkDone(TaskRunId("a", 1), 0, n_succeeded=0, retry_after_s=wait_s)

    assert reread(fact(event)).event == event


def test_what_is_no_json_is_told_with_its_run() -> None:
    """The error is about that run alone."""
    with pytest.raises(StateError, match="run r1/b: what is to be kept of it is no JSON") as caught:
        encode(fact(run_id="r1/b", holding={"x": object()}))

    assert caught.value.run_ids == {"r1"}


@pytest.mark.parametrize(
    "body",
    [b"", b'{"event":', b"\x00\xff", b"[]", b"7", b'{"event":{"run":7}}', b'{"event":{"run":"a"}}', b'{"event":[]}'],
)
def test_a_damaged_fact_is_told(body: bytes) -> None:
    """Whether it is no JSON, or JSON of a wrong shape."""
    with pytest.raises(StateError, match="run r1: what is kept of it is damaged") as caught:
        decode_fact("r1", AT, "ChunkDone", body, is_secret=False)

    assert caught.value.run_ids == {"r1"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("ChunkTold", b"{}"),
        ("RunStarted", b'{"event":{"speed":9}}'),
        ("RunStarted", b'{"mood":"good"}'),
    ],
)
def test_what_a_newer_version_has_kept_is_told(kind: str, body: bytes) -> None:
    """It is not damage, and no value of it is passed over."""
    with pytest.raises(StateError, match="kept by a newer version of attune_ray"):
        decode_fact("r1", AT, kind, body, is_secret=False)
