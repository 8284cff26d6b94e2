"""Selectors pick the same nodes as the rules of ``worker_selector`` and ``worker_affinity`` say, read word for word."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attune_ray.errors import EvaluationError
from attune_ray.values.placement import selectors_of

KEYS, VALUES = st.sampled_from(["zone", "cost"]), st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.fixed_dictionaries(
    {
        "key": KEYS,
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(VALUES, min_size=1, max_size=2),
    }
)
TERMS = st.fixed_dictionaries({"match_labels": LABELS, "match_expressions": st.lists(EXPRESSIONS, max_size=2)})


def meets(term: dict[str, Any], node: dict[str, str]) -> bool:
    """Whether a node meets a term."""
    in_or_not = [
        (node.get(each["key"]) in each["values"]) is (each["operator"] == "In") for each in term["match_expressions"]
    ]
    return all(node.get(key) == value for key, value in term["match_labels"].items()) and all(in_or_not)


@given(
    selector=LABELS,
    required=st.lists(TERMS, max_size=2),
    against=st.lists(TERMS, max_size=2),
    preferred=st.lists(TERMS, max_size=1),
    node=LABELS,
)
def test_a_node_meets_a_selector_exactly_if_it_may_run_the_task(
    selector: dict[str, str],
    required: list[dict[str, Any]],
    against: list[dict[str, Any]],
    preferred: list[dict[str, Any]],
    node: dict[str, str],
) -> None:
    """What is preferred changes the order, never the set."""
    liked = [{"preference": term} for term in preferred]
    affinity = {"required": required, "anti_affinity": against, "preferred": liked}
    may = (
        all(node.get(key) == value for key, value in selector.items())
        and (not required or any(meets(term, node) for term in required))
        and not any(meets(term, node) for term in against)
    )
    try:
        selectors = selectors_of(selector, affinity)
    except EvaluationError as error:
        selectors = None
        is_faulty = error.reason in {"names no label", "no node meets this term"}
    if selectors is None:
        assert is_faulty or not may
        return
    met = [all(test.holds(node.get(key)) for key, test in each.items()) for each in selectors]
    assert (any(met) or not selectors) is may
