"""Dotenv as real shells read it."""

import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attune_ray.actions.delivery import to_text
from attune_ray.values.formats import ParameterFormat

HOSTILE = "a'b\"c`id`$(id);|&\\ {{ 7*7 }} {% x %} \x1b[31m __class__ ✓"
SH = shutil.which("sh") or ""


def dotenv(**parameters: Any) -> str:
    """The parameters as dotenv."""
    return to_text(parameters, ParameterFormat.DOTENV)


@pytest.mark.parametrize("text", [HOSTILE, "", "'", "''", "\\", "a\nb\n", "-n", "  spaces  ", "$HOME", "*"])
def test_a_shell_that_reads_dotenv_gets_the_text_itself(text: str) -> None:
    """``set -a; . file`` is what many scripts do."""
    script = f'{dotenv(value=text)}\nprintf %s "$value"\n'

    told = subprocess.run([SH], input=script.encode(), capture_output=True, check=True)

    assert (told.stdout.decode(), told.stderr) == (text, b"")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(exclude_characters="\0\n\r", codec="utf-8")), min_size=1, max_size=20))
def test_every_line_of_dotenv_is_read_back_by_sh(values: list[str]) -> None:
    """Whatever the values are, as long as they have no line end: one process reads them all."""
    parameters = {f"v{number}": value for number, value in enumerate(values)}
    reader = 'while IFS= read -r line; do eval "$line"; done\n' + "".join(
        f'printf "%s\\n" "${name}"\n' for name in parameters
    )

    told = subprocess.run(
        [SH, "-c", reader], input=f"{dotenv(**parameters)}\n".encode(), capture_output=True, check=True
    )

    assert told.stdout.decode().split("\n")[:-1] == values
