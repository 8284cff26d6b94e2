"""A pack's folder → Pack: what is read, and what is refused, all of it at once."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_ray.actions import ScriptSpec
from attune_ray.errors import InvalidParametersError, InvalidWorkflowError, UsageError
from attune_ray.model.findings import Findings
from attune_ray.model.pack import read_action, read_manifest, read_settings
from attune_ray.packs import Pack, files, load_config, load_keystore, load_pack
from attune_ray.values.formats import Delivery, OutputFormat, ParameterFormat, Runner

SCRIPT = "runner_type: shell\nentry_point: run.sh\n"
GRAPH = "tasks: [{name: a, action: core.noop}]\n"
Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the files of a pack; ``pack.yaml`` and ``actions/run.sh`` are there unless they are given."""

    def written(given: dict[str, str]) -> Path:
        for name, text in {"pack.yaml": "ref: my_pack\n", "actions/run.sh": "exit 0\n", **given}.items():
            path = tmp_path / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "pack"

    return written


def spec_of(pack: Pack) -> ScriptSpec:
    """That of the only script."""
    (action,) = pack.source.actions
    return action.spec


def problems(folder: Path) -> list[str]:
    """What is wrong with a pack, without the folder's name."""
    with pytest.raises(InvalidWorkflowError) as caught:
        load_pack(folder)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def warnings(pack: Pack) -> list[str]:
    """What is odd in a pack."""
    return [str(problem).replace(f"{pack.folder}/", "") for problem in pack.warnings]


def test_a_script_is_read_with_all_its_options(write: Write) -> None:
    """And with its schemas as JSON Schema, secrets marked."""
    text = (
        "ref: my_pack.deploy\nlabel: Deploy\nrunner_type: python\nentry_point: ./tools/deploy.py\n"
        "parameter_delivery: file\nparameter_format: yaml\noutput_format: jsonl\n"
        "parameters:\n  token: {type: string, secret: true, required: true}\n  n: {type: integer, default: 3}\n"
    )
    pack = load_pack(write({"actions/x.yaml": text, "actions/tools/deploy.py": ""}))

    assert spec_of(pack) == ScriptSpec(
        ref="my_pack.deploy",
        pack_ref="my_pack",
        runner=Runner.PYTHON,
        entry_point="actions/tools/deploy.py",
        parameter_delivery=Delivery.FILE,
        parameter_format=ParameterFormat.YAML,
        output_format=OutputFormat.JSONL,
    )
    schema = pack.source.actions[0].parameters or {}
    assert (schema["required"], schema["properties"]["token"]["secret"]) == (["token"], True)
    assert pack.source.actions[0].origin.endswith("actions/x.yaml")
    assert warnings(pack) == []


@pytest.mark.parametrize(
    ("head", "ref"),
    [
        ("", "my_pack.run"),
        ("name: other\n", "my_pack.other"),
        ("ref: other\n", "my_pack.other"),
        ("ref: my_pack.a.b\n", "my_pack.a.b"),
    ],
)
def test_a_missing_reference_is_made_of_pack_and_name(write: Write, head: str, ref: str) -> None:
    """The file's name is the action's, unless it tells another."""
    assert spec_of(load_pack(write({"actions/run.yaml": head + SCRIPT}))).ref == ref


@pytest.mark.parametrize(
    ("runner", "script", "interpreter", "options"),
    [
        ("shell", "#!/bin/sh\n", "sh", ()),
        ("shell", "#!/bin/sh -eu\r\n", "sh", ("-eu",)),
        ("shell", "#!/usr/bin/env bash\n", "bash", ()),
        ("shell", "#!/usr/bin/env -S bash -x -e\n", "bash", ("-x", "-e")),
        ("shell", "#!/bin/zsh\n", "", ()),
        ("shell", "echo\n", "", ()),
        ("shell", "", "", ()),
        ("bash", "#!/bin/sh\n", "bash", ()),
        ("sh", "echo\n", "sh", ()),
    ],
)
def test_a_shell_script_says_which_shell(
    write: Write, runner: str, script: str, interpreter: str, options: tuple[str, ...]
) -> None:
    """By its first line, unless the runner is named after a shell."""
    action = f"runner_type: {runner}\nentry_point: run.sh\n"
    spec = spec_of(load_pack(write({"actions/run.yaml": action, "actions/run.sh": script})))

    assert (spec.runner, spec.interpreter, spec.options) == (Runner.SHELL, interpreter, options)


