"""Access logs in the combined log format, line by line.

Actions:
    logs.parse       one line as data.
    logs.aggregate   many parsed lines, counted by path and status.
    logs.report      the busiest paths and the share of errors.
"""

import re
from collections import Counter
from datetime import datetime
from typing import Any

import attune_ray

COMBINED = re.compile(
    r'(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^]]+)\] "(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" '
    r'(?P<status>\d{3}) (?P<n_bytes>\d+|-)(?: "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)")?'
)
TIME_FORMAT = "%d/%b/%Y:%H:%M:%S %z"
CLASSES = {1: "informational", 2: "success", 3: "redirect", 4: "client_error", 5: "server_error"}


@attune_ray.action("logs.parse")
def parse(*, line: str) -> dict[str, Any]:
    """Read one line.

    A line that is no request (a scanner's noise, a torn write) is data too, so that it can be counted.

    Args:
        line: without its end.

    Returns:
        ``{malformed: false, time, host, method, path, status, class, n_bytes}``, or ``{malformed: true, line}``.
    """
    found = COMBINED.fullmatch(line)
    try:
        time = datetime.strptime(found["time"], TIME_FORMAT).isoformat() if found else None  # noqa: DTZ007 - it has %z
    except ValueError:
        time = None
    if found is None or time is None:
        return {"malformed": True, "line": line[:200]}
    status = int(found["status"])
    return {
        "malformed": False,
        "time": time,
        "host": found["host"],
        "method": found["method"],
        "path": found["target"].partition("?")[0],
        "status": status,
        "class": CLASSES.get(status // 100, "unknown"),
        "n_bytes": 0 if found["n_bytes"] == "-" else int(found["n_bytes"]),
    }


@attune_ray.action("logs.aggregate")
def aggregate(*, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Count parsed lines.

    Args:
        records: results of ``logs.parse``.

    Returns:
        ``{requests, malformed, n_bytes, by_class, by_path: {path: {requests, errors, by_status}}}``; errors are
        statuses of 500 and above.
    """
    requests = [record for record in records if not record["malformed"]]
    by_path: dict[str, dict[str, Any]] = {}
    for record in requests:
        path = by_path.setdefault(record["path"], {"requests": 0, "errors": 0, "by_status": {}})
        status = str(record["status"])
        path["requests"] += 1
        path["errors"] += record["class"] == "server_error"
        path["by_status"][status] = path["by_status"].get(status, 0) + 1
    return {
        "requests": len(requests),
        "malformed": len(records) - len(requests),
        "n_bytes": sum(record["n_bytes"] for record in requests),
        "by_class": dict(Counter(record["class"] for record in requests)),
        "by_path": by_path,
    }


@attune_ray.action("logs.report")
def report(*, totals: dict[str, Any], n_top: int = 5) -> dict[str, Any]:
    """Name the busiest paths and the share of errors.

    Args:
        totals: ``{requests, by_class, by_path}`` of ``logs.aggregate``.
        n_top: how many paths to name.

    Returns:
        ``{error_rate, top_paths: [{path, requests, error_rate}]}``; rates are from 0 to 1.
    """
    busiest = sorted(totals["by_path"].items(), key=lambda entry: (-entry[1]["requests"], entry[0]))[:n_top]
    return {
        "error_rate": _rate(totals["by_class"].get("server_error", 0), totals["requests"]),
        "top_paths": [
            {"path": path, "requests": count["requests"], "error_rate": _rate(count["errors"], count["requests"])}
            for path, count in busiest
        ],
    }


def _rate(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
