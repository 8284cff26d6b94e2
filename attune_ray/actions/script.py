"""Script actions: how one attempt is started, what it is told, and what its end means (LANGUAGE §8)."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attune_ray.actions.delivery import plain_parameters, to_text
from attune_ray.actions.execution import Execution
from attune_ray.actions.output import Output
from attune_ray.actions.parsing import parse_output
from attune_ray.actions.process import GRACE_S, Command, Ended, run_process
from attune_ray.actions.script_spec import ScriptSpec
from attune_ray.errors import PermanentError, TransientError
from attune_ray.values.formats import Delivery, OutputFormat, ParameterFormat, Runner

__all__ = ["INHERITED", "outcome", "run_script"]

INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_COLLATE", "LC_MESSAGES", "LC_NUMERIC", "LC_TIME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),  # Ray's promise of what the worker may use
)
"""Variables that a script gets from the worker's environment: no more, since that holds the secrets of others."""

_INTERPRETERS: Mapping[str, tuple[str, ...]] = {
    "sh": ("sh",),
    "bash": ("bash",),
    "": ("bash", "sh"),  # the script does not say: Attune's shell runner is bash
}
_SUFFIXES = {ParameterFormat.JSON: ".json", ParameterFormat.DOTENV: ".env", ParameterFormat.YAML: ".yaml"}
_ERROR_LINES = 5
_LARGE_BYTES = 256 * 1024
_SHORTAGES = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY}


async def run_script(
    spec: ScriptSpec, parameters: Mapping[str, Any], *, folder: Path, execution: Execution, grace_s: float = GRACE_S
) -> Output:
    """Run one attempt to its end; a cancelled call ends the script and whatever it has started.

    Parameters go to its standard input or a file, never through a shell or its arguments.

    Args:
        folder: the pack's files; the script's working directory.
        grace_s: seconds between SIGTERM and SIGKILL.

    Raises:
        PermanentError: it cannot be started, or the parameters cannot be written in its format.
        TransientError: it cannot be started now: the machine has no process, descriptor or memory left.
    """
    text = to_text(plain_parameters(parameters), spec.parameter_format)
    payload = f"{text}\n".encode() if text else b""
    argv = _argv(spec, folder)
    with contextlib.ExitStack() as stack:
        is_file = spec.parameter_delivery is Delivery.FILE
        file = stack.enter_context(_parameter_file(payload, spec.parameter_format)) if is_file else None
        command = Command(
            argv=argv,
            cwd=str(folder),
            env=_environment(spec, execution, file),
            stdin=None if is_file else payload,
            file=file,
        )
        try:
            ended = await run_process(command, grace_s=grace_s)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the environment
            kind = TransientError if getattr(error, "errno", None) in _SHORTAGES else PermanentError
            raise kind(f"{spec.ref}: {argv[-1]} cannot be started: {_reason(error)}") from error
    if ended.stdout.n_bytes + ended.stderr.n_bytes > _LARGE_BYTES:
        return await asyncio.to_thread(outcome, ended, spec.output_format)  # a MiB of YAML takes a second
    return outcome(ended, spec.output_format)


def outcome(ended: Ended, form: OutputFormat) -> Output:
    """What the end of a process means: data or text where it exited with 0, else why it failed."""
    stdout, stderr = ended.stdout.text(), ended.stderr.text()
    if ended.returncode == 0:
        data = parse_output(stdout, form) if ended.stdout.is_whole else None
        return Output(data=data, stdout=stdout, stderr_log=stderr if stderr.strip() else None)
    killed_by = _signal_name(-ended.returncode) if ended.returncode < 0 else ""
    exit_code = 128 - ended.returncode if ended.returncode < 0 else ended.returncode
    error = _last_lines(ended.stderr.end()) or f"Command exited with code {exit_code}{killed_by}"
    return Output(stdout=stdout, exit_code=exit_code, error=error)


def _last_lines(stderr: str) -> str:
    """All of a short text, the last lines of a long one, "" of a blank one."""
    if not stderr.strip():
        return ""
    lines = stderr.rstrip("\n").split("\n")
    return stderr if len(lines) <= _ERROR_LINES else "\n".join(lines[-_ERROR_LINES:])


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return f" (killed by {signal.Signals(number).name})"
    return f" (killed by signal {number})"


def _argv(spec: ScriptSpec, folder: Path) -> tuple[str, ...]:
    script = folder / spec.entry_point
    if not script.is_file():
        raise PermanentError(f"{spec.ref}: there is no {spec.entry_point} in its pack")
    match spec.runner:
        case Runner.NATIVE:
            return (str(script),)
        case Runner.PYTHON:
            return (sys.executable, *spec.options, str(script))
        case Runner.NODEJS:
            return (_found(spec, ("node", "nodejs")), *spec.options, str(script))
        case Runner.SHELL:
            return (_found(spec, _INTERPRETERS[spec.interpreter]), *spec.options, str(script))


def _found(spec: ScriptSpec, names: tuple[str, ...]) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise PermanentError(f"{spec.ref}: {' or '.join(names)} is not installed on this machine")


def _environment(spec: ScriptSpec, execution: Execution, file: str | None) -> dict[str, str]:
    refs = execution.permission_set_refs
    told = {
        "ATTUNE_EXEC_ID": execution.id,
        "ATTUNE_ACTION": spec.ref,
        "ATTUNE_PACK_REF": spec.pack_ref,
        "ATTUNE_PARAMETER_FORMAT": spec.parameter_format.value,
        "ATTUNE_PARAMETER_DELIVERY": spec.parameter_delivery.value,
        "ATTUNE_IDEMPOTENCY_KEY": execution.idempotency_key,
        **({"ATTUNE_PARAMETER_FILE": file} if file is not None else {}),
        **({"ATTUNE_PERMISSION_SET_REFS": json.dumps(refs, ensure_ascii=False)} if refs else {}),
    }
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, **spec.env, **execution.environment, **told}


@contextlib.contextmanager
def _parameter_file(payload: bytes, form: ParameterFormat) -> Iterator[str]:
    """A file that its owner alone may read, removed afterwards."""
    fd, path = tempfile.mkstemp(prefix="attune-parameters-", suffix=_SUFFIXES[form])  # 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(payload)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):  # the script may have removed it itself
            Path(path).unlink()


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
