"""The fields of a task."""

import pytest

from attune_ray.errors import InvalidWorkflowError, Location
from attune_ray.model import (
    Backoff,
    Cache,
    OnItemError,
    RateLimit,
    Resources,
    Retry,
    Task,
    TaskType,
    Tolerate,
    parse_workflow,
)
from attune_ray.values.item_source import Compression, FileFormat, ItemSource


def read(fields: str) -> Task:
    """The one task with these fields."""
    return parse_workflow(f"tasks:\n- {{name: a, action: core.noop, {fields}}}").tasks[0]


def problems(text: str) -> list[str]:
    """What is wrong with a text, without the places."""
    with pytest.raises(InvalidWorkflowError) as caught:
        parse_workflow(text)
    return [f"{problem.path}: {problem.message} ({problem.hint})" for problem in caught.value.problems]


def problem(fields: str) -> str:
    """What is wrong with the one task with these fields."""
    (found,) = problems(f"tasks:\n- {{name: a, action: core.noop, {fields}}}")
    return found


def test_a_task_has_defaults() -> None:
    """Three hundred seconds, one attempt, no fan-out."""
    assert read("") == Task(name="a", action="core.noop", path="tasks[0]", location=Location("<text>", 2, 3))


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ("input: {x: 1, y: [a, {b: c}]}", "input", {"x": 1, "y": ["a", {"b": "c"}]}),
        ("input: ", "input", {}),
        ('with_items: "{{ parameters.x }}"', "with_items", "{{ parameters.x }}"),
        ('with_items: {source: "{{ parameters.x }}"}', "with_items", ItemSource(source="{{ parameters.x }}")),
        (
            "with_items: {source: [a, b], format: csv, columns: c, compression: none}",
            "with_items",
            ItemSource(source=("a", "b"), format=FileFormat.CSV, columns=("c",), compression=Compression.NONE),
        ),
        ("with-items: [1, [2]]", "with_items", (1, [2])),
        ("with_items: [1], batch-size: 10", "batch_size", 10),
        ("with_items: [1], concurrency: 5", "concurrency", 5),
        ("with_items: [1], concurrency: auto", "concurrency", None),
        ('with_items: [1], concurrency: "{{ parameters.n }}"', "concurrency", "{{ parameters.n }}"),
        ("with_items: [1], on_item_error: stop", "on_item_error", OnItemError.STOP),
        ("with_items: [1], tolerate: 5", "tolerate", Tolerate(items=5)),
        ("with_items: [1], tolerate: 10%", "tolerate", Tolerate(share=0.1)),
        ("timeout: 0", "timeout_s", None),
        ("timeout: 1.5", "timeout_s", 1.5),
        ("delay: 5", "delay_s", 5.0),
        ("when: true", "when", "true"),
        ("retry: {count: 3}", "retry", Retry(count=3)),
        (
            'retry: {count: 100, delay: 0.5, backoff: linear, max-delay: 9, on_error: "{{ result().exit_code == 2 }}"}',
            "retry",
            Retry(
                count=100,
                delay_s=0.5,
                backoff=Backoff.LINEAR,
                max_delay_s=9.0,
                on_error="{{ result().exit_code == 2 }}",
            ),
        ),
        ("with_items: [1], rate_limit: 90/m", "rate_limit", RateLimit(1.5)),
        ("with_items: [1], rate-limit: 0.5 / s", "rate_limit", RateLimit(0.5)),
        ("cache: {ttl: 60}", "cache", Cache(ttl_s=60.0)),
        ('cache: {ttl: 60, key: "{{ parameters.k }}"}', "cache", Cache(ttl_s=60.0, key="{{ parameters.k }}")),
        (
            "resources: {num_cpus: 0.5, num-gpus: 1, memory: 1000}",
            "resources",
            Resources(num_cpus=0.5, num_gpus=1.0, memory_bytes=1000),
        ),
        ("resources: {memory: 512MiB}", "resources", Resources(memory_bytes=512 * 1024**2)),
        ("resources: {memory: 512Mi}", "resources", Resources(memory_bytes=512 * 1024**2)),
        ("resources: {memory: 1.5 GB}", "resources", Resources(memory_bytes=1_500_000_000)),
        ("worker_selector: {zone: a}", "worker_selector", {"zone": "a"}),
        ("worker_tolerations: [{key: k}]", "worker_tolerations", [{"key": "k"}]),
        ('worker_affinity: "{{ parameters.p }}"', "worker_affinity", "{{ parameters.p }}"),
        ("permission_set_refs: [a, b]", "permission_set_refs", ("a", "b")),
        ("permission_set_ref: a", "permission_set_refs", ("a",)),
        ("type: workflow", "type", TaskType.WORKFLOW),
        ("__chart_meta__: {position: {x: 1}}", "input", {}),
    ],
)
def test_each_field_is_read(fields: str, attribute: str, value: object) -> None:
    """Into its typed value."""
    assert getattr(read(fields), attribute) == value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("input: [1]", "input: must be a map; it is a list"),
        ("with_items: {sauce: a}", "with_items: `source` is missing (name files, as `{source: logs/*.ndjson}`; to go"),
        ("with_items: {source: []}", "with_items.source: `source` is empty (name files, as `{source: logs/*.ndjson}`"),
        ("with_items: {source: [[a]]}", "with_items.source[0]: must be text; it is a list"),
        (
            "with_items: {source: a, format: jsn}",
            "with_items.format: must be one of ndjson, jsonl, json, csv, text, parquet, arrow; it is `jsn` (did you",
        ),
        ("with_items: {source: a, compression: 1}", "with_items.compression: must be one of none, gzip, zstd, bz2"),
        ('with_items: {source: ["{{ nope() }}"]}', "with_items.source[0]: `nope()`: unknown function 'nope'"),
        ("with_items: [1], batch_size: 0", "batch_size: must be an integer of at least 1; it is 0"),
        ("with_items: [1], batch_size: true", "it is true or false"),
        ("with_items: [1], batch_size: 1.0", "it is a number"),
        ("with_items: [1], concurrency: 0", "concurrency: must be an integer of at least 1; it is 0"),
        ("with_items: [1], concurrency: '5'", "concurrency: must be an integer of at least 1; it is text"),
        ("with_items: [1], on_item_error: halt", "must be one of continue, stop; it is `halt`"),
        ("with_items: [1], tolerate: -1", "at least 0"),
        ("with_items: [1], tolerate: 101%", "a share from 0% to 100%"),
        ("timeout: -1", "timeout: must be a number of at least 0; it is -1"),
        ("timeout: 5m", "timeout: must be a number of at least 0; it is text"),
        ("delay: true", "delay: must be a number"),
        ("join: some", "join: must be a number of tasks, or `all`"),
        ("join: 0", "join: must be an integer of at least 1"),
        ("when: [a]", "when: must be text; it is a list"),
        ("when: ''", "when: must be text that is not empty"),
        ("retry: 3", "retry: retry is a map, this is a number (write `retry: {count: 3, delay: 1}`)"),
        ("retry: {delay: 2}", "retry: `count` is missing"),
        ("retry: {count: 101}", "retry.count: must be an integer from 1 to 100; it is 101"),
        ("retry: {count: 1, delay: -1}", "retry.delay: must be a number of at least 0"),
        ("retry: {count: 1, backoff: exp}", "must be one of constant, linear, exponential; it is `exp`"),
        ("retry: {count: 1, delay: 5, max_delay: 2}", "max_delay (2 s) is below delay (5 s)"),
        ("with_items: [1], rate_limit: 50", "rate_limit: must be a number of starts above 0 per s, m or h"),
        ("with_items: [1], rate_limit: 0/s", "rate_limit: must be a number of starts above 0"),
        ("with_items: [1], rate_limit: 5/day", "write `50/s`, `100/m` or `1000/h`"),
        ("cache: 60", "cache: cache is a map"),
        ("cache: {}", "cache: `ttl` is missing"),
        ("cache: {ttl: 0}", "cache.ttl: must be a number above 0"),
        ("resources: {memory: lots}", "`lots` is no amount of memory"),
        ("resources: {num_cpus: -1}", "resources.num_cpus: must be a number of at least 0"),
        ("resources: {num_cpus: 1.5}", "resources.num_cpus: must be a whole number, or a share below 1; it is 1.5"),
        ("resources: {num_gpus: 0.00001}", "resources.num_gpus: must be 0, or at least 0.0001"),
        ("worker_selector: [a]", "worker_selector: must be a map label → value"),
        ("worker_selector: {zone: a b}", "worker_selector.zone: must be a label's value"),
        ("worker_affinity: {require: []}", "worker_affinity.require: unknown key; did you mean `required`?"),
        (
            "worker_affinity: {anti-affinity: [{match_expressions: [{key: k, operator: Exists}]}]}",
            "worker_affinity.anti_affinity[0].match_expressions[0].operator: Ray cannot select nodes",
        ),
        ("permission_set_refs: x, permission_set_ref: y", "permission_set_ref: `permission_set_refs` and"),
        ("type: loop", "type: must be one of action, parallel, workflow; it is `loop`"),
        ("with_items: [1], with-items: [2]", "`with_items` and `with-items` are the same field"),
    ],
)
def test_a_faulty_field_is_told(fields: str, words: str) -> None:
    """With its path, what it must be, and what it is."""
    found = problem(fields)

    assert found.startswith("tasks[0]")
    assert words in found


