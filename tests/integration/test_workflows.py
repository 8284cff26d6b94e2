"""Every file in workflows/ runs as it stands, on Ray and over real sockets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attune_ray import Engine, action

pytestmark = pytest.mark.ray

WORKFLOWS = Path(__file__).parents[2] / "workflows"
ACTIONS = WORKFLOWS / "actions"


def test_every_workflow_has_a_test_here() -> None:
    """A new one is not forgotten."""
    assert {path.stem for path in WORKFLOWS.glob("*.yaml")} == {
        "monitor_servers",
        "process_logs",
        "send_notifications",
    }


@pytest.mark.parametrize(("servers", "refusing", "failing"), [(120, 1, 2), (1_000, 10, 10)])
def test_monitor_servers_finds_those_that_are_not_well(
    make_ray_engine: Callable[..., Engine], servers: int, refusing: int, failing: int
) -> None:
    """Of a hundred, one refuses connections and one answers 500; two are slow and yet well."""
    engine = make_ray_engine(ACTIONS / "fleet.py", ACTIONS / "monitoring.py")

    run = engine.run(WORKFLOWS / "monitor_servers.yaml", {"servers": servers})

    unhealthy = refusing + failing
    assert (run.status.value, run.warnings) == ("completed", [])
    assert (run.output["checked"], run.output["unhealthy"]) == (servers, unhealthy)
    assert run.output["healthy"] == servers - unhealthy
    reasons = {reason: len(names) for reason, names in run.output["unhealthy_by_reason"].items()}
    assert reasons == {"connection refused": refusing, "HTTP 500": failing}
    latencies = [slow["latency_ms"] for slow in run.output["slowest"]]
    assert len(latencies) == 5
    assert latencies == sorted(latencies, reverse=True)
    assert [check["name"] for check in run.task("check_health").results] == [f"server-{n:04}" for n in range(servers)]
    assert run.task("stop_fleet").result == {**(run.task("stop_fleet").result or {}), "stopped": True}


def test_process_logs_counts_every_line(make_ray_engine: Callable[..., Engine]) -> None:
    """Lines that are no requests are counted too; paths and classes add up."""
    engine = make_ray_engine(ACTIONS / "fleet.py", ACTIONS / "logs.py")

    run = engine.run(WORKFLOWS / "process_logs.yaml", {"lines": 800, "top": 20})

    assert (run.status.value, run.warnings) == ("completed", [])
    assert run.output["lines"] == run.output["requests"] + run.output["malformed"] == 800
    assert sum(run.output["by_class"].values()) == run.output["requests"]
    assert sum(path["requests"] for path in run.output["top_paths"]) == run.output["requests"]
    assert 0 < run.output["error_rate"] < 1
    assert run.task("parse").stats.n_items == 800


def test_process_logs_reads_a_file(make_ray_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """Braces in a line are data."""
    log = tmp_path / "access.log"
    line = '10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET {} HTTP/1.1" {} 12 "-" "{{{{ 1 + 1 }}}}"'
    log.write_text("\n".join([line.format("/a?b=1", 200), line.format("/a", 503), "{{ noise }}"]) + "\n")
    engine = make_ray_engine(ACTIONS / "fleet.py", ACTIONS / "logs.py")

    run = engine.run(WORKFLOWS / "process_logs.yaml", {"log_file": str(log)})

    assert (run.output["lines"], run.output["requests"], run.output["malformed"]) == (3, 2, 1)
    assert run.output["top_paths"] == [{"path": "/a", "requests": 2, "error_rate": 0.5}]


def test_send_notifications_delivers_every_message(make_ray_engine: Callable[..., Engine]) -> None:
    """What was sent is what the mail server has received."""
    engine = make_ray_engine(ACTIONS / "smtp_sink.py", ACTIONS / "notifications.py")

    run = engine.run(WORKFLOWS / "send_notifications.yaml", {"messages": 150})

    assert (run.status.value, run.warnings) == ("completed", [])
    assert run.output == {"sent": 150, "received": 150}
    assert len({sent["message_id"] for sent in run.task("send").results}) == 150


@action("cloud.list_servers")
def list_servers() -> dict[str, object]:
    """Two servers."""
    return {"servers": [{"health_endpoint": f"http://server-{n}/health"} for n in range(2)]}


@action("monitoring.check_http")
async def check_http(url: str) -> dict[str, str]:
    """Every server is well."""
    return {"url": url}


@action("logs.aggregate")
def aggregate() -> dict[str, list[str]]:
    """Three entries."""
    return {"entries": ["a", "{{ b }}", "c"]}


@action("data.enrich")
def enrich() -> None:
    """Nothing."""


@action("analytics.extract")
def extract() -> None:
    """Nothing."""


@action("logs.parse")
def parse(entry: str) -> str:
    """The entry, louder."""
    return entry.upper()


def test_a_workflow_without_transitions_follows_its_data(make_ray_engine: Callable[..., Engine]) -> None:
    """``with-items`` and ``.output`` are read as they are written."""
    run = make_ray_engine(list_servers, check_http).run(
        """\
workflow:
  tasks:
    - name: get_servers
      action: cloud.list_servers
    - name: check_health
      action: monitoring.check_http
      with-items: "{{ task.get_servers.output.servers }}"
      input:
        url: "{{ item.health_endpoint }}"
"""
    )

    assert run.status.value == "completed"
    assert list(run.task("check_health").results) == [{"url": f"http://server-{n}/health"} for n in range(2)]


def test_tasks_that_nothing_waits_for_run_beside_the_others(make_ray_engine: Callable[..., Engine]) -> None:
    """Four tasks, of which one needs another's data."""
    run = make_ray_engine(aggregate, enrich, extract, parse).run(
        """\
workflow:
  tasks:
    - name: aggregate_logs
      action: logs.aggregate
    - name: enrich_metadata
      action: data.enrich
    - name: extract_patterns
      action: analytics.extract
    - name: process_entries
      action: logs.parse
      with-items: "{{ task.aggregate_logs.output.entries }}"
      input:
        entry: "{{ item }}"
"""
    )

    assert run.status.value == "completed"
    assert {task.status.value for task in run.tasks.values()} == {"completed"}
    assert list(run.task("process_entries").results) == ["A", "{{ B }}", "C"]
