"""Reads its parameters as JSON from standard input, and writes its result as JSON."""

import json
import sys

parameters = json.load(sys.stdin)
usages = parameters["usages"]
sys.stderr.write(f"{len(usages)} file systems\n")
json.dump(
    {
        "fullest": max(usages, key=lambda usage: usage["percent"], default=None),
        "alarming": [usage for usage in usages if usage["percent"] >= parameters["warn_at"]],
    },
    sys.stdout,
)