def test_a_workflow_is_what_its_action_file_and_its_graph_tell(write: Write) -> None:
    """Reference, label, schemas and tags are the action's."""
    action = (
        "label: Deploy\ntags: [x]\nworkflow_file: workflows/deploy.workflow.yaml\n"
        "parameters: {host: {type: string, required: true}}\noutput_schema: {done: {type: boolean}}\n"
    )
    tasks = "tasks: [{name: a, action: core.echo, input: {message: '{{ parameters.host }}'}}]\n"
    graph = f"label: Other\nref: other.ref\n{tasks}"
    pack = load_pack(write({"actions/deploy.yaml": action, "actions/workflows/deploy.workflow.yaml": graph}))

    workflow = pack.workflows["my_pack.deploy"]
    assert (workflow.ref, workflow.label, workflow.tags) == ("my_pack.deploy", "Deploy", ("x",))
    assert workflow.text == graph
    assert workflow.source == str(pack.folder / "actions/workflows/deploy.workflow.yaml")
    assert (workflow.parameters or {})["required"] == ["host"]
    assert list((workflow.output or {})["properties"]) == ["done"]
    assert pack.source.actions == ()


def test_a_graph_is_checked_against_the_parameters_of_its_action(write: Write) -> None:
    """A misspelt parameter is found when the pack is read."""
    action = "workflow_file: workflows/g.yaml\nparameters: {host: {type: string}}\n"
    graph = "tasks: [{name: a, action: core.echo, input: {message: '{{ parameters.hots }}'}}]\n"

    (warning,) = warnings(load_pack(write({"actions/a.yaml": action, "actions/workflows/g.yaml": graph})))

    assert warning.startswith("actions/workflows/g.yaml:1:")
    assert "hots" in warning


def test_legacy_workflows_are_read_whole(write: Write) -> None:
    """Their own reference, or pack and file name."""
    pack = load_pack(write({"workflows/old.yaml": GRAPH, "workflows/b.yml": f"ref: my_pack.named\n{GRAPH}"}))

    assert {ref: workflow.ref for ref, workflow in pack.workflows.items()} == {
        "my_pack.old": None,
        "my_pack.named": "my_pack.named",
    }


def test_a_disabled_action_is_not_there(write: Write) -> None:
    """As if its file were not."""
    graph = {"actions/b.yaml": "enabled: false\nworkflow_file: workflows/b.yaml\n", "actions/workflows/b.yaml": GRAPH}
    pack = load_pack(write({"actions/run.yaml": f"enabled: false\n{SCRIPT}", **graph}))

    assert (pack.source.actions, pack.workflows, warnings(pack)) == ((), {}, [])


def test_every_problem_is_told_at_once_with_its_place(write: Write) -> None:
    """In the order of the files."""
    folder = write(
        {
            "pack.yaml": "ref: my_pack\nconf_schema: {a: {type: sting}}\n",
            "actions/a.yaml": "runner_type: shel\nentry_point: run.sh\noutput_format: xml\n",
            "actions/b.yaml": "runner_type: shell\nentry_point: rnu.sh\nparameters: {n: {type: integer, minimum: a}}\n",
            "actions/c.yaml": "label: x\n",
            "actions/d.yaml": "- a\n",
            "actions/e.yaml": "runner_type: native\nentry_point: run.sh\n",
            "actions/f.yaml": "workflow_file: workflows/g.workflow.yaml\n",
            "actions/workflows/g.workflow.yaml": "tasks: [{name: a, action: core.noop, next: [{do: b}]}]\n",
            "workflows/h.yaml": "tasks: [\n",
        }
    )

    told = problems(folder)

    assert [text.split(" ")[0] for text in told] == [
        "pack.yaml:2:25:",
        "actions/a.yaml:1:14:",
        "actions/a.yaml:3:16:",
        "actions/b.yaml:2:14:",
        "actions/b.yaml:3:42:",
        "actions/c.yaml:1:1:",
        "actions/c.yaml:1:1:",
        "actions/d.yaml:1:1:",
        "actions/e.yaml:2:14:",
        "actions/workflows/g.workflow.yaml:1:50:",
        "workflows/h.yaml:2:1:",
    ]
    assert "must be one of shell, python, nodejs, native; it is `shel` (did you mean `shell`?)" in told[1]
    assert told[3].endswith("there is no file `actions/rnu.sh` in the pack (did you mean `run.sh`?)")
    assert told[8].endswith("`run.sh` may not be executed (chmod +x actions/run.sh)")


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "a\\..\\b", "", ".", "a\\0b", "./", "//etc/passwd"]
)
@pytest.mark.parametrize("field", ["entry_point", "workflow_file"])
def test_paths_that_lead_out_of_the_pack_are_refused(write: Write, field: str, path: str) -> None:
    """Before anything is opened."""
    text = f'runner_type: shell\n{field}: "{path}"\n'
    (problem,) = (text for text in problems(write({"actions/a.yaml": text})) if "`entry_point` is missing" not in text)

    assert problem.startswith("actions/a.yaml:2:")