@pytest.mark.parametrize("action", ["pack.action", "namespace.pack.action", "core.http_request", "my-pack.do-it"])
def test_an_action_is_words_with_dots(action: str) -> None:
    """Pack and action, with a namespace if there is one."""
    assert parse_workflow(f"tasks: [{{name: a, action: {action}}}]").tasks[0].action == action


@pytest.mark.parametrize("action", ["invalid", ".invalid", "invalid.", "a..b", "a. b", '"{{ parameters.a }}.b"', "''"])
def test_a_malformed_action_is_told(action: str) -> None:
    """An action is never a template."""
    assert problems(f"tasks: [{{name: a, action: {action}}}]")[0].startswith("tasks[0].action: ")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("{name: a}", "`action` is missing"),
        ("{name: a, type: workflow}", "`action` is missing"),
        ("{name: a, tasks: [{name: b, action: c.d}]}", "add `type: parallel`"),
        ("{name: a, type: parallel}", "`tasks` is missing"),
        ("{name: a, type: parallel, tasks: []}", "tasks[0].tasks: `tasks` is empty"),
        ("{action: core.noop}", "`name` is missing"),
        ("{name: '', action: core.noop}", "tasks[0].name: must be text that is not empty"),
        ("{name: [x], action: core.noop}", "tasks[0].name: must be text; it is a list"),
    ],
)
def test_what_a_task_must_have(task: str, words: str) -> None:
    """A name, and something to run."""
    (found,) = problems(f"tasks: [{task}]")

    assert words in found


