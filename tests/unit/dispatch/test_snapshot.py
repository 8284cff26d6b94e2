"""The context as it travels: put once per version, decoded once per process."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from attune_ray.dispatch import context_store
from attune_ray.dispatch.context_store import ContextStore
from attune_ray.dispatch.worker import stored
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.results import FanOutResult, Part, PlainResult
from attune_ray.dispatch.worker.rows import Rows
from attune_ray.dispatch.worker.snapshot import DecodedCache, TaskViews, open_context
from attune_ray.dispatch.worker.stored import IN_PLACE_BYTES, Entry, LocalRows, RayBytes, RayRows
from attune_ray.errors import EngineError
from attune_ray.expression import References, compile_value
from attune_ray.ports import RunContext

LARGE = "x" * (2 * IN_PLACE_BYTES)


class Ref:
    """A reference to an object of a store that is a dict."""

    def __init__(self, number: int) -> None:
        self.number = number

    def binary(self) -> bytes:
        """Its id."""
        return self.number.to_bytes(4, "big")


class Store:
    """An object store that counts what is put and what is fetched."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.fetched: list[int] = []

    def put(self, value: Any) -> Ref:
        """Keep a value."""
        self.objects.append(value)
        return Ref(len(self.objects) - 1)

    def fetch(self, ref: Ref) -> Any:
        """Give it back."""
        self.fetched.append(ref.number)
        return self.objects[ref.number]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """In place of Ray's."""
    found = Store()
    monkeypatch.setattr(stored, "fetch", found.fetch)
    return found


def context(**parts: Any) -> RunContext:
    """A run's context."""
    return RunContext(**{"run_id": "r", "given": {}, "parameters": {}, "variables": {}, **parts})


def reads(*templates: str) -> References:
    """What some templates read."""
    return compile_value(list(templates)).references


def plain(value: Any) -> PlainResult:
    """The result of a plain task, in this process."""
    rows = Rows(index=range(1), status=[0], data=[encode({"data": value})], error=[None], duration_us=[1])
    return PlainResult(LocalRows(rows), succeeded=True)


def test_small_values_travel_in_place(store: Store) -> None:
    """Nothing is put for them."""
    snapshot = ContextStore(store.put).snapshot(
        context(parameters={"p": 1}, variables={"v": 2}, results={"t": plain(3)}),
        reads("{{ parameters.p }}", "{{ v }}", "{{ task.t.result }}"),
    )

    assert store.objects == []
    assert (snapshot.parameters, snapshot.variables) == (Entry(b'{"p":1}'), Entry(b'{"v":2}'))
    assert snapshot.results["t"].view()["data"] == 3


def test_an_unchanged_context_is_put_once(store: Store) -> None:
    """Parameters, variables and results, for any number of task runs."""
    keeper = ContextStore(store.put)
    run = context(parameters={"p": LARGE}, variables={"v": LARGE}, results={"t": plain(LARGE), "u": plain(LARGE)})
    names = reads("{{ parameters.p }}", "{{ v }}", "{{ task.t.result }}")

    first, second = keeper.snapshot(run, names), keeper.snapshot(run, names)
    wider = keeper.snapshot(run, names | reads("{{ task.u.result }}"))

    assert first is second
    assert len(store.objects) == 4
    assert (wider.parameters, wider.variables, wider.results["t"]) == (
        first.parameters,
        first.variables,
        first.results["t"],
    )


def test_a_publish_puts_the_variables_and_no_more(store: Store) -> None:
    """A new version of the context shares the rest with the one before."""
    keeper = ContextStore(store.put)
    names = reads("{{ parameters.p }}", "{{ v }}")
    before = keeper.snapshot(context(parameters={"p": LARGE}, variables={"v": LARGE}), names)
    n_before = len(store.objects)

    after = keeper.snapshot(context(parameters={"p": LARGE}, variables={"v": LARGE + "!"}, variables_version=1), names)

    assert len(store.objects) == n_before + 1
    assert after.parameters == before.parameters
    assert after.variables != before.variables


def test_what_nobody_names_is_not_put(store: Store) -> None:
    """A context may hold anything, storable or not."""
    snapshot = ContextStore(store.put).snapshot(
        context(parameters={"p": object()}, variables={"v": LARGE}, results={"t": plain(LARGE)}), reads("{{ item }}")
    )

    assert store.objects == []
    assert snapshot.results == {}


def test_a_dynamic_name_takes_all_results(store: Store) -> None:
    """``task[name]`` may be any of them."""
    snapshot = ContextStore(store.put).snapshot(
        context(results={"t": plain(1), "u": plain(2)}), reads("{{ task[item].result }}")
    )

    assert snapshot.results.keys() == {"t", "u"}


def test_large_chunks_of_a_fan_out_are_put_and_small_ones_are_not(store: Store) -> None:
    """Each by its own size, and once."""
    large = Rows(index=range(1), status=[0], data=[encode(LARGE)], error=[None], duration_us=[1])
    small = Rows(index=range(1, 2), status=[0], data=[b"2"], error=[None], duration_us=[1])
    result = FanOutResult(
        parts=(Part(range(1), LocalRows(large)), Part(range(1, 2), LocalRows(small))),
        n_items=2,
        n_succeeded=2,
        n_failed=0,
        succeeded=True,
    )
    keeper = ContextStore(store.put)

    for names in (reads("{{ task.t.results }}"), reads("{{ task.t.results }}", "{{ parameters }}")):
        found = keeper.snapshot(context(results={"t": result}), names).results["t"]
        assert isinstance(found, FanOutResult)
        assert [type(part.source) for part in found.parts] == [RayRows, LocalRows]
        assert list(found.view()["results"]) == [LARGE, 2]
    assert len(store.objects) == 1


