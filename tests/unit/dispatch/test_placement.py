"""What a task asks of a cluster, held against its nodes."""

from typing import Any

import pytest

from attune_ray.dispatch.placement import Asked
from attune_ray.values.placement import selectors_of


def node(name: str, labels: dict[str, str] | None = None, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    """A node as Ray tells of it."""
    return {"NodeManagerHostname": name, "Alive": alive, "Resources": resources, "Labels": labels or {}}


@pytest.mark.parametrize(
    ("amounts", "n_slots"),
    [
        ({"CPU": 1}, 4),
        ({"CPU": 2}, 2),
        ({"CPU": 0.5}, 8),
        ({"CPU": 0.0001}, 4 * 16),
        ({"CPU": 8}, 0),
        ({"CPU": 1, "GPU": 0.5}, 2),
        ({"GPU": 1}, 1),
        ({"CPU": 1, "memory": 3e9}, 2),
        ({}, 4),
    ],
)
def test_slots_follow_the_scarcest_resource(amounts: dict[str, float], n_slots: int) -> None:
    """On a node of 4 CPUs, a GPU and 8 GB; a task that asks for nothing gets one slot per CPU."""
    nodes = [node("n", CPU=4.0, GPU=1.0, memory=8e9), node("gone", alive=False, CPU=64.0, GPU=8.0, memory=1e12)]

    assert Asked(amounts=amounts, selectors=()).slots(nodes, 16) == n_slots


def test_only_nodes_that_meet_a_selector_count() -> None:
    """One of the selectors is enough."""
    nodes = [node("a", {"zone": "a"}, CPU=2.0), node("b", {"zone": "b"}, CPU=4.0), node("c", CPU=8.0)]

    def slots(wanted: str) -> int:
        return Asked(amounts={"CPU": 1.0}, selectors=selectors_of({"zone": wanted}, None)).slots(nodes, 16)

    assert [slots(wanted) for wanted in ("a", "in(a, b)", "!b", "z")] == [2, 6, 10, 0]


def test_a_refusal_tells_what_was_asked_for_and_what_there_is() -> None:
    """Without the ids that Ray gives to every node."""
    nodes = [node("a", {"zone": "a", "ray.io/node-id": "4d13"}, CPU=2.0, memory=8e9)]
    nodes += [node(f"n{number}") for number in range(6)]
    asked = Asked(amounts={"CPU": 8, "memory": 16e9}, selectors=selectors_of({"zone": "!b", "os": "x"}, None))

    assert asked.refusal(nodes).startswith(
        "no node of the cluster can run it: it asks for 8 CPU, 16 GB of memory, zone=!b and os=x; "
        "the nodes are a (2 CPU, 8 GB of memory, zone=a); n0 ()"
    )
    assert asked.refusal(nodes).endswith("and 2 more")


def test_alternatives_go_to_ray_as_a_selector_and_its_fallbacks() -> None:
    """In their order; a task that asks for no CPU says so, since Ray's default is one."""
    affinity = {"preferred": [{"preference": {"match_labels": {"zone": "b"}}}]}

    assert Asked(amounts={"GPU": 1}, selectors=selectors_of(None, affinity)).options() == {
        "num_cpus": 0,
        "num_gpus": 1,
        "label_selector": {"zone": "b"},
        "fallback_strategy": [{"label_selector": {}}],
    }
