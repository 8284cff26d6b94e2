"""The graph of tasks."""

from attune_ray.model import (
    Cache,
    Task,
    TaskType,
    Transition,
    components,
    data_edges,
    entry_tasks,
    inbound,
    unreachable,
)
from attune_ray.values.item_source import ItemSource


def task(name: str, *targets: str, **fields: object) -> Task:
    """A task that leads to the targets."""
    following = (Transition(do=targets),) if targets else ()
    return Task(name=name, next=following, **fields)  # type: ignore[arg-type]


def test_inbound_tasks_are_distinct() -> None:
    """However often one task names another; unknown names are ignored."""
    tasks = [task("a", "c", "c", "gone"), task("b", "c"), task("c", "c")]

    assert inbound(tasks) == {"a": frozenset(), "b": frozenset(), "c": frozenset("abc")}


def test_entry_tasks_are_those_that_no_transition_names() -> None:
    """In the order of the file."""
    assert entry_tasks([task("b"), task("a", "c"), task("c")]) == ("b", "a")


def test_data_edges_come_from_what_starts_an_entry_task() -> None:
    """Input, items, condition, concurrency, cache key and placement; not what follows it."""
    tasks = [
        *map(task, "abcdefgh"),
        task(
            "reader",
            "later",
            input={"x": ["{{ task.a }}"]},
            with_items="{{ tasks.b }}",
            when="task['c']",
            concurrency="{{ task.d }}",
            cache=Cache(ttl_s=1, key="{{ task.e }}"),
            worker_selector={"z": "{{ task.f }}"},
        ),
        Task(name="later", input={"x": "{{ task.g }}"}),
        Task(name="teller", next=(Transition(when="task.h.ok", publish=({"x": "{{ task.h }}"},)),)),
        Task(name="literal", with_items=("{{ task.g }}", 1)),
        Task(name="files", with_items=ItemSource(source=("a.log", "{{ task.g }}"))),
    ]

    assert data_edges(tasks) == {"reader": frozenset("abcdef"), "literal": frozenset("g"), "files": frozenset("g")}


def test_data_edges_ignore_the_task_itself_and_dynamic_names() -> None:
    """What cannot be known is not waited for."""
    assert data_edges([task("a", input={"x": "{{ task.a }} {{ task[parameters.n] }} {{ task.gone }}"})]) == {}


def test_a_parallel_task_reads_for_its_subtasks_and_is_waited_for_in_their_place() -> None:
    """They start and end with it."""
    tasks = [
        task("first"),
        Task(
            name="both",
            type=TaskType.PARALLEL,
            tasks=(task("x", input={"v": "{{ task.first }}"}), task("y", input={"v": "{{ task.x }}"})),
        ),
        task("last", input={"v": "{{ task.y }}"}),
    ]

    assert data_edges(tasks) == {"both": frozenset({"first"}), "last": frozenset({"both"})}


def test_a_faulty_template_names_nothing() -> None:
    """It is reported elsewhere."""
    assert data_edges([task("a"), task("b", input={"x": "{{ task.a + }}"})]) == {}


def test_unreachable_tasks_are_those_no_entry_task_leads_to() -> None:
    """All of them where there is no entry task."""
    assert unreachable([task("a", "b"), task("b", "b"), task("x", "y"), task("y", "x")]) == {"x", "y"}
    assert unreachable([task("a", "b"), task("b", "a")]) == {"a", "b"}


def test_components_are_the_circles_of_transitions() -> None:
    """Of more than one task, or a task that follows itself."""
    tasks = [task("a", "b"), task("b", "c"), task("c", "b", "d"), task("d", "d", "e"), task("e")]

    circle = frozenset({"b", "c"})
    assert components(tasks) == {"b": circle, "c": circle, "d": frozenset({"d"})}


def test_long_chains_and_large_circles_need_no_stack() -> None:
    """Recursion would end at a thousand."""
    chain = [task(f"t{i}", f"t{i + 1}") for i in range(20_000)]

    assert components(chain) == {}
    circle = [*chain, task("t20000", "t0")]
    assert len(components(circle)["t7"]) == 20_001