def test_what_was_put_for_a_run_is_let_go_of_with_it(store: Store) -> None:
    """Other runs keep theirs; the same context is put anew afterwards."""
    keeper = ContextStore(store.put)
    names = reads("{{ parameters.p }}")
    keeper.snapshot(context(parameters={"p": LARGE}), names)
    other = keeper.snapshot(context(run_id="other", parameters={"p": LARGE}), names)

    keeper.forget("r")

    assert keeper.snapshot(context(run_id="other", parameters={"p": LARGE}), names) is other
    assert len(store.objects) == 2
    keeper.snapshot(context(parameters={"p": LARGE}), names)
    assert len(store.objects) == 3


def test_a_result_of_another_kind_is_our_fault(store: Store) -> None:
    """An executor gets back what it made."""
    with pytest.raises(EngineError, match="a result of type object"):
        ContextStore(store.put).snapshot(context(results={"t": object()}), reads("{{ task.t.result }}"))


def put_entry(store: Store, value: Any) -> Entry:
    """An entry in the object store."""
    encoded = encode(value)
    return Entry(RayBytes(store.put(encoded), len(encoded)))


def test_an_entry_is_decoded_once_and_counted_once(store: Store) -> None:
    """However often it is read, by whatever copy of its reference."""
    cache, entry = DecodedCache(), put_entry(store, {"k": 1})

    assert cache.entry(entry) is cache.entry(Entry(entry.encoded)) == {"k": 1}
    assert (store.fetched, cache.bytes_decoded) == ([0], len(b'{"k":1}'))


def test_the_least_recently_used_entry_goes_first(store: Store) -> None:
    """The bound is in encoded bytes; what is larger than all of it is kept alone."""
    entries = [put_entry(store, character * 98) for character in "abc"]
    cache = DecodedCache(max_bytes=200)

    for number in (0, 1, 0, 2, 0, 1):
        cache.entry(entries[number])
    assert store.fetched == [0, 1, 2, 1]

    large = put_entry(store, "d" * 1_000)
    assert cache.entry(large) is cache.entry(large)
    assert cache.bytes_decoded == 400 + 1_002


def test_rows_of_a_plain_task_are_decoded_once(store: Store) -> None:
    """By the id of their object."""
    rows = Rows(index=range(1), status=[0], data=[encode({"data": {"k": 1}})], error=[None], duration_us=[1])
    result, cache = PlainResult(RayRows(store.put(rows)), succeeded=True), DecodedCache()

    assert cache.view(result) is cache.view(PlainResult(result.source, succeeded=True))
    assert cache.bytes_decoded == len(b'{"data":{"k":1}}')


def test_small_tables_that_took_equally_long_are_not_taken_for_each_other() -> None:
    """What is stored beside them is the same text, and they are not in it."""
    cache, ended = DecodedCache(), encode({"exit_code": 0, "duration_ms": 0, "succeeded": True, "data": None})
    tables = [pa.table({"n": [number]}) for number in (1, 2)]
    rows = [Rows(range(1), status=[0], data=[ended], error=[None], duration_us=[0], native=table) for table in tables]
    results = {f"t{number}": PlainResult(LocalRows(found), succeeded=True) for number, found in enumerate(rows, 1)}

    assert [TaskViews(results, cache)[name]["n"][0] for name in ("t1", "t2")] == [1, 2]


def test_views_are_opened_when_they_are_named() -> None:
    """And stay the same object for one task run."""
    views = TaskViews({"t": plain(1), "u": plain(2)}, DecodedCache())

    assert (list(views), len(views), "t" in views, "x" in views) == (["t", "u"], 2, True, False)
    assert views["t"] is views["t"]
    with pytest.raises(KeyError):
        views["x"]


@pytest.mark.parametrize(
    ("template", "n_fetched"),
    [("{{ item }}", 0), ("{{ parameters.p }}", 1), ("{{ v }}", 1), ("{{ parameters.p }}{{ v }}", 2)],
)
def test_only_what_the_templates_read_is_decoded(
    store: Store, monkeypatch: pytest.MonkeyPatch, template: str, n_fetched: int
) -> None:
    """Of parameters and variables that lie in the object store."""
    monkeypatch.setattr(context_store, "IN_PLACE_BYTES", 0)
    run = context(parameters={"p": 1}, variables={"v": 2})
    snapshot = ContextStore(store.put).snapshot(run, reads("{{ parameters }}", "{{ v }}"))
    cache = DecodedCache()

    opened = open_context(snapshot, reads(template), cache=cache, now="", seed="")

    assert len(store.fetched) == n_fetched
    rendered: Callable[[Any], Any] = compile_value(template).render
    assert rendered(opened.for_item("i", 0)) in {"i", 1, 2, "12"}
