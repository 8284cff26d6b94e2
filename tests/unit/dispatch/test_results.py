"""What expressions see of ended tasks."""

from typing import Any

import pytest

from attune_ray.dispatch.worker.encoding import encode
from attune_ray.dispatch.worker.items import as_items
from attune_ray.dispatch.worker.results import FanOutResult, FanOutView, Part, PlainResult, ResultList, TaskView
from attune_ray.dispatch.worker.rows import FAILED, SUCCEEDED, AnyRows, Rows
from attune_ray.dispatch.worker.stored import LocalRows


def rows(indexes: range | tuple[int, ...], *values: Any) -> Rows:
    """Rows that succeeded; an exception among the values is one that failed."""
    return Rows(
        index=indexes,
        status=[FAILED if isinstance(value, Exception) else SUCCEEDED for value in values],
        data=[None if isinstance(value, Exception) else encode(value) for value in values],
        error=[str(value) if isinstance(value, Exception) else None for value in values],
        duration_us=[1] * len(values),
        item={row: encode(letter(indexes[row])) for row, value in enumerate(values) if isinstance(value, Exception)},
    )


def letter(index: int) -> str:
    """The item of an index."""
    return chr(ord("a") + index)


class CountingRows:
    """A source that counts how often it is opened."""

    def __init__(self, kept: Rows) -> None:
        self.kept = kept
        self.n_opened = 0
        self.key = None

    def open(self) -> AnyRows:
        """The rows."""
        self.n_opened += 1
        return self.kept


def part(items: range | tuple[int, ...], *values: Any) -> Part:
    """A chunk's part of the results."""
    return Part(items, LocalRows(rows(items, *values)))


RESULTS = ResultList(
    [part(range(2, 4), "c", ValueError("d")), part(range(2), "a", ValueError("b")), part((3,), "D")], 5
)


def test_a_result_is_found_by_its_index() -> None:
    """From both ends; a failed one and one that did not run are null; a later attempt counts."""
    assert [RESULTS[index] for index in (0, 1, 2, 3, 4)] == ["a", None, "c", "D", None]
    assert [RESULTS[index] for index in (-1, -2, -5)] == [None, "D", "a"]


@pytest.mark.parametrize("index", [5, -6, 10**9])
def test_an_index_out_of_range_is_an_error(index: int) -> None:
    """As of a list."""
    with pytest.raises(IndexError, match="there are 5"):
        RESULTS[index]


def test_results_are_cut_and_walked_as_a_list() -> None:
    """Slices are lists; equality is that of lists."""
    assert RESULTS[1:4] == [None, "c", "D"]
    assert RESULTS[::-2] == [None, "c", "a"]
    assert list(RESULTS) == ["a", None, "c", "D", None]
    assert len(RESULTS) == 5
    assert RESULTS == ["a", None, "c", "D", None]
    assert ResultList([], 1) == ResultList([], 1)
    assert RESULTS != ("a", None, "c", "D", None)
    assert "c" in RESULTS
    assert repr(RESULTS) == "<ResultList of 5>"
    with pytest.raises(TypeError):
        hash(RESULTS)


def test_only_the_chunk_that_is_read_is_opened_and_once() -> None:
    """One element costs one chunk."""
    sources = [CountingRows(rows(range(2), "a", "b")), CountingRows(rows(range(2, 4), "c", "d"))]
    results = ResultList([Part(range(2), sources[0]), Part(range(2, 4), sources[1])], 4)

    assert (len(results), results[3], results[2]) == (4, "d", "c")
    assert [source.n_opened for source in sources] == [0, 1]
    assert list(results) == list(results) == ["a", "b", "c", "d"]
    assert [source.n_opened for source in sources] == [1, 1]


def fan_out(*parts: Part, n_items: int, n_succeeded: int, most: int = 1_000) -> FanOutResult:
    """The result of a fan-out over letters."""
    return FanOutResult(
        parts=parts,
        n_items=n_items,
        n_succeeded=n_succeeded,
        n_failed=n_items - n_succeeded,
        succeeded=n_succeeded == n_items,
        max_failed_items=most,
    )