@pytest.mark.parametrize(
    "name",
    ["parameters", "workflow", "vars", "variables", "task", "tasks", "config", "keystore", "item", "index", "system"],
)
def test_words_of_templates_are_no_names(name: str) -> None:
    """They would hide what templates mean by them."""
    assert f"cannot be called `{name}`" in problems(f"tasks: [{{name: {name}, action: core.noop}}]")[0]


def test_tasks_may_be_a_map() -> None:
    """Name → task, in the order of the file."""
    workflow = parse_workflow("tasks:\n  b: {action: core.noop}\n  a: {action: core.noop, name: a}")

    assert [(task.name, task.path) for task in workflow.tasks] == [("b", "tasks.b"), ("a", "tasks.a")]
    assert "is not the key" in problems("tasks: {a: {name: b, action: core.noop}}")[0]


def test_a_parallel_task_holds_its_subtasks() -> None:
    """Each with its own path."""
    text = "tasks: [{name: p, type: parallel, tasks: [{name: x, action: c.d}, {name: y, action: c.d}]}]"
    task = parse_workflow(text).tasks[0]

    assert task.type is TaskType.PARALLEL
    assert [(sub.name, sub.path) for sub in task.tasks] == [("x", "tasks[0].tasks[0]"), ("y", "tasks[0].tasks[1]")]


def test_fields_without_effect_are_warnings() -> None:
    """They show a misunderstanding."""
    text = "tasks: [{name: a, action: c.d, batch_size: 2, concurrency: 3, with_itmes: [1]}]"
    found = {problem.path: problem.hint for problem in parse_workflow(text).warnings}

    assert found == {
        "tasks[0].batch_size": "",
        "tasks[0].concurrency": "",
        "tasks[0].with_itmes": "did you mean `with_items`?",
    }
