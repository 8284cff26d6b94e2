"""The command line from outside: exit codes, what goes to which stream, and how bad input is told."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cli_driver import CommandLine

ACTIONS = """
import attune_ray

print("an action file that prints while it is loaded")

@attune_ray.action("t.same")
def same(x):
    return x
"""
HELLO = "tasks: [{name: hi, action: core.echo, input: {message: 'Hello {{ parameters.who }}'}}]\n"
NEEDS = "parameters: {who: {type: string, required: true, description: whom to greet}}\n" + HELLO


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an actions file and some workflows."""
    (tmp_path / "acts.py").write_text(ACTIONS)
    (tmp_path / "hello.yaml").write_text(HELLO + "output_map: {said: '{{ task.hi.stdout }}'}\n")
    (tmp_path / "needs.yaml").write_text(NEEDS)
    return tmp_path


def call(folder: Path, *arguments: str, stdin: str | None = None, **environment: str) -> tuple[int, str, str]:
    """Run the command line to its end: exit code, standard output, standard error."""
    return CommandLine(arguments, folder, environment, stdin=stdin).end()


def test_a_completed_run_shows_its_tasks_and_its_output(folder: Path) -> None:
    """Results on standard output, progress on standard error."""
    code, out, err = call(folder, "run", "hello.yaml", "-p", "who=world")

    assert code == 0
    assert "hi    completed" in out
    assert '"said": "Hello world"' in out
    assert "hi: started" in err
    assert "hi: completed in " in err


def test_json_prints_the_result_object_alone(folder: Path) -> None:
    """Whatever else there is to say goes to standard error."""
    code, out, _ = call(folder, "run", "hello.yaml", "-p", "who=world", "--json", "--actions", "acts.py")

    assert code == 0
    assert json.loads(out) == {"said": "Hello world", "succeeded": True}


def test_what_is_odd_in_the_file_is_told_before_it_runs(folder: Path) -> None:
    """A misspelt key would else be ignored silently."""
    (folder / "odd.yaml").write_text("tasks: [{name: a, action: core.noop, dealy: 3}]")

    code, _, err = call(folder, "run", "odd.yaml", "--quiet")

    assert code == 0
    assert "warning: odd.yaml:1:38: tasks[0].dealy: unknown key" in err
    assert "did you mean `delay`?" in err


def test_quiet_prints_the_output_alone(folder: Path) -> None:
    """No live view, no table; but for the id that the run is kept under."""
    code, out, err = call(folder, "run", "hello.yaml", "-p", "who=world", "--quiet", "--run-id", "q1")
    assert (code, json.loads(out), err) == (0, {"said": "Hello world"}, "run q1: hello.yaml\n")

    code, out, err = call(folder, "run", "hello.yaml", "-p", "who=world", "--quiet", "--durability", "off")
    assert (code, json.loads(out), err) == (0, {"said": "Hello world"}, "")


def test_parameters_come_from_a_file_and_are_overridden(folder: Path) -> None:
    """YAML keeps yes a text; -p wins, the last one most."""
    (folder / "given.yaml").write_text("who: yes\n")

    assert '"Hello yes"' in call(folder, "run", "hello.yaml", "--parameters", "given.yaml")[1]
    overridden = ("--parameters", "given.yaml", "-p", "who=one", "-p", "who=two")
    assert '"Hello two"' in call(folder, "run", "hello.yaml", *overridden)[1]


def test_parameters_and_workflow_can_come_from_standard_input(folder: Path) -> None:
    """One of them at a time."""
    assert '"Hello pipe"' in call(folder, "run", "hello.yaml", "--parameters", "-", stdin='{"who": "pipe"}')[1]
    assert call(folder, "run", "-", "-p", "who=x", stdin=HELLO)[0] == 0
    assert call(folder, "run", "-", "--parameters", "-", stdin=HELLO)[0] == 2


def test_a_failed_run_tells_its_tasks_and_errors(folder: Path) -> None:
    """Exit code 1; escape sequences in an error do not reach the terminal."""
    text = 'tasks: [{name: bad, action: core.noop, input: {message: "\\e[31mred", exit_code: 3}}]\n'
    (folder / "bad.yaml").write_text(text)

    code, out, err = call(folder, "run", "bad.yaml")

    assert code == 1
    assert "bad   failed" in out
    assert "error: Workflow failed: 1 task(s) failed: bad" in err
    assert "task bad: " in err
    assert "\x1b" not in out + err


def test_missing_parameters_are_named_with_their_description(folder: Path) -> None:
    """Exit code 2, and no traceback."""
    code, out, err = call(folder, "run", "needs.yaml")

    assert (code, out) == (2, "")
    assert "parameters.who: is missing (whom to greet)" in err
    assert "Traceback" not in err


