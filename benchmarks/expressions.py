"""Evaluating ten typical expressions, against Jinja2's ``compile_expression`` and its ``NativeEnvironment``."""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from attune_ray.expression import WorkflowContext, compile_text
from benchmarks.report import save, table

__all__ = ["main"]

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
ITEM = {"name": "web-17", "host": "10.0.0.17", "port": 8080, "cpu": 71.5, "tags": ["web", "eu", "critical"]}
PARAMETERS = {"limit": 90, "region": "eu-west-1"}
TASKS = {"fetch": {"status_code": 200, "body": {"rows": [{"id": number} for number in range(11, 41)]}}}


def main(*, quick: bool = False) -> None:
    """Measure, print the table, write ``results/expressions.json``."""
    repeats, n_calls = (5, 2_000) if quick else (25, 10_000)
    figures = [_measured(text, repeats, n_calls) for text in EXPRESSIONS]
    medians = {
        name: statistics.median(one[name] for one in figures) for name in ("ours_us", "expression_us", "native_us")
    }
    ratios = {
        "expression_ratio": statistics.median(one["expression_us"] / one["ours_us"] for one in figures),
        "native_ratio": statistics.median(one["native_us"] / one["ours_us"] for one in figures),
    }
    save("expressions", {"each": figures, "median": {**medians, **ratios}})
    rows = [[one["text"], *(f"{one[name]:.2f}" for name in medians)] for one in figures]
    rows.append(["median", *(f"{value:.2f}" for value in medians.values())])
    rows.append(["median of the ratios to ours", "1", *(f"{value:.1f}" for value in ratios.values())])
    table(["µs per evaluation", "attune_ray", "compile_expression", "NativeEnvironment"], rows)


def _measured(text: str, repeats: int, n_calls: int) -> dict[str, Any]:
    """Medians of interleaved repeats, in microseconds, after a look that all three agree."""
    calls = {"ours_us": _ours(text), "expression_us": _expression(text), "native_us": _native(text)}
    values = {name: call() for name, call in calls.items()}
    if not values["ours_us"] == values["expression_us"] == values["native_us"]:
        raise RuntimeError(f"{text}: the values differ: {values}")
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(_seconds(call, n_calls))
    return {"text": text, **{name: statistics.median(each) / n_calls * 1e6 for name, each in seconds.items()}}


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


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    main(quick=arguments.parse_args().quick)