def test_the_view_of_a_fan_out_counts_and_lists() -> None:
    """``result`` and ``output`` are the results."""
    view = fan_out(part(range(2), 1, ValueError("no")), part(range(2, 3), 3), n_items=3, n_succeeded=2).view()

    assert isinstance(view, FanOutView)
    assert (view["total_count"], view["succeeded_count"], view["failed_count"]) == (3, 2, 1)
    assert view["result"] is view["output"] is view["results"]
    assert list(view["failed_items"]) == [{"index": 1, "item": "b", "error": "no"}]
    assert view["failed_items"][-1]["index"] == 1
    assert view["error"] == "1 of 3 item(s) failed"
    with pytest.raises(KeyError):
        view["exit_code"]


def test_a_fan_out_that_succeeded_has_no_error() -> None:
    """Nor failed items."""
    view = fan_out(part(range(1), 1), n_items=1, n_succeeded=1).view()

    assert ("error" in view, len(view["failed_items"]), list(view["failed_items"])) == (False, 0, [])


def test_failed_items_are_the_first_ones_by_index() -> None:
    """Whatever ended first; those that never ran are counted, not listed."""
    no = ValueError("no")
    result = fan_out(part(range(3, 6), no, no, 5), part(range(3), no, 1, no), n_items=8, n_succeeded=2, most=3)

    failed = result.view()["failed_items"]
    assert [each["index"] for each in failed] == [0, 2, 3]
    assert (len(failed), repr(failed)) == (3, "<FailedItems of 3>")


def test_an_item_whose_retry_succeeded_is_not_listed() -> None:
    """And one whose retry failed is listed once, with the last error."""
    first, last = ValueError("first"), ValueError("last")
    result = fan_out(part(range(3), first, first, 3), part((0, 1), 1, last), n_items=3, n_succeeded=2)

    assert [(each["index"], each["error"]) for each in result.view()["failed_items"]] == [(1, "last")]


@pytest.mark.parametrize(
    ("stored", "key", "value"),
    [
        ({"data": {"k": 1}, "exit_code": 0}, "k", 1),
        ({"data": {"exit_code": 9}, "exit_code": 0}, "exit_code", 0),
        ({"data": [1, 2]}, "result", [1, 2]),
        ({"data": None}, "output", None),
        ({"data": {"output": "own"}}, "output", "own"),
        ({"stdout": '{"k": 1}'}, "k", 1),
        ({"stdout": " {broken"}, "stdout", " {broken"),
        ({"data": {"k": 1}, "stdout": '{"k": 2}'}, "k", 1),
    ],
)
def test_keys_of_the_data_are_lifted_but_never_over_the_view_s_own(
    stored: dict[str, Any], key: str, value: object
) -> None:
    """Of an object; or of a text that is one."""
    assert TaskView.of(stored)[key] == value


def test_without_data_the_result_is_the_view() -> None:
    """As where the data is an object."""
    for stored in ({"stdout": "text"}, {"data": {}}, {"error": "no"}):
        view = TaskView.of(stored)
        assert view["result"] is view["output"] is view
    with pytest.raises(KeyError):
        view["data"]


def test_a_plain_result_detached_is_itself_in_this_process() -> None:
    """Rows of this process are not copied."""
    result = PlainResult(LocalRows(rows(range(1), {"data": 1})), succeeded=True)

    assert result.detached() == result
    assert result.view()["data"] == 1


@pytest.mark.parametrize("value", [{"a": 1}, "text", 3, None, {"items": [1]}])
def test_a_value_that_is_no_list_is_one_item(value: object) -> None:
    """Even a text, whose letters are none."""
    assert as_items(value, None) == [value]
    assert as_items(value, 2) == [[value]]


def test_results_are_items_without_being_decoded_before() -> None:
    """They stay as they are."""
    assert as_items(RESULTS, None) is RESULTS
    assert as_items(RESULTS, 2) == [["a", None], ["c", "D"], [None]]