def test_an_unknown_action_is_told_with_the_closest_one_and_its_place(folder: Path) -> None:
    """Exit code 2, a caret under the action's name."""
    (folder / "typo.yaml").write_text("tasks:\n  - name: a\n    action: t.sme\n    input: {x: 1}\n")

    code, _, err = call(folder, "run", "typo.yaml", "--actions", "acts.py")

    assert code == 2
    assert "typo.yaml:3:13: tasks[0].action: " in err
    assert "did you mean 't.same'?" in err
    assert "\n        action: t.sme\n                ^\n" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nowhere.yaml"), "cannot read the workflow nowhere.yaml: No such file or directory"),
        (("run", "."), "cannot read the workflow .: Is a directory"),
        (("run", "hello.yaml", "--parameters", "nowhere"), "cannot read the parameters nowhere"),
        (("run", "hello.yaml", "-p", "novalue"), "-p takes key=value"),
        (("run", "hello.yaml", "--actions", "nowhere.py"), "cannot read the actions of nowhere.py"),
        (("run", "hello.yaml", "--actions", "no_such_module"), "cannot import the actions module 'no_such_module'"),
        (("run", "hello.yaml", "-p", "who=x", "--address", "127.0.0.1:1"), "cannot run on Ray at 127.0.0.1:1"),
        (("run", "hello.yaml", "--num-cpus", "0"), "--num-cpus"),
        (("run", "hello.yaml", "--nonsense"), "--nonsense"),
        (("run",), "FILE"),
        (("walk",), "walk"),
    ],
)
def test_wrong_usage_is_told_in_one_line_and_exits_with_2(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    """No traceback reaches a user."""
    code, out, err = call(folder, *arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_cluster_that_the_environment_names_is_refused_like_one_of_the_usage(folder: Path) -> None:
    """The variable is named, since nobody has typed the address; a size asks for a cluster of its own."""
    code, out, err = call(folder, "run", "hello.yaml", "-p", "who=x", RAY_ADDRESS="127.0.0.1:1")

    assert (code, out) == (2, "")
    assert "cannot run on Ray at 127.0.0.1:1, which RAY_ADDRESS in the environment names: " in err
    assert call(folder, "run", "hello.yaml", "-p", "who=x", "--num-cpus", "1", RAY_ADDRESS="127.0.0.1:1")[0] == 0


def test_validate_points_at_every_problem(folder: Path) -> None:
    """file:line:column: path: message (hint), the line, a caret; then the counts."""
    (folder / "bad.yaml").write_text(
        "tasks:\n  - name: a\n    action: core.ecko\n    next: [{do: [b]}]\n    input: {x: '{{ 1 + }}'}\n"
    )

    code, out, err = call(folder, "validate", "bad.yaml", "hello.yaml", "nowhere.yaml")

    assert (code, err) == (2, "")
    assert "bad.yaml:4:18: tasks[0].next[0].do[0]: " in out
    assert "\n        next: [{do: [b]}]\n                     ^\n" in out
    assert "cannot read the workflow nowhere.yaml" in out
    assert out.endswith("\n3 files checked: 4 errors, 0 warnings\n")


def test_validate_knows_foreign_actions_only_when_it_is_given_some(folder: Path) -> None:
    """A misspelt core.* is told in any case."""
    (folder / "wf.yaml").write_text(
        "tasks:\n  - {name: a, action: t.sme, input: {x: 1}}\n  - {name: b, action: core.ecko}\n"
    )

    alone, given = call(folder, "validate", "wf.yaml"), call(folder, "validate", "wf.yaml", "--actions", "acts.py")

    assert alone[0] == given[0] == 2
    assert "did you mean 'core.echo'?" in alone[1]
    assert "t.sme" not in alone[1]
    assert "did you mean 't.same'?" in given[1]


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    """Errors of reading, of actions, and warnings, by `run` as by `validate`; each once."""
    (folder / "wrong.yaml").write_text(
        "tasks:\n"
        "  - {name: a, taks: 1, action: core.ech}\n"
        "  - {name: b, action: t.same, inputs: {x: 1}, input: {y: 1}}\n"
        "  - {name: c, action: t.sme, input: {x: '{{ task.aa.result }}'}}\n"
        "  - {name: d, action: noDot}\n"
    )

    _, checked, _ = call(folder, "validate", "wrong.yaml", "--actions", "acts.py")
    code, _, ran = call(folder, "run", "wrong.yaml", "--actions", "acts.py")

    places = [line.split(": ")[0] for line in checked.splitlines() if line.startswith("wrong.yaml:")]
    columns = ["2:15", "2:32", "3:31", "3:54", "3:55", "4:23", "4:45", "5:23"]
    assert places == [f"wrong.yaml:{place}" for place in columns]
    assert checked.endswith("\n1 file checked: 6 errors, 2 warnings\n")
    assert code == 2
    assert ran.replace("an action file that prints while it is loaded\n", "") in checked


def test_actions_that_cannot_be_read_hide_nothing_of_the_file(folder: Path) -> None:
    """`validate` tells both."""
    (folder / "wrong.yaml").write_text("tasks: [{name: a, action: noDot}]\n")

    code, out, _ = call(folder, "validate", "wrong.yaml", "--actions", "nowhere.py")

    assert code == 2
    assert "cannot read the actions of nowhere.py" in out
    assert "`noDot` is no action" in out
    assert out.endswith("\n1 file checked: 2 errors, 0 warnings\n")


def test_broken_yaml_is_told_with_its_place(folder: Path) -> None:
    """The same for `run` and `validate`."""
    (folder / "broken.yaml").write_text("tasks:\n  - name: a: b\n")

    for verb in ("run", "validate"):
        code, out, err = call(folder, verb, "broken.yaml")
        assert code == 2
        assert "broken.yaml:2:12: not YAML: " in out + err
        assert "\n      - name: a: b\n               ^\n" in out + err


def test_validate_starts_without_what_only_runs_need(folder: Path) -> None:
    """Ray, Arrow and the like would take longer than the 0.3 s that it has."""
    script = (
        "import sys, attune_ray.cli\n"
        "sys.argv = ['attune-ray', 'validate', 'hello.yaml']\n"
        "try:\n    attune_ray.cli.main()\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'ray', 'pyarrow', 'numpy', 'memray', 'httpx', 'sqlalchemy', 'rich', 'pydantic', 'jsonschema'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    (folder / "script.py").write_text(script)

    command = [sys.executable, str(folder / "script.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_help_lists_the_verbs_in_the_order_of_their_use(folder: Path) -> None:
    """Each with one whole sentence."""
    code, out, _ = call(folder, "--help")
    listed = [line.split(maxsplit=1) for line in out.partition("Commands:\n")[2].splitlines()]

    assert code == 0
    assert [verb for verb, _ in listed] == [
        *("run", "resume", "rerun", "runs", "show", "pause", "cancel", "answer", "export", "gc"),
        *("validate", "schema", "memory"),
    ]
    assert [told for _, told in listed if not told.endswith(".") or told.endswith("...")] == []


def test_the_version_is_printed(folder: Path) -> None:
    """As the package has it."""
    code, out, _ = call(folder, "--version")

    assert code == 0
    assert out.startswith("attune-ray ")


def test_a_terminal_shows_a_bar_for_a_fan_out(folder: Path) -> None:
    """Markup in names is never interpreted."""
    (folder / "bar.yaml").write_text(
        "label: '[bold]fan'\n"
        "tasks: [{name: wait, action: core.sleep, with_items: '{{ range(4) }}', concurrency: 2, input: {seconds: 1}}]\n"
    )
    ours, theirs = pty.openpty()
    arguments = ("run", "bar.yaml", "--json", "--run-id", "bar1")
    command = CommandLine(arguments, folder, {"TERM": "xterm", "COLUMNS": "120"}, stderr=theirs)
    os.close(theirs)

    shown = read_to_end(ours)
    code, out, _ = command.end()

    assert (code, json.loads(out)) == (0, {"succeeded": True})
    assert shown.startswith("run bar1: [bold]fan")
    assert "━━━━" in shown
    assert "2 of 4 items, " in shown
    assert "items/s" in shown
    assert shown.endswith("\x1b[?25h") or "\x1b[?25h" in shown.rpartition("━")[2]  # the cursor is back


def read_to_end(terminal: int) -> str:
    """All that was written to a terminal; Linux ends it with an error."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        pass
    os.close(terminal)
    return b"".join(parts).decode(errors="replace")


@pytest.mark.ray
def test_a_failed_item_is_named_with_its_index_expression_and_reason(folder: Path) -> None:
    """One of 10,000; the others have succeeded."""
    (folder / "many.yaml").write_text(
        "tasks:\n  - name: divide\n    action: t.same\n    with_items: '{{ range(10000) }}'\n"
        "    input: {x: '{{ 1 / (item - 7312) }}'}\n"
    )

    code, out, err = call(folder, "run", "many.yaml", "--actions", "acts.py", "--num-cpus", "2")

    assert code == 1
    assert "task divide: 1 of 10000 item(s) failed" in err
    assert "  item 7,312 7312: input.x: {{ 1 / (item - 7312) }}: division by zero" in err
    assert "divide  failed  10,000       1" in out
