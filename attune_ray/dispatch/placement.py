"""What a task asks of a cluster, held against its nodes, and in Ray's words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attune_ray.model import Resources
from attune_ray.ports import TaskOrder
from attune_ray.values.placement import Selector

__all__ = ["Asked", "asked_of"]

_NODES_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every worker of a task run needs.

    Attributes:
        amounts: resource, as Ray's nodes name it → amount; what is asked for in vain is not in it.
        selectors: of which a node must meet one; (): any node.
    """

    amounts: Mapping[str, float]
    selectors: tuple[Selector, ...]

    def options(self) -> dict[str, Any]:
        """The same for ``.options()`` of a remote function."""
        names = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
        found: dict[str, Any] = {"num_cpus": 0, **{names[name]: amount for name, amount in self.amounts.items()}}
        told = [{"label_selector": {key: str(test) for key, test in each.items()}} for each in self.selectors]
        if told:
            found |= {"label_selector": told[0]["label_selector"], "fallback_strategy": told[1:] or None}
        return found

    def slots(self, nodes: Iterable[Mapping[str, Any]], most_per_cpu: int) -> int:
        """How many such workers the living nodes can run at once; 0: none of them can run one."""
        return sum(self._slots(node, most_per_cpu) for node in nodes if node["Alive"])

    def refusal(self, nodes: Iterable[Mapping[str, Any]]) -> str:
        """Why no node will do: what was asked for, and what there is."""
        alive = [node for node in nodes if node["Alive"]]
        told = [_told(node) for node in alive[:_NODES_TOLD]]
        if len(alive) > len(told):
            told.append(f"and {len(alive) - len(told)} more")
        return f"no node of the cluster can run it: it asks for {self}; the nodes are {'; '.join(told) or 'none'}"

    def __str__(self) -> str:
        amounts = [_amount(name, amount) for name, amount in self.amounts.items()]
        labels = [" and ".join(f"{key}={test}" for key, test in each.items()) for each in self.selectors]
        return ", ".join([*amounts, " or ".join(label or "any node" for label in labels)] if labels else amounts)

    def _slots(self, node: Mapping[str, Any], most_per_cpu: int) -> int:
        labels, resources = node.get("Labels", {}), node["Resources"]
        meets = [all(test.holds(labels.get(key)) for key, test in each.items()) for each in self.selectors]
        if meets and not any(meets):
            return 0
        n_cpus = max(1, int(resources.get("CPU", 0)))
        fitting = [int(resources.get(name, 0) / amount) for name, amount in self.amounts.items()]
        return min([*fitting, n_cpus * most_per_cpu]) if fitting else n_cpus


def asked_of(order: TaskOrder) -> Asked | None:
    """What a task run asks for; None: nothing beyond a CPU."""
    if not order.task.task.is_placed:
        return None
    resources = order.task.task.resources or Resources()
    amounts = {
        "CPU": 1.0 if resources.num_cpus is None else resources.num_cpus,
        "GPU": resources.num_gpus or 0.0,
        "memory": resources.memory_bytes or 0,
    }
    return Asked(amounts={name: amount for name, amount in amounts.items() if amount}, selectors=order.selectors)


def _told(node: Mapping[str, Any]) -> str:
    """A node in a few words: its amounts and its labels."""
    resources = node["Resources"]
    amounts = [_amount(name, resources[name]) for name in ("CPU", "GPU", "memory") if name in resources]
    labels = [f"{key}={value}" for key, value in node.get("Labels", {}).items() if key != "ray.io/node-id"]
    return f"{node['NodeManagerHostname']} ({', '.join([*amounts, *labels])})"


def _amount(name: str, amount: float) -> str:
    return f"{amount / 1e9:.3g} GB of memory" if name == "memory" else f"{amount:g} {name}"
