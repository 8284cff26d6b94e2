"""Python actions that a pack names in its YAML, and those of installed distributions."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attune_ray import Engine
from attune_ray.actions import Catalog
from attune_ray.errors import InvalidWorkflowError
from attune_ray.packs import load_pack

FUNCTIONS = """
import os
import time
from attune_ray import Execution, action
from beside import SUFFIX

LOADED = os.getpid()

@action("my.sync")
def sync(text, times=1):
    return {"text": text * times + SUFFIX, "pid": os.getpid(), "loaded": LOADED}

@action("my.later")
async def later(text, execution: Execution):
    return [text, execution.index]

@action("my.waits", blocking=True)
def waits(text):
    time.sleep(0.01)
    return [text, LOADED]
"""
PARAMETERS = "parameters: {text: {type: string, required: true}, times: {type: integer, default: 2}}\n"


def write_pack(folder: Path, functions: str = FUNCTIONS, **actions: str) -> Path:
    """A pack whose actions name files of Python."""
    (folder / "actions").mkdir(parents=True)
    (folder / "pack.yaml").write_text("ref: my\n")
    (folder / "actions" / "functions.py").write_text(functions)
    (folder / "actions" / "beside.py").write_text("SUFFIX = '!'\n")
    (folder / "actions" / "plain.py").write_text("import os, sys; print(os.getpid(), len(sys.stdin.read()) > 0)\n")
    for name, file in actions.items():
        parameters = PARAMETERS if name == "sync" else ""
        (folder / "actions" / f"{name}.yaml").write_text(f"runner_type: python\nentry_point: {file}\n{parameters}")
    return folder


@pytest.mark.ray
def test_decorated_functions_are_called_and_scripts_are_run(
    make_ray_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    """In the worker the one, in a process of its own the other; sync, async and in threads, loaded once."""
    files = {"sync": "functions.py", "later": "functions.py", "waits": "functions.py", "plain": "plain.py"}
    engine = make_ray_engine(packs=[write_pack(tmp_path / "pack", **files)])

    run = engine.run("""
tasks:
  - {name: sync, action: my.sync, input: {text: a}}
  - {name: later, action: my.later, with_items: [a, b, c], input: {text: "{{ item }}"}}
  - {name: waits, action: my.waits, with_items: "{{ range(40) }}", input: {text: "{{ item }}"}}
  - {name: plain, action: my.plain, input: {text: a}}
  - {name: wrong, action: my.sync, input: {text: a, times: many}}
  - {name: odd, action: my.later, input: {text: a, colour: red}}
""")

    assert {name: task.status.value for name, task in run.tasks.items() if task.status != "completed"} == {
        "wrong": "failed",
        "odd": "failed",
    }
    sync, plain = run.task("sync").result or {}, run.task("plain").result or {}
    assert (sync["text"], sync["loaded"]) == ("aa!", sync["pid"])
    assert {worker.rpartition(":")[2] for worker in run.task("sync").stats.workers} == {str(sync["pid"])}
    assert list(run.task("later").results) == [["a", 0], ["b", 1], ["c", 2]]
    assert [text for text, _ in run.task("waits").results] == list(range(40))
    assert plain["stdout"].split()[0] not in {w.rpartition(":")[2] for w in run.task("plain").stats.workers}
    assert "times" in (run.task("wrong").error or "")
    assert "does not take 'colour'" in (run.task("odd").error or "")


def test_a_file_that_defines_other_actions_is_refused_without_being_run(tmp_path: Path) -> None:
    """At the entry point, with what it defines; the file would fail if it were run."""
    pack = write_pack(tmp_path / "pack", f"raise SystemExit\n{FUNCTIONS}", other="functions.py", sync="functions.py")

    with pytest.raises(InvalidWorkflowError) as raised:
        load_pack(pack)

    (problem,) = raised.value.problems
    assert (Path(problem.location.source).name, problem.location.line, problem.path) == ("other.yaml", 2, "entry_point")
    assert problem.message == "`functions.py` defines `my.sync`, `my.later`, `my.waits`, and no action `my.other`"


def install(folder: Path) -> Path:
    """A distribution as an installer leaves it: a module that says when it is imported, and a broken one."""
    (folder / "words_of_many.py").write_text(
        "import os, attune_ray\n"
        "with open(os.environ['IMPORTED'], 'a') as file: file.write('x')\n"
        "@attune_ray.action('many.shout')\ndef shout(text): return text.upper()\n"
    )
    (folder / "broken_words.py").write_text("import not_there\n")
    info = folder / "words_of_many-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: words-of-many\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[attune_ray.actions]\nwords = words_of_many\nother = broken_words\n")
    return folder


def test_installed_actions_are_looked_for_when_an_action_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and never for an action that is known; a module that cannot be imported is told with what is not found."""
    imported = tmp_path / "imported"
    monkeypatch.setenv("IMPORTED", str(imported))
    monkeypatch.syspath_prepend(str(install(tmp_path)))
    catalog = Catalog()

    assert "core.echo" in catalog
    assert "many.shout" not in Catalog(finds_installed=False)
    assert not imported.exists()
    assert catalog["many.shout"].function("a") == "A"
    assert catalog.get("many.other") is None
    assert imported.read_text() == "x"
    assert catalog.suggestion("many.shoot") == (
        "did you mean 'many.shout'?; cannot import the actions module 'broken_words': "
        "ModuleNotFoundError: No module named 'not_there'"
    )


@pytest.mark.ray
def test_installed_actions_run_on_workers(tmp_path: Path) -> None:
    """From the command line, which is told of no module; validation without ``--actions`` imports none."""
    environment = {**os.environ, "IMPORTED": str(tmp_path / "imported")}
    environment["PYTHONPATH"] = os.pathsep.join([str(install(tmp_path)), environment.get("PYTHONPATH", "")])
    file = tmp_path / "w.yaml"
    file.write_text(
        "tasks: [{name: t, action: many.shout, with_items: [a, b], input: {text: '{{ item }}'}}]\n"
        "output_map: {found: '{{ task.t.results }}'}\n"
    )
    command = [sys.executable, "-m", "attune_ray"]
    checked = subprocess.run([*command, "validate", str(file)], env=environment, capture_output=True, check=False)
    was_imported = (tmp_path / "imported").exists()
    run = subprocess.run(
        [*command, "run", str(file), "--json", "--num-cpus", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (checked.returncode, was_imported) == (0, False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["found"] == ["A", "B"]
