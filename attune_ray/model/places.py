"""A path of a workflow → where it stands in its file: found again when a problem is to be told, kept nowhere."""

import re
from typing import Final

from attune_ray.errors import Location
from attune_ray.model.findings import Findings
from attune_ray.model.source import Map, Node, Sequence, compose
from attune_ray.model.workflow import Workflow

__all__ = ["Places", "node_at"]

_STEP: Final = re.compile(r'\["(.*?)"\]|\[(\d+)\]|\.?([\w-]+)')


class Places:
    """The places in one workflow's file."""

    def __init__(self, workflow: Workflow) -> None:
        self._root = compose(workflow.text, Findings(workflow.source)) if workflow.text else None

    def of(self, path: str, *, key: str | None = None) -> Location | None:
        """Where the value at ``path`` (as ``tasks[3].input``) begins, or its ``key``; None where it is not found."""
        node = node_at(self._root, path)
        if key is None:
            return None if node is None else node.location
        entries = node.entries if isinstance(node, Map) else ()
        return next((found.location for found, _ in entries if found.text == key), None)


def node_at(root: Node | None, path: str) -> Node | None:
    """What stands at a path below ``root``; None where there is nothing."""
    node = root
    for word, number, name in _STEP.findall(path):
        node = _item(node, int(number)) if number else _entry(node, word or name)
    return node


def _entry(node: Node | None, key: str) -> Node | None:
    if not isinstance(node, Map):
        return None
    return next((value for found, value in node.entries if found.text == key), None)


def _item(node: Node | None, number: int) -> Node | None:
    return node.items[number] if isinstance(node, Sequence) and number < len(node.items) else None
