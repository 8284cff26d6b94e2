"""``worker_selector`` and ``worker_affinity`` as selectors of nodes, preferred ones first."""

from typing import Any

import pytest

from attune_ray.errors import EvaluationError
from attune_ray.values.placement import selectors_of


def told(selector: Any, affinity: Any = None) -> list[dict[str, str]]:
    """The selectors as Ray writes them."""
    return [{key: str(test) for key, test in each.items()} for each in selectors_of(selector, affinity)]


def labels(**wanted: str) -> dict[str, Any]:
    """A term of exact labels."""
    return {"match_labels": wanted}


def expressions(*found: tuple[str, str, list[str]]) -> dict[str, Any]:
    """A term of expressions."""
    return {"match_expressions": [{"key": key, "operator": name, "values": values} for key, name, values in found]}


@pytest.mark.parametrize("empty", [None, {}])
def test_no_placement_is_any_node(empty: Any) -> None:
    """Also one that is written and empty."""
    assert selectors_of(empty, empty) == ()


def test_every_label_of_a_selector_counts() -> None:
    """Numbers and truth values are written as labels hold them; Ray's own words are known too."""
    selector = {"zone": "a", "gpu": True, "rack": 7, "x.io/kind": "in(b, a)", "cost": "!spot", "os": "!in(mac,win)"}

    assert told(selector) == [
        {"zone": "a", "gpu": "true", "rack": "7", "x.io/kind": "in(a, b)", "cost": "!spot", "os": "!in(mac, win)"}
    ]


def test_one_of_the_required_terms_is_enough() -> None:
    """Each with all that the selector asks for."""
    required = [labels(zone="a"), expressions(("zone", "In", ["b", "c"]), ("cost", "NotIn", ["spot"]))]

    assert told({"os": "linux"}, {"required": required}) == [
        {"os": "linux", "zone": "a"},
        {"os": "linux", "zone": "in(b, c)", "cost": "!spot"},
    ]


def test_tests_of_one_label_become_one() -> None:
    """What passes both; a term that nothing passes is none."""
    required = [
        expressions(("zone", "In", ["a", "b"]), ("zone", "NotIn", ["b"])),
        expressions(("zone", "NotIn", ["a"]), ("zone", "NotIn", ["b"])),
    ]

    assert told(None, {"required": required}) == [{"zone": "a"}, {"zone": "!in(a, b)"}]
    assert told({"zone": "a"}, {"required": [labels(zone="b"), labels(zone="a")]}) == [{"zone": "a"}]


def test_a_node_that_is_avoided_fails_one_label_of_each_term() -> None:
    """Not (a and b) is: not a, or not b."""
    against = [labels(zone="a", cost="spot"), expressions(("os", "NotIn", ["linux"]))]

    assert told(None, {"anti_affinity": against}) == [{"zone": "!a", "os": "linux"}, {"cost": "!spot", "os": "linux"}]


def test_preferred_terms_come_first_the_heaviest_before_others() -> None:
    """And what does not meet them, last."""
    preferred = [{"preference": labels(disk="ssd")}, {"weight": 50, "preference": labels(zone="b")}]

    assert told({"os": "linux"}, {"preferred": preferred}) == [
        {"zone": "b", "os": "linux"},
        {"disk": "ssd", "os": "linux"},
        {"os": "linux"},
    ]
    assert told(None, {"preferred": preferred})[-1] == {}


@pytest.mark.parametrize(
    ("selector", "affinity", "path", "words"),
    [
        ("zone", None, "worker_selector", "must be a map label → value"),
        ({"zone": ""}, None, "worker_selector.zone", "must be a label's value"),
        ({"zone": ["a"]}, None, "worker_selector.zone", "must be a label's value"),
        ({"zone": "in(a, !b)"}, None, "worker_selector.zone", "must be a label's value"),
        ({"my zone": "a"}, None, 'worker_selector["my zone"]', "must be a label's name"),
        (None, {"requird": []}, "worker_affinity.requird", "did you mean `required`?"),
        (None, {"required": labels(zone="a")}, "worker_affinity.required", "must be a list of terms"),
        (None, {"required": [{}]}, "worker_affinity.required[0]", "names no label"),
        (None, {"required": [expressions(("z", "Inn", ["a"]))]}, "match_expressions[0].operator", "did you mean `In`?"),
        (None, {"required": [expressions(("z", "Exists", []))]}, "[0].operator", "Ray cannot select nodes by whether"),
        (None, {"required": [expressions(("z", "In", []))]}, "match_expressions[0].values", "at least one value"),
        (
            None,
            {"required": [expressions(("z", "In", ["a"]), ("z", "In", ["b"]))]},
            "worker_affinity.required[0]",
            "no node meets this term",
        ),
        (None, {"preferred": [{"weight": 0, "preference": labels(a="b")}]}, "preferred[0].weight", "from 1 to 100"),
        ({"zone": "a"}, {"anti_affinity": [labels(zone="a")]}, "worker_affinity", "no node can meet all of it"),
        (
            None,
            {"anti_affinity": [labels(**{f"k{n}{m}": "x" for n in range(3)}) for m in range(4)]},
            "worker_affinity",
            "more than 64 combinations",
        ),
    ],
)
def test_what_is_no_placement_is_told_with_its_place(selector: Any, affinity: Any, path: str, words: str) -> None:
    """So that a load-time check, or the failed task, can say where."""
    with pytest.raises(EvaluationError) as raised:
        selectors_of(selector, affinity)

    assert raised.value.path.endswith(path)
    assert words in raised.value.reason
