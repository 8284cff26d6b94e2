"""Evaluating ten typical expressions, against Jinja2's ``compile_expression`` and its ``NativeEnvironment``."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from attune_ray.expression import WorkflowContext, compile_text
from benchmarks.figures import Figure
from benchmarks.report import table

__all__ = ["measure"]

EXPRESSIONS = (
    "item.name",
    "parameters.limit + 1",
    "task.fetch.status_code == 200 and task.fetch.body.rows[0].id > 10",
    "'https://' ~ item.host ~ ':' ~ item.port ~ '/health'",
    "parameters.region if parameters.region != 'none' else 'local'",
    "item.tags | join(', ')",
    "item.owner | default('nobody')",
    "item.cpu > parameters.limit or 'critical' in item.tags",
    "{'name': item.name, 'host': item.host, 'port': item.port}",
    "task.fetch.body.rows | length * 2 - 1",
)
OURS = "attune_ray"
WAYS = (OURS, "compile_expression", "NativeEnvironment")
ITEM = {"name": "web-17", "host": "10.0.0.17", "port": 8080, "cpu": 71.5, "tags": ["web", "eu", "critical"]}
PARAMETERS = {"limit": 90, "region": "eu-west-1"}
TASKS = {"fetch": {"status_code": 200, "body": {"rows": [{"id": number} for number in range(11, 41)]}}}


def measure(*, quick: bool) -> list[Figure]:
    """Microseconds of an evaluation by all three, in turn, and how many times ours the others take."""
    repeats, n_calls = (5, 2_000) if quick else (25, 10_000)
    found = {text: _measured(text, repeats, n_calls) for text in EXPRESSIONS}
    figures = [
        Figure(name=f"{text}/{way}", unit="µs", samples=samples, is_peer=way != OURS)
        for text, ways in found.items()
        for way, samples in ways.items()
    ]
    rows = [[text, *(f"{statistics.median(samples):.2f}" for samples in ways.values())] for text, ways in found.items()]
    for way in WAYS[1:]:
        ratios = [statistics.median(ways[way]) / statistics.median(ways[OURS]) for ways in found.values()]
        figures.append(Figure(name=f"median/{way} by ours", unit="×", samples=ratios, better="higher"))
    rows.append(["median of the ratios to ours", "1", *(f"{figure.median:.1f}" for figure in figures[-2:])])
    table(["µs per evaluation", *WAYS], rows)
    return figures


def _measured(text: str, repeats: int, n_calls: int) -> dict[str, list[float]]:
    """Way → microseconds of interleaved repeats, after a look that all three agree."""
    calls = dict(zip(WAYS, (_ours(text), _expression(text), _native(text)), strict=True))
    values = [call() for call in calls.values()]
    if not values[0] == values[1] == values[2]:
        raise RuntimeError(f"{text}: the values differ: {values}")
    samples: dict[str, list[float]] = {way: [] for way in calls}
    for _ in range(repeats):
        for way, call in calls.items():
            samples[way].append(_seconds(call, n_calls) / n_calls * 1e6)
    return samples


def _ours(text: str) -> Callable[[], Any]:
    context = WorkflowContext(parameters=PARAMETERS, variables={}, tasks=TASKS, system={}, now="", seed="")
    scope, render = context.for_item(ITEM, 17), compile_text(f"{{{{ {text} }}}}").render
    return lambda: render(scope)


def _expression(text: str) -> Callable[[], Any]:
    found = Environment(undefined=StrictUndefined, autoescape=False).compile_expression(text)  # noqa: S701  no HTML
    names = {"item": ITEM, "index": 17, "parameters": PARAMETERS, "task": TASKS}
    return lambda: found(names)


def _native(text: str) -> Callable[[], Any]:
    template = NativeEnvironment(undefined=StrictUndefined).from_string(f"{{{{ {text} }}}}")
    names = {"item": ITEM, "index": 17, "parameters": PARAMETERS, "task": TASKS}
    return lambda: template.render(names)


def _seconds(call: Callable[[], Any], n_calls: int) -> float:
    began = time.perf_counter()
    for _ in range(n_calls):
        call()
    return time.perf_counter() - began
