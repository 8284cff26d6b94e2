"""Runs that need no cluster: many at once in one loop, and what an engine answers to wrong use."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attune_ray import Engine, RunResult, action, load
from attune_ray.errors import InvalidParametersError, InvalidWorkflowError, UsageError

WORKFLOW = """
parameters: {n: {type: integer, required: true}}
tasks:
  - {name: first, action: mine.add, input: {x: '{{ parameters.n }}'}, next: [{publish: [{one: '{{ result().result }}'}], do: [second]}]}
  - {name: second, action: mine.add_async, with_items: '{{ range(3) }}', input: {x: '{{ one + item }}'}, next: [{do: [third]}]}
  - {name: third, action: core.echo, input: {message: '{{ task.second.results }}'}}
output_map: {text: '{{ task.third.stdout }}'}
"""  # noqa: E501


@action("mine.add", inline=True)
def add(x: int) -> int:
    """One more, in the coordinator."""
    return x + 1


@action("mine.add_async", inline=True)
async def add_async(x: int) -> int:
    """One more, in the coordinator's loop."""
    await asyncio.sleep(0)
    return x + 1


def test_many_runs_at_once_keep_to_themselves(make_engine: Callable[..., Engine]) -> None:
    """Three tasks each, of which one is a fan-out, all in one loop."""
    engine = make_engine(add, add_async)
    workflow = load(WORKFLOW)

    async def all_of_them() -> list[RunResult]:
        return await asyncio.gather(*(engine.arun(workflow, {"n": n}) for n in range(300)))

    runs = asyncio.run(all_of_them())

    assert [run.output["text"] for run in runs] == [f"[{n + 2},{n + 3},{n + 4}]" for n in range(300)]
    assert len({run.id for run in runs}) == 300


def test_an_engine_can_be_closed_twice(make_engine: Callable[..., Engine]) -> None:
    """The second time does nothing."""
    engine = make_engine()
    assert engine.run("tasks: [{name: a, action: core.noop}]").status.value == "completed"

    engine.close()
    engine.close()


def test_an_unknown_action_is_named_with_what_is_near(make_engine: Callable[..., Engine]) -> None:
    """Before anything runs."""
    with pytest.raises(InvalidWorkflowError, match=r"did you mean 'mine.add'\?"):
        make_engine(add).run("tasks: [{name: a, action: mine.ad}]")


def test_wrong_parameters_are_all_told(make_engine: Callable[..., Engine]) -> None:
    """Before anything runs."""
    with pytest.raises(InvalidParametersError, match="n"):
        make_engine(add, add_async).run(WORKFLOW, {"n": "many"})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([1], "parameters are an object, name → value, not list"),
        ("x", "parameters are an object, name → value, not str"),
        ({1: 2}, "parameters have texts as names: 1 is of type int"),
        ({"a": [1, 2**70]}, "parameters.a[1]: an integer beyond 64 bits (parameters are JSON values)"),
        ({"a": b"x"}, "parameters.a: a value of type bytes cannot be stored (parameters are JSON values)"),
        (
            {"a": {"b": object()}},
            "parameters.a.b: a value of type object cannot be stored (parameters are JSON values)",
        ),
        (
            {"a": "\ud800"},
            "parameters.a: a value of type str cannot be stored; it is no valid Unicode (parameters are JSON values)",
        ),
    ],
)
def test_parameters_that_are_no_json_object_are_refused(
    make_engine: Callable[..., Engine], given: Any, told: str
) -> None:
    """Before anything runs, also where no task would have taken them elsewhere."""
    with pytest.raises(UsageError) as caught:
        make_engine().run("tasks: [{name: a, action: core.noop}]", given)

    assert str(caught.value) == told


def test_a_text_in_place_of_a_list_is_no_list_of_its_letters() -> None:
    """The message shows what is meant."""
    with pytest.raises(UsageError, match=r"actions is a list: write actions=\['words.py'\]"):
        Engine(actions="words.py")


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_no_path(text: str) -> None:
    """It would be the folder that the program runs in."""
    with pytest.raises(UsageError, match="the text of the workflow is empty"):
        load(text)


def test_an_input_that_no_parameter_takes_is_told_before_the_run(make_engine: Callable[..., Engine]) -> None:
    """And one that is missing, with the function's parameters."""
    with pytest.raises(InvalidWorkflowError) as caught:
        make_engine(add).run("tasks: [{name: a, action: mine.add, input: {y: 1}}]")

    for told in ("does not take 'y'", "needs 'x'", "its parameters are (x)"):
        assert told in str(caught.value)


def test_a_task_without_input_gets_those_parameters_that_it_takes(make_engine: Callable[..., Engine]) -> None:
    """Of the run's own, as they were given."""
    run = make_engine(add).run("tasks: [{name: a, action: mine.add}]", {"x": 4, "other": 5})

    assert run.task("a").result["data"] == 5  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.yaml", None, "No such file"),
        ("large.yaml", b"#" * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("latin.yaml", b"# \xe9", "byte 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_usage_error(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    """It tells the path and the reason."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=told) as caught:
        load(path)

    assert str(path) in str(caught.value)
