"""A kept run of 2,000 items in a process of its own, to be killed: ``killed_run.py STATE RUN_ID``.

Begins the run, or goes on with it, and says as JSON what became of it. Each item appends a line to the file that the
environment variable MARKS names.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import attune_ray
from attune_ray import Engine, Settings
from attune_ray.errors import StateError
from attune_ray.settings import RaySettings, StateSettings

N_ITEMS = 2_000
MARKS = "ATTUNE_TEST_MARKS"
WORKFLOW = f"""
tasks:
  - name: each
    action: killed.mark
    with_items: "{{{{ range({N_ITEMS}) }}}}"
    input: {{x: "{{{{ item }}}}"}}
    next: [{{publish: [{{total: "{{{{ sum(result().results) }}}}"}}]}}]
output_map: {{total: "{{{{ vars.total }}}}", n: "{{{{ task.each.succeeded_count }}}}"}}
"""


@attune_ray.action("killed.mark")
def mark(x: int) -> int:
    """Leaves a mark, and takes a moment."""
    file = os.open(os.environ[MARKS], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, b"%d\n" % x)
    os.close(file)
    time.sleep(0.0005)
    return x


def main(url: str, run_id: str) -> None:
    """Run it; the exit code is 75 where its state is lost on the way."""
    folder = Path(os.environ[MARKS]).parent
    state = StateSettings(url=url, results=str(folder / "results"), silence_s=1.0, beat_s=0.2)
    settings = Settings(ray=RaySettings(num_cpus=2), state=state)
    try:
        with Engine(actions=[__file__], settings=settings) as engine:
            result = asyncio.run(engine.arun(WORKFLOW, run_id=run_id))
            print(json.dumps({"status": result.status.value, "output": result.output}))  # noqa: T201  its parent reads it
    except StateError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(75)


if __name__ == "__main__":
    main(*sys.argv[1:])
