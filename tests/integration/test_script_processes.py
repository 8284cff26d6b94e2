"""Script actions as real processes: what they are given, what they may do, and how they end."""

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from attune_ray.actions import Execution, Output, ScriptSpec
from attune_ray.actions.pipes import MAX_BYTES
from attune_ray.actions.script import INHERITED, run_script
from attune_ray.errors import PermanentError, TransientError
from attune_ray.values.formats import Delivery, OutputFormat, ParameterFormat, Runner

EXECUTION = Execution("20261121-013054-9f3a1c/check", 7, 2)
HOSTILE = {
    "text": "a'b\"c`touch pwned`$(touch pwned);touch pwned\n{{ 7*7 }} {% x %} \x1b[31m\0 __class__ \\ ✓",
    "--help": "-rf",
    "nested": {"{{ 7*7 }}": ["$HOME", "*", "'; exit 3; '"]},
}


class Scripts:
    """Writes scripts into a folder and runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "script.sh", mode: int = 0o600) -> str:
        """A script."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return name

    async def run(
        self, text: str, parameters: dict[str, Any] | None = None, *, grace_s: float = 5.0, **options: Any
    ) -> Output:
        """Run a shell script, unless the options say another runner."""
        spec = self.spec(text, **options)
        return await run_script(spec, parameters or {}, folder=self.folder, execution=EXECUTION, grace_s=grace_s)

    def spec(self, text: str, **options: Any) -> ScriptSpec:
        """What to run."""
        name = options.pop("name", "script.sh")
        mode = options.pop("mode", 0o600)
        given = {"ref": "tests.script", "pack_ref": "tests", "runner": Runner.SHELL, "interpreter": "sh"}
        return ScriptSpec(entry_point=self.write(text, name, mode), **(given | options))


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    """A folder of its own for every test."""
    return Scripts(tmp_path)


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    return _state(pid) not in {"", "Z", "X"}


