"""``attune-ray schema`` as an editor uses it."""

import json
import subprocess
import sys

import jsonschema

HEAVY = ("ray", "numpy", "pyarrow", "memray", "httpx", "jsonschema")


def test_it_prints_the_schema() -> None:
    """As JSON on standard output, and nothing else."""
    done = subprocess.run([sys.executable, "-m", "attune_ray", "schema"], capture_output=True, text=True, check=True)

    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert done.stderr == ""
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_validating_and_the_schema_load_nothing_heavy() -> None:
    """What they import decides how long they take."""
    code = f"""
import sys
sys.argv = ["attune-ray", sys.argv[1], *sys.argv[2:]]
from attune_ray.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    for arguments in (["schema"], ["validate", "workflows/monitor_servers.yaml"]):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"