def test_two_actions_of_one_reference_are_an_error(write: Write) -> None:
    """Whatever they are: scripts, workflows, or one of each."""
    folder = write(
        {
            "actions/a.yaml": f"ref: my_pack.x\n{SCRIPT}",
            "actions/b.yaml": f"ref: my_pack.x\n{SCRIPT}",
            "actions/c.yaml": "ref: my_pack.x\nworkflow_file: workflows/g.yaml\n",
            "actions/workflows/g.yaml": GRAPH,
            "workflows/x.yaml": GRAPH,
        }
    )

    assert [problem.partition(":")[0] for problem in problems(folder)] == [
        "actions/b.yaml",
        "actions/c.yaml",
        "workflows/x.yaml",
    ]


def test_what_is_odd_but_runs_is_a_warning(write: Write) -> None:
    """Unknown keys, foreign references, graphs that nothing names."""
    pack = load_pack(
        write(
            {
                "pack.yaml": "ref: my_pack\nlabl: x\nauthor: me\n",
                "actions/a.yaml": f"ref: other.a\nruner: x\n{SCRIPT}",
                "actions/workflows/lost.workflow.yaml": GRAPH,
            }
        )
    )

    hint = "write `workflow_file: workflows/lost.workflow.yaml` in a file of actions/"
    lost = f"actions/workflows/lost.workflow.yaml: no action names this workflow ({hint})"
    assert warnings(pack) == [
        "pack.yaml:2:1: labl: unknown key `labl`: it has no effect (did you mean `label`?)",
        "actions/a.yaml:1:6: ref: `other.a` names another pack than `my_pack` (write `ref: my_pack.a`)",
        "actions/a.yaml:2:1: runer: unknown key `runer`: it has no effect (did you mean `runner_type`?)",
        lost,
    ]


@pytest.mark.parametrize(
    "manifest", ["", "label: x\n", "ref: a.b\n", "ref: ''\n", "- ref\n", "ref: {}\n", "ref: a/b\n"]
)
def test_a_pack_needs_a_reference(write: Write, manifest: str) -> None:
    """One word."""
    assert problems(write({"pack.yaml": manifest}))[0].startswith("pack.yaml:1:")


def test_a_folder_without_a_pack_file_is_no_pack(tmp_path: Path) -> None:
    """Nor is one that is not there."""
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UsageError, match=r"is no pack: there is no pack\.yaml in it"):
            load_pack(folder)


def test_all_files_travel_but_histories_and_caches(write: Write) -> None:
    """With their paths, their bytes and whether they may be executed."""
    folder = write({"data/x.bin": "x", ".git/config": "", "actions/__pycache__/a.pyc": "", ".hidden": "h"})
    (folder / "actions/run.sh").chmod(0o755)
    (folder / "actions/link.sh").symlink_to("run.sh")
    (folder / "lib").symlink_to("data")

    found = {file.path: file for file in load_pack(folder).source.files}

    assert sorted(found) == [".hidden", "actions/link.sh", "actions/run.sh", "data/x.bin", "lib", "pack.yaml"]
    assert found["actions/run.sh"].is_executable
    assert (found["lib"].is_link, found["lib"].content) == (True, b"data")
    assert (found["data/x.bin"].content, found["data/x.bin"].is_executable) == (b"x", False)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "../../../../etc"])
def test_links_that_lead_out_of_the_pack_are_refused(write: Write, target: str) -> None:
    """Another machine has nothing there, and this one may have a secret."""
    folder = write({"actions/run.yaml": SCRIPT})
    (folder / "link").symlink_to(target)

    with pytest.raises(UsageError, match="a link that leads out of it"):
        load_pack(folder)


def test_what_is_no_file_is_refused_without_being_opened(write: Write) -> None:
    """Opening a pipe would wait for ever."""
    folder = write({})
    os.mkfifo(folder / "pipe")

    with pytest.raises(UsageError, match="no file, folder or link"):
        load_pack(folder)