def _state(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    return ""


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getpgid(pid := int(entry.name)) == group and lives(pid):
                found.append(pid)
    return found


def exists(path: str) -> bool:
    """Whether there is such a file."""
    return Path(path.strip()).exists()


def leftovers() -> tuple[int, set[Path], list[str]]:
    """What scripts may leave: open descriptors, parameter files, children that nobody has reaped."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    zombies = [child for child in children if _state(int(child)) == "Z"]
    return (
        len(list(Path("/proc/self/fd").iterdir())),
        set(Path(tempfile.gettempdir()).glob("attune-parameters-*")),
        zombies,
    )


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for the world to get there."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  no event tells of it
            await asyncio.sleep(0.01)


def pids(path: Path) -> list[int]:
    """The process ids in a file, one a line."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("form", list(ParameterFormat))
async def test_parameters_are_delivered_in_every_format_and_way(
    scripts: Scripts, delivery: Delivery, form: ParameterFormat
) -> None:
    """Complete lines; with a file, standard input is empty."""
    text = 'cat "${ATTUNE_PARAMETER_FILE:-/dev/stdin}"; if [ -n "${ATTUNE_PARAMETER_FILE:-}" ]; then cat; fi'

    output = await scripts.run(text, {"a": "x", "n": 1}, parameter_delivery=delivery, parameter_format=form)

    expected = {"json": '{"a":"x","n":1}\n', "dotenv": "a='x'\nn='1'\n", "yaml": "a: x\nn: 1\n"}
    assert output == Output(stdout=expected[form.value])


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_hostile_values_arrive_as_they_are(scripts: Scripts, delivery: Delivery) -> None:
    """No shell sees them, no template is evaluated, no byte is lost."""
    output = await scripts.run('cat "${ATTUNE_PARAMETER_FILE:-/dev/stdin}"', HOSTILE, parameter_delivery=delivery)

    assert json.loads(output.stdout or "") == HOSTILE
    assert not (scripts.folder / "pwned").exists()


async def test_parameters_stand_in_no_argument_and_no_variable(scripts: Scripts) -> None:
    """Everybody on a machine can read the arguments of a process."""
    output = await scripts.run("tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$$/environ", {"key": "S3CRET"})

    assert "script.sh" in (output.stdout or "")
    assert "S3CRET" not in (output.stdout or "")


async def test_large_parameters_are_written_while_the_script_reads(scripts: Scripts) -> None:
    """More than a pipe holds, both ways at once."""
    text = "é" * 3_000_000

    output = await scripts.run("cat", {"text": text})

    assert output.stdout == json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")) + "\n"


@pytest.mark.parametrize("text", ["exit 0", "exec <&-; sleep 0.05", "head -c 10 > /dev/null"])
async def test_a_script_that_does_not_read_its_parameters_has_not_failed(scripts: Scripts, text: str) -> None:
    """A closed standard input is its own business."""
    assert await scripts.run(text, {"text": "x" * 1_000_000}) == Output(stdout="")


async def test_the_environment_is_what_is_promised_and_no_more(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's own variables may hold anybody's secrets."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3CRET")
    monkeypatch.setenv("ATTUNE_KEYSTORE_TOKEN", "S3CRET")
    monkeypatch.setenv("TZ", "Europe/Zurich")

    text = "import json, os; print(json.dumps(dict(os.environ)))"
    output = await scripts.run(
        text,
        runner=Runner.PYTHON,
        output_format=OutputFormat.JSON,
        env={"EXTRA": "1"},
        parameter_delivery=Delivery.FILE,
    )

    told = output.data
    file = told.pop("ATTUNE_PARAMETER_FILE")
    assert {name: value for name, value in told.items() if name.startswith("ATTUNE_") or name == "EXTRA"} == {
        "ATTUNE_EXEC_ID": "20261121-013054-9f3a1c/check/7/2",
        "ATTUNE_ACTION": "tests.script",
        "ATTUNE_PACK_REF": "tests",
        "ATTUNE_PARAMETER_FORMAT": "json",
        "ATTUNE_PARAMETER_DELIVERY": "file",
        "ATTUNE_IDEMPOTENCY_KEY": EXECUTION.idempotency_key,
        "EXTRA": "1",
    }
    rest = {name for name in told if not name.startswith("ATTUNE_")} - {"EXTRA", "LC_CTYPE"}  # Python's own coercion
    assert rest == {name for name in INHERITED if name in os.environ} - {"LC_CTYPE"}
    assert (told["TZ"], "S3CRET" in output.data.values(), exists(file)) == ("Europe/Zurich", False, False)


def test_the_idempotency_key_is_of_the_item_and_not_of_the_attempt() -> None:
    """Another attempt has the same key and another id; another item another key."""
    again, other = Execution(EXECUTION.seed, 7, 3), Execution(EXECUTION.seed, 8, 2)

    assert again.idempotency_key == EXECUTION.idempotency_key != other.idempotency_key
    assert again.id != EXECUTION.id


async def test_the_parameter_file_is_the_owners_alone_and_goes_with_the_script(scripts: Scripts) -> None:
    """Also where the script fails, or has removed it itself."""
    text = 'stat -c "%a %U" "$ATTUNE_PARAMETER_FILE"; echo "$ATTUNE_PARAMETER_FILE"; exit 3'

    output = await scripts.run(text, {"a": 1}, parameter_delivery=Delivery.FILE)

    mode, path = (output.stdout or "").split("\n")[:2]
    assert mode.split()[0] == "600"
    assert not exists(path)
    assert await scripts.run('rm "$ATTUNE_PARAMETER_FILE"', parameter_delivery=Delivery.FILE) == Output(stdout="")


async def test_the_working_directory_is_the_pack(scripts: Scripts) -> None:
    """A script finds its neighbours."""
    assert (await scripts.run("pwd")).stdout == f"{scripts.folder.resolve()}\n"


async def test_python_runs_in_the_interpreter_of_the_worker(scripts: Scripts) -> None:
    """With all that is installed there."""
    output = await scripts.run("import sys; print(sys.executable)", runner=Runner.PYTHON)

    assert output.stdout == f"{sys.executable}\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
async def test_nodejs_reads_json_and_writes_json(scripts: Scripts) -> None:
    """As the other runners do."""
    text = 'const p = JSON.parse(require("fs").readFileSync(0)); console.log(JSON.stringify({sum: p.a + p.b}))'

    output = await scripts.run(text, {"a": 1, "b": 2}, runner=Runner.NODEJS, output_format=OutputFormat.JSON)

    assert output.data == {"sum": 3}


async def test_native_programs_are_started_as_they_are(scripts: Scripts) -> None:
    """A file that may be executed, with or without a ``#!``."""
    assert await scripts.run("#!/bin/sh\necho hi\n", runner=Runner.NATIVE, mode=0o700) == Output(stdout="hi\n")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"runner": Runner.NATIVE}, "cannot be started: Permission denied"),
        ({"runner": Runner.NATIVE, "mode": 0o700}, "cannot be started: Exec format error"),
        ({"env": {"A": "\0"}}, "cannot be started: embedded null byte"),
    ],
)
async def test_what_cannot_be_started_fails_for_good(scripts: Scripts, options: dict[str, Any], reason: str) -> None:
    """Another attempt would not mend it."""
    with pytest.raises(PermanentError, match=reason):
        await scripts.run("\x7fno program", **options)


