"""What the tutorial shows is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return FENCE.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the tutorial has the reader write: those whose first line names them."""
    folder = tmp_path_factory.mktemp("tutorial")
    for _, text in blocks("docs/tutorial.md"):
        if named := re.match(r"# (\S+\.(?:py|yaml))\n", text):
            (folder / named[1]).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.ray
@pytest.mark.parametrize("shown", [text for kind, text in blocks("docs/tutorial.md") if kind == "console"])
def test_a_command_of_the_tutorial_prints_what_it_shows(folder: Path, shown: str) -> None:
    """The lines after the prompt are those that come out."""
    command, _, expected = shown.partition("\n")
    arguments = [each.strip("'") for each in re.findall(r"'[^']*'|\S+", command.removeprefix("$ attune-ray "))]
    told = subprocess.run(
        [sys.executable, "-m", "attune_ray", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )

    assert told.stdout == expected


def test_the_simulation_of_the_tutorial_holds(folder: Path) -> None:
    """Its assertions do."""
    (code,) = (text for kind, text in blocks("docs/tutorial.md") if kind == "python" and "simulate(" in text)
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
