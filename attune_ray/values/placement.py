"""On which nodes of a cluster a task may run: ``worker_selector`` and ``worker_affinity`` as tests of node labels."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attune_ray.errors import EvaluationError
from attune_ray.values.words import did_you_mean, key_path

__all__ = ["LabelTest", "Selector", "selectors_of"]

_NAME: Final = r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_VALUE: Final = re.compile(_NAME)
_KEY: Final = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")
_LISTED: Final = re.compile(r"(!?)in\((.*)\)")
_MOST: Final = 64
"""Selectors that one task may come to; every pair of alternatives makes one more."""
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class LabelTest:
    """What a label of a node has to be: one of ``values``, or (``negated``) none of them, or absent."""

    values: frozenset[str]
    negated: bool = False

    def holds(self, label: str | None) -> bool:
        """Whether a label passes; None: the node has none of that name."""
        return (label in self.values) is not self.negated

    def __str__(self) -> str:
        """As Ray writes it: ``a``, ``!a``, ``in(a, b)`` or ``!in(a, b)``."""
        listed = ", ".join(sorted(self.values))
        return f"{'!' if self.negated else ''}{listed if len(self.values) == 1 else f'in({listed})'}"

    def __and__(self, other: "LabelTest") -> "LabelTest":
        """What passes both."""
        if self.negated and other.negated:
            return LabelTest(self.values | other.values, negated=True)
        if self.negated:
            return LabelTest(other.values - self.values)
        return LabelTest(self.values - other.values if other.negated else self.values & other.values)

    def __invert__(self) -> "LabelTest":
        """What does not pass."""
        return LabelTest(self.values, not self.negated)


Selector = Mapping[str, LabelTest]
"""Label → what it has to be; all of them."""


def selectors_of(selector: Any, affinity: Any) -> tuple[Selector, ...]:
    """The selectors of which a node must meet one, those that are preferred first; () where any node will do.

    Args:
        selector: label → value, rendered; a value may also be written as Ray does, as ``in(a, b)`` or ``!a``.
        affinity: ``{required, preferred, anti_affinity}``, rendered. A node meets one of the ``required`` terms and
            none of ``anti_affinity``; a ``preferred`` term is tried before the others, the heaviest first.

    Raises:
        EvaluationError: they are not of that form, no node can meet them, or Ray has no words for them; its path
            begins with ``worker_selector`` or ``worker_affinity``.

    >>> [{key: str(test) for key, test in found.items()} for found in selectors_of({"zone": "a"}, None)]
    [{'zone': 'a'}]
    """
    base = {} if selector is None else _labels(selector, "worker_selector")
    parts = _map(affinity or {}, "worker_affinity", ("required", "preferred", "anti_affinity"))
    required = [_term(*each) for each in _entries(parts, "required")]
    against = [_term(*each) for each in _entries(parts, "anti_affinity")]
    preferred = [_preferred(*each) for each in _entries(parts, "preferred")]
    found = _both([base], required) if required else [base]
    for term in against:
        found = _both(found, [{key: ~test} for key, test in term.items()])
    liked = [_both([term], found) for _, term in sorted(preferred, key=lambda each: -each[0])]
    if not found:
        raise EvaluationError("no node can meet all of it", path="worker_affinity" if parts else "worker_selector")
    every = [each for each in itertools.chain(*liked, found) if each]
    kept = [each for place, each in enumerate(every) if each not in every[:place]]
    return tuple([*kept, {}] if {} in found and kept else kept)


def _both(left: Iterable[Selector], right: Iterable[Selector]) -> list[Selector]:
    """Every selector that asks for one of each side, but for those that nothing meets."""
    found: list[Selector] = []
    for one, other in itertools.product(left, list(right)):
        merged = dict(one)
        for key, test in other.items():
            merged[key] = merged[key] & test if key in merged else test
        if all(test.values or test.negated for test in merged.values()):
            found.append(merged)
        if len(found) > _MOST:
            raise EvaluationError(f"more than {_MOST} combinations of terms", path="worker_affinity")
    return found


def _entries(parts: Mapping[str, Any], name: str) -> Iterator[tuple[Any, str]]:
    listed, path = parts.get(name) or [], f"worker_affinity.{name}"
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise EvaluationError("must be a list of terms", path=path)
    for index, term in enumerate(listed):
        yield term, f"{path}[{index}]"


def _preferred(value: Any, path: str) -> tuple[int, Selector]:
    parts = _map(value, path, ("weight", "preference"))
    weight = parts.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= 100:
        raise EvaluationError("must be an integer from 1 to 100", path=f"{path}.weight")
    return weight, _term(parts.get("preference") or {}, f"{path}.preference")


def _term(value: Any, path: str) -> Selector:
    parts = _map(value, path, ("match_labels", "match_expressions"))
    found: list[Selector] = [_labels(parts.get("match_labels") or {}, f"{path}.match_labels")]
    expressions = parts.get("match_expressions") or []
    if not isinstance(expressions, Sequence) or isinstance(expressions, str):
        raise EvaluationError("must be a list of expressions", path=f"{path}.match_expressions")
    for index, expression in enumerate(expressions):
        found = _both(found, [_expression(expression, f"{path}.match_expressions[{index}]")])
    if not found or not found[0]:
        raise EvaluationError("no node meets this term" if not found else "names no label", path=path)
    return found[0]


def _expression(value: Any, path: str) -> Selector:
    parts = _map(value, path, ("key", "operator", "values"))
    operator = parts.get("operator")
    if operator not in _OPERATORS:
        hint = f"; {did_you_mean(str(operator), _OPERATORS)}".rstrip("; ")
        raise EvaluationError(f"must be one of {', '.join(_OPERATORS)}{hint}", path=f"{path}.operator")
    if operator in {"Exists", "DoesNotExist"}:
        reason = "Ray cannot select nodes by whether they have a label: name its values, with In or NotIn"
        raise EvaluationError(reason, path=f"{path}.operator")
    values = parts.get("values")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise EvaluationError("must be a list with at least one value", path=f"{path}.values")
    names = frozenset(_value(each, f"{path}.values[{index}]") for index, each in enumerate(values))
    return {_key(parts.get("key"), f"{path}.key"): LabelTest(names, negated=operator == "NotIn")}


def _labels(value: Any, path: str) -> Selector:
    if not isinstance(value, Mapping):
        raise EvaluationError("must be a map label → value", path=path)
    return {_key(key, key_path(path, key)): _test(wanted, key_path(path, key)) for key, wanted in value.items()}


def _test(wanted: Any, path: str) -> LabelTest:
    """What a label has to be: a value, or a test as Ray writes it."""
    if not isinstance(wanted, str):
        return LabelTest(frozenset({_value(wanted, path)}))
    if listed := _LISTED.fullmatch(wanted.strip()):
        return LabelTest(frozenset(_value(each.strip(), path) for each in listed[2].split(",")), bool(listed[1]))
    text = wanted.strip()
    return LabelTest(frozenset({_value(text.removeprefix("!"), path)}), text.startswith("!"))


def _value(value: Any, path: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, str | int) else ""
    if not _VALUE.fullmatch(text):
        reason = "must be a label's value: 1 to 63 letters, digits, `-`, `_` or `.`, a letter or digit at both ends"
        raise EvaluationError(reason, path=path)
    return text


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise EvaluationError("must be a label's name, as `zone` or `ray.io/market-type`", path=path)
    return key


def _map(value: Any, path: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise EvaluationError(f"must be a map with {', '.join(names)}", path=path)
    found = {str(key).replace("-", "_"): entry for key, entry in value.items()}
    for key in found:
        if key not in names:
            hint = did_you_mean(key, names)
            raise EvaluationError(f"unknown key{f'; {hint}' if hint else ''}", path=key_path(path, key))
    return found