async def test_a_shortage_is_not_for_good(scripts: Scripts) -> None:
    """The next attempt may find a descriptor."""
    await scripts.run("")  # starts the guard
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (leftovers()[0], hard))
    try:
        with pytest.raises(TransientError, match="cannot be started: Too many open files"):
            await scripts.run("")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_missing_script_fails_for_good(scripts: Scripts) -> None:
    """And is named."""
    spec = ScriptSpec(ref="tests.gone", pack_ref="tests", runner=Runner.SHELL, entry_point="actions/gone.sh")

    with pytest.raises(PermanentError, match=r"tests\.gone: there is no actions/gone\.sh in its pack"):
        await run_script(spec, {}, folder=scripts.folder, execution=EXECUTION)


async def test_a_missing_interpreter_fails_for_good(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be there on another machine, but not on this one."""
    monkeypatch.setenv("PATH", str(scripts.folder))

    with pytest.raises(PermanentError, match="node or nodejs is not installed on this machine"):
        await scripts.run("", runner=Runner.NODEJS)


@pytest.mark.parametrize(
    ("text", "exit_code", "error"),
    [
        ("exit 3", 3, "Command exited with code 3"),
        ("echo 'a b' >&2; exit 1", 1, "a b\n"),
        ("printf 'one\\ntwo' >&2; exit 1", 1, "one\ntwo"),
        ("printf '1\\n2\\n3\\n4\\n5\\n' >&2; exit 1", 1, "1\n2\n3\n4\n5\n"),
        ("printf '1\\n2\\n3\\n4\\n5\\n6\\n' >&2; exit 1", 1, "2\n3\n4\n5\n6"),
        ("printf ' \\n' >&2; exit 255", 255, "Command exited with code 255"),
        ("kill -KILL $$", 137, "Command exited with code 137 (killed by SIGKILL)"),
        ("kill -TERM $$", 143, "Command exited with code 143 (killed by SIGTERM)"),
        ("kill -SEGV $$", 139, "Command exited with code 139 (killed by SIGSEGV)"),
        ("echo last words >&2; kill -KILL $$", 137, "last words\n"),
    ],
)
async def test_a_failed_script_tells_why(scripts: Scripts, text: str, exit_code: int, error: str) -> None:
    """By the end of its standard error, or else by its exit code; what it wrote is kept, and never read as data."""
    output = await scripts.run(f"echo '{{\"a\": 1}}'; {text}", output_format=OutputFormat.JSON)

    assert output == Output(stdout='{"a": 1}\n', exit_code=exit_code, error=error)


async def test_a_script_that_succeeds_keeps_what_it_wrote_to_standard_error(scripts: Scripts) -> None:
    """Unless that is blank."""
    assert await scripts.run("echo hm >&2; echo ok") == Output(stdout="ok\n", stderr_log="hm\n")
    assert await scripts.run("echo >&2; echo ok") == Output(stdout="ok\n")


@pytest.mark.parametrize(
    ("form", "text", "data"),
    [
        (OutputFormat.JSON, "echo log; echo '{\"a\": [1, null]}'", {"a": [1, None]}),
        (OutputFormat.JSONL, "printf '1\\n2\\n'", [1, 2]),
        (OutputFormat.YAML, "printf 'a: yes\\nb: 010\\n'", {"a": "yes", "b": "010"}),
        (OutputFormat.TEXT, "echo 1", None),
        (OutputFormat.JSON, "echo oops", None),
        (OutputFormat.JSON, "true", None),
    ],
)
async def test_output_is_read_in_its_format(scripts: Scripts, form: OutputFormat, text: str, data: Any) -> None:
    """What cannot be read stays text, which is no error."""
    output = await scripts.run(text, output_format=form)

    assert (output.data, output.exit_code, output.error) == (data, 0, None)


async def test_templates_in_output_are_text(scripts: Scripts) -> None:
    """Data is never a template."""
    assert (await scripts.run("echo '{{ 7*7 }} {% raw %}'")).stdout == "{{ 7*7 }} {% raw %}\n"


async def test_binary_output_is_decoded_with_replacement(scripts: Scripts) -> None:
    """And is storable text."""
    output = await scripts.run("printf 'a\\377\\000\\303b'; printf '\\377' >&2")

    assert output == Output(stdout="a\ufffd\0\ufffdb", stderr_log="\ufffd")


async def test_output_up_to_the_limit_is_kept_whole(scripts: Scripts) -> None:
    """Also where both streams are written at once."""
    text = f"head -c {MAX_BYTES} /dev/zero | tr '\\0' a & head -c {MAX_BYTES} /dev/zero | tr '\\0' b >&2; wait"

    output = await scripts.run(text)

    assert output == Output(stdout="a" * MAX_BYTES, stderr_log="b" * MAX_BYTES)


async def test_output_above_the_limit_is_cut_with_a_notice(scripts: Scripts) -> None:
    """The script is not held up, the cut halves no character, and the last lines still tell the error."""
    noise = f"yes err | head -c {2 * MAX_BYTES} >&2; echo last >&2"
    text = f"printf a; yes é | tr -d '\\n' | head -c {2 * MAX_BYTES}; {noise}; exit 1"

    output = await scripts.run(text, output_format=OutputFormat.JSON)

    kept, _, notice = (output.stdout or "").rstrip("\n").rpartition("\n")
    assert notice == f"[stdout truncated: the first 10 MiB of {2 * MAX_BYTES + 1:,} bytes]"
    assert (len(kept.encode()), set(kept[1:])) == (MAX_BYTES - 1, {"é"})
    assert (output.error or "").split("\n") == ["err"] * 4 + ["last"]


async def test_what_is_left_running_may_go_on_if_it_lets_go_of_the_output(scripts: Scripts) -> None:
    """A script may start a service."""
    output = await scripts.run("sleep 60 > /dev/null 2>&1 & echo $!")

    started = int(output.stdout or "")
    assert lives(started)
    os.kill(started, signal.SIGKILL)


async def test_what_still_holds_the_output_long_after_the_end_is_killed(scripts: Scripts) -> None:
    """Nothing hangs; what it wrote until then is kept."""
    output = await scripts.run("(sleep 0.1; echo late; exec sleep 60) & echo $!", grace_s=0.5)

    started, late = (output.stdout or "").split()
    assert (late, output.exit_code) == ("late", 0)
    await until(lambda: not lives(int(started)))


STUBBORN = """
trap '' TERM
echo $$ >> pids
(trap '' TERM; sh -c 'echo $$ >> pids; exec sleep 60') &
(trap '' TERM; echo x >> ready; while :; do echo noise >&2; done) &
while :; do sleep 0.05; done
"""
OBEDIENT = """
echo $$ >> pids
(
  exec 2> /dev/null  # a shell tells there what ended its sleep, and would die of a pipe that nobody reads
  trap "echo end >> ended; exit" TERM
  sh -c 'echo $PPID >> pids; echo x >> ready'
  while :; do sleep 0.05; done
) &
wait
"""


@pytest.mark.parametrize(("text", "at_least_s"), [(STUBBORN, 0.5), (OBEDIENT, 0.0)])
async def test_a_cancelled_script_ends_with_all_that_it_has_started(
    scripts: Scripts, text: str, at_least_s: float
) -> None:
    """SIGTERM to the group, which may end in order; SIGKILL to whoever is deaf."""
    running = asyncio.create_task(scripts.run(text, grace_s=0.5))
    await until(lambda: len(pids(scripts.folder / "pids")) == 2 and (scripts.folder / "ready").exists())
    group = pids(scripts.folder / "pids")[0]
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert at_least_s <= time.monotonic() - began < 3
    await until(lambda: not members(group))
    assert (scripts.folder / "ended").exists() == (text is OBEDIENT)


async def test_a_second_cancellation_does_not_wait(scripts: Scripts) -> None:
    """Whoever is in a hurry leaves nobody behind."""
    running = asyncio.create_task(scripts.run(STUBBORN, grace_s=60))
    await until(lambda: len(pids(scripts.folder / "pids")) == 2)
    running.cancel()
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    for pid in pids(scripts.folder / "pids"):
        await until(lambda pid=pid: not lives(pid))


async def test_a_script_that_floods_standard_error_ends_by_its_timeout(scripts: Scripts) -> None:
    """And takes no more memory than is kept."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await scripts.run("while :; do echo flood >&2; done")


async def test_the_parameter_file_goes_with_a_cancelled_script(scripts: Scripts) -> None:
    """It holds parameters, some of them secret."""
    running = asyncio.create_task(
        scripts.run('echo "$ATTUNE_PARAMETER_FILE" > file; sleep 60', parameter_delivery=Delivery.FILE)
    )
    told = scripts.folder / "file"
    await until(lambda: told.exists() and told.read_text().endswith("\n"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not exists(told.read_text())


WORKER = """
import asyncio, sys
from pathlib import Path
from attune_ray.actions import Execution, ScriptSpec
from attune_ray.actions.script import run_script
from attune_ray.values.formats import Delivery, Runner

spec = ScriptSpec(ref="t.s", pack_ref="t", runner=Runner.SHELL, entry_point="script.sh",
                  parameter_delivery=Delivery.FILE)
asyncio.run(run_script(spec, {}, folder=Path(sys.argv[1]), execution=Execution("x")))
"""


async def test_scripts_do_not_outlive_a_worker_that_was_killed(scripts: Scripts) -> None:
    """Nobody is left to end them but the guard; it removes the parameters as well."""
    scripts.write(f'echo "$ATTUNE_PARAMETER_FILE" > file\n{OBEDIENT}')
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(scripts.folder)])  # noqa: ASYNC220
    await until((scripts.folder / "ready").exists)
    worker.kill()
    worker.wait()

    for pid in pids(scripts.folder / "pids"):
        await until(lambda pid=pid: not lives(pid))
    await until(lambda: not exists((scripts.folder / "file").read_text()))
    assert (scripts.folder / "ended").exists()


async def test_many_scripts_run_at_once(scripts: Scripts) -> None:
    """Forty waits of a tenth of a second are no four seconds; no descriptor, process or file is left."""
    spec = scripts.spec("sleep 0.1; cat", parameter_delivery=Delivery.FILE)
    await run_script(spec, {}, folder=scripts.folder, execution=EXECUTION)  # starts the guard
    before = leftovers()
    began = time.monotonic()

    await asyncio.gather(*(run_script(spec, {}, folder=scripts.folder, execution=EXECUTION) for _ in range(40)))

    assert time.monotonic() - began < 3
    assert leftovers() == before
