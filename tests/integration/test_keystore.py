"""The keystore from outside: its file, the environment, its warnings, and errors that quote nothing of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_driver import CommandLine

from attune_ray import Engine
from attune_ray.errors import AttuneError

FLOW = """
tasks: [{name: say, action: core.echo, input: {message: "{{ keystore.token }} {{ keystore.db.user }}"}}]
output_map: {said: "{{ task.say.stdout }}", length: "{{ length(keystore.token) }}"}
"""


BROKEN = """
import attune_ray
from attune_ray.coordinator.shell import Shell

def evaluate(self, command, now):
    raise LookupError(f"no way on with {self.context.keystore}")

Shell.evaluate = evaluate

@attune_ray.action("t.any", inline=True)
def any(): ...
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a keystore file with a mode."""

    def write(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "keystore.yaml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_templates_read_the_file_and_the_environment_over_it(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value arrives as it is; names of variables count in lower case."""
    path = write("token: from-the-file\ndb: {user: somebody}\n")
    with Engine(keystore=path) as engine:
        assert engine.run(FLOW).output["said"] == "from-the-file somebody"
        assert engine.warnings == ()
    monkeypatch.setenv("ATTUNE_KEYSTORE_TOKEN", "from-outside")
    with Engine(keystore=path) as engine:
        assert engine.run(FLOW).output == {"said": "from-outside somebody", "length": 12}


def test_the_command_line_prints_the_output_masked(write: Callable[..., Path], tmp_path: Path) -> None:
    """The run has the value, the reader has not."""
    write("token: hunter22\ndb: {user: somebody}\n")
    (tmp_path / "flow.yaml").write_text(FLOW)

    for more in ([], ["--json"], ["--quiet"]):
        code, out, err = CommandLine(("run", "flow.yaml", "--keystore", "keystore.yaml", *more), tmp_path).end()
        assert code == 0
        assert '"said": "*** ***"' in out
        assert '"length": 8' in out
        assert "hunter22" not in out + err


def test_a_keystore_that_others_may_read_is_a_warning(write: Callable[..., Path], tmp_path: Path) -> None:
    """As is a secret that cannot be masked; no value is told."""
    write("token: hunter22\npin: xyz\n", mode=0o640)
    (tmp_path / "flow.yaml").write_text("tasks: [{name: a, action: core.noop}]")

    code, _, err = CommandLine(("run", "flow.yaml", "--keystore", "keystore.yaml"), tmp_path).end()

    assert code == 0
    assert "warning: keystore.yaml: others may read or change the keystore (its mode is 0640)" in err
    assert "chmod 600 keystore.yaml" in err
    assert "keystore.pin: shorter than 4 characters" in err
    assert "hunter22" not in err
    assert "xyz" not in err


@pytest.mark.parametrize(
    "text",
    [
        "hunter22",
        "[hunter22]",
        "- hunter22",
        "token: hunter22: hunter22",
        "token: [hunter22",
        "token: 'hunter22",
        'token: "hunter22\\q"',
        "token: *hunter22",
        "token: &hunter22 a\nother: *hunter23",
        "token: !hunter22 a",
        "token: hunter22\ntoken: hunter22",
        "token: @hunter22",
        "token: `hunter22`",
        "token: %hunter22",
        "token: {user: {a: b, a: hunter22}}",
        "? [hunter22]\n: a",
        "token: hunter22\n\tother: hunter22",
        "token: 'hunter22'hunter22",
        "--- a\n--- hunter22",
        "token: |9hunter22",
        "hunter22\ntoken: a",
    ],
)
def test_an_error_in_the_file_quotes_no_value(write: Callable[..., Path], text: str) -> None:
    """Only the place and what is wrong there."""
    path = write(text)

    try:
        Engine(keystore=path).close()
        told = f"{path}: it is fine"
    except AttuneError as error:
        told = str(error)

    assert str(path) in told
    assert "hunter2" not in told


def test_the_traceback_of_a_bug_is_told_without_secrets(write: Callable[..., Path], tmp_path: Path) -> None:
    """What a developer needs is there: where it was raised, and what of its text is not secret."""
    write("token: hunter22\n")
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "flow.yaml").write_text("tasks: [{name: a, action: t.any}]")

    arguments = ("run", "flow.yaml", "--actions", "broken.py", "--keystore", "keystore.yaml")
    code, out, err = CommandLine(arguments, tmp_path).end()

    assert code == 70
    assert "this is a bug in attune_ray" in err
    assert "in evaluate" in err
    assert "LookupError: no way on with {'token': '***'}" in err
    assert "hunter22" not in out + err