def test_a_pack_above_the_limit_is_refused_and_its_largest_files_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before all of it is in memory."""
    folder = write({"big.bin": "x" * 2_000, "small.txt": "x"})
    monkeypatch.setattr(files, "MAX_BYTES", 1_500)

    with pytest.raises(UsageError, match=r"too large to travel to workers: .*largest files are big\.bin"):
        load_pack(folder)


@pytest.mark.parametrize("name", ["pack.yaml", "actions/a.yaml", "actions/workflows/g.yaml"])
def test_a_file_that_is_no_text_is_named(write: Write, name: str) -> None:
    """And so is the byte."""
    folder = write({"actions/a.yaml": "workflow_file: workflows/g.yaml\n", "actions/workflows/g.yaml": GRAPH})
    (folder / name).write_bytes(b"ref: \xff\n")

    with pytest.raises(UsageError, match=rf"{name}: byte 5 is not UTF-8"):
        load_pack(folder)


def test_the_digest_is_of_all_that_matters(write: Write) -> None:
    """Another byte, name or mode is another pack."""
    folder = write({"actions/run.yaml": SCRIPT})
    digests = [load_pack(folder).source.digest, load_pack(folder).source.digest]
    (folder / "actions/run.sh").chmod(0o755)
    digests.append(load_pack(folder).source.digest)
    (folder / "actions/run.sh").write_text("exit 1\n")
    digests.append(load_pack(folder).source.digest)
    (folder / "actions/run.sh").rename(folder / "run.sh")
    (folder / "actions/run.yaml").unlink()
    digests.append(load_pack(folder).source.digest)

    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_a_configuration_is_the_packs_with_the_files_over_it(write: Write, tmp_path: Path) -> None:
    """And the schema's defaults below."""
    schema = "conf_schema:\n  a: {type: integer, default: 1}\n  b: {type: integer}\n  c: {type: string}\n"
    pack = load_pack(write({"pack.yaml": f"ref: my_pack\n{schema}config: {{b: 2, c: x}}\n"}))
    file = tmp_path / "config.yaml"
    file.write_text("c: y\nd: [1]\n")

    assert load_config(pack) == {"a": 1, "b": 2, "c": "x"}
    assert load_config(pack, file) == {"a": 1, "b": 2, "c": "y", "d": [1]}
    assert load_config(None, file) == {"c": "y", "d": [1]}
    assert load_config(None) == {}
    file.write_text("b: two\n")
    with pytest.raises(InvalidParametersError, match="must be of type integer"):
        load_config(pack, file)


def test_a_keystore_is_a_file_with_the_environment_over_it(tmp_path: Path) -> None:
    """Names of variables count in lower case, their values are text."""
    file = tmp_path / "keys.yaml"
    file.write_text("token: file\nnested: {a: 1}\n")
    environment = {"ATTUNE_KEYSTORE_TOKEN": "env", "ATTUNE_KEYSTORE_PIN": "010", "ATTUNE_KEYSTORE_": "x", "HOME": "/"}

    assert load_keystore(file, environment) == {"token": "env", "nested": {"a": 1}, "pin": "010"}
    assert load_keystore(None, {}) == {}


@pytest.mark.parametrize("text", ["- a", "just text", "a: {", "a: 1\na: 2"])
def test_settings_that_are_no_map_are_refused(tmp_path: Path, text: str) -> None:
    """With the place, and never with a value."""
    file = tmp_path / "keys.yaml"
    file.write_text(text)

    with pytest.raises(InvalidWorkflowError, match=r"keys\.yaml:\d"):
        load_keystore(file, {})


def test_settings_that_cannot_be_read_are_the_callers_fault(tmp_path: Path) -> None:
    """A file that is not there, a folder, a NUL."""
    for path in (tmp_path / "gone", tmp_path, "a\0b"):
        with pytest.raises(UsageError, match="cannot read a keystore"):
            load_keystore(path, {})


_KEYS = [
    "ref",
    "name",
    "runner_type",
    "entry_point",
    "workflow_file",
    "parameters",
    "output",
    "enabled",
    "tags",
    "config",
    "conf_schema",
    "x",
]
_TEXTS = st.sampled_from(["shell", "native", "run.sh", "../x", "a.b", "", "my_pack.x", "json"]) | st.text(max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*_KEYS, "type", "default"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=6))
def test_no_pack_file_raises_anything_but_problems(declared: dict[str, Any]) -> None:
    """Whatever stands under whatever key."""
    import json  # noqa: PLC0415  JSON is YAML

    text = json.dumps(declared)
    read_manifest(text, Findings("pack.yaml"))
    read_action(text, Findings("a.yaml"), pack_ref="my_pack", stem="a")


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_problems(text: str) -> None:
    """Whatever a file holds."""
    read_manifest(text, Findings("pack.yaml"))
    read_action(text, Findings("a.yaml"), pack_ref="my_pack", stem="a")
    read_settings(text, Findings("c.yaml"), "a configuration")


@pytest.mark.parametrize("name", ["pack.yaml", "actions/big.yaml", "workflows/big.yaml"])
def test_a_huge_file_of_a_pack_is_refused(write: Write, name: str) -> None:
    """One MiB is the limit of every YAML file; it is told which one is larger."""
    folder = write({"pack.yaml": "ref: p\n", name: "ref: p\n" + "# " * 600_000})

    with pytest.raises((InvalidWorkflowError, UsageError), match="larger than 1 MiB"):
        load_pack(folder)
