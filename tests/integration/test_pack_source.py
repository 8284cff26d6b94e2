"""Packs as they travel: laid out once, found again, never where somebody else could change them."""

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attune_ray.actions import (
    CURRENT,
    Action,
    Catalog,
    Execution,
    Kind,
    Output,
    PackFile,
    PackSource,
    ScriptAction,
    ScriptSpec,
    sources_of,
)
from attune_ray.errors import PermanentError, UsageError
from attune_ray.values.formats import Runner

SCHEMA = {
    "type": "object",
    "properties": {
        "host": {"type": "string"},
        "token": {"type": "string", "secret": True, "default": "S3CRET"},
        "port": {"type": "integer", "minimum": 1, "default": 80},
    },
    "required": ["host"],
}


def source(
    text: str = "cat", schema: dict[str, Any] | None = None, origin: str = "my_pack/actions/x.yaml"
) -> PackSource:
    """A pack of one script."""
    files = (
        PackFile(path="actions/x.sh", content=text.encode()),
        PackFile(path="bin/tool", content=b"#!/bin/sh\n", is_executable=True),
        PackFile(path="lib/link.sh", content=b"../actions/x.sh", is_link=True),
    )
    spec = ScriptSpec(ref="my_pack.x", pack_ref="my_pack", runner=Runner.SHELL, entry_point="actions/x.sh")
    action = ScriptAction(spec=spec, parameters=schema, origin=origin)
    return PackSource(ref="my_pack", files=files, actions=(action,))


def action_of(pack: PackSource) -> Action:
    """Its action, as a worker has it."""
    sources = pickle.loads(pickle.dumps((pack,)))  # noqa: S301  as Ray does
    return Catalog(sources)["my_pack.x"]


def run(pack: PackSource, **parameters: Any) -> Output:
    """One attempt."""
    output: Output = asyncio.run(action_of(pack).function(**parameters))
    return output


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the copies are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attune_ray" / "packs"


def test_a_script_is_an_async_action_of_the_catalog() -> None:
    """Many of them run at once in a worker, and never in the coordinator."""
    action = action_of(source(schema=SCHEMA))

    assert (action.kind, action.inline, action.names, action.required) == (Kind.ASYNC, False, None, {"host"})
    assert action.width == 32
    assert action.signature == "(host, token='***', port=80, **any)"
    assert action.parameters == SCHEMA
    assert sources_of(source()) == [source()]


def test_two_definitions_of_one_action_are_told_by_their_files() -> None:
    """The functions behind them have no name that would help."""
    with pytest.raises(UsageError, match=r"'my_pack\.x' is defined twice: in a/x\.yaml and in b/x\.yaml"):
        Catalog([source(origin="a/x.yaml"), source(origin="b/x.yaml")])


def test_parameters_get_the_defaults_of_the_schema() -> None:
    """Before the script sees them; what the schema does not name passes through."""
    output = run(source(schema=SCHEMA), host="h", extra=[1])

    assert output.stdout == '{"host":"h","extra":[1],"token":"S3CRET","port":80}\n'


def test_parameters_that_do_not_fit_fail_for_good_and_nothing_runs(tmp_path: Path) -> None:
    """With all that is wrong, and no value of it."""
    with pytest.raises(PermanentError) as caught:
        run(source(f"touch {tmp_path}/ran", SCHEMA), port=0, token=["S3CRET"])

    assert set(str(caught.value).split("\n")) == {
        "my_pack.x: parameters.host: is missing",
        "my_pack.x: parameters.port: must be at least 1",
        "my_pack.x: parameters.token: must be of type string; it is an array",
    }
    assert not (tmp_path / "ran").exists()


def test_parameters_may_have_any_name() -> None:
    """They are JSON keys, not Python's names."""
    given = {"self": 1, "source": 2, "a-b": 3, "": 4}

    assert run(source(), **given).stdout == '{"self":1,"source":2,"a-b":3,"":4}\n'


def test_a_script_is_told_which_attempt_it_is() -> None:
    """By whoever runs the item."""
    token = CURRENT.set(Execution("run/task", 3, 2))
    try:
        assert run(source('echo "$ATTUNE_EXEC_ID"')).stdout == "run/task/3/2\n"
    finally:
        CURRENT.reset(token)


def test_files_are_laid_out_once_for_their_owner_alone(cache: Path) -> None:
    """A second process finds them."""
    pack = source("cd ..; find . -printf '%M %P %l\\n' | sort")

    listed = (run(pack).stdout or "").split("\n")

    name = f"my_pack-{pack.digest}"
    assert [path.name for path in cache.iterdir()] == [name]
    assert f"-rwx------ {name}/bin/tool " in listed
    assert f"-rw------- {name}/actions/x.sh " in listed
    assert f"lrwxrwxrwx {name}/lib/link.sh ../actions/x.sh" in listed
    assert f"drwx------ {name} " in listed
    made = (cache / name).stat().st_ino
    run(pack)
    assert (cache / name).stat().st_ino == made


def test_files_are_laid_out_again_where_the_cache_was_cleared(cache: Path) -> None:
    """Even under a running worker."""
    pack = source("echo hi")
    run(pack)
    for path in cache.iterdir():
        path.rename(path.with_name("gone"))

    assert run(pack).stdout == "hi\n"


def test_another_version_is_another_folder(cache: Path) -> None:
    """Scripts of both may run at once."""
    assert (run(source("echo 1")).stdout, run(source("echo 2")).stdout) == ("1\n", "2\n")
    assert len(list(cache.iterdir())) == 2


def test_whoever_loses_the_race_uses_the_winners_files(cache: Path) -> None:
    """And leaves nothing half made."""
    pack = source("echo hi")
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda _: run(pack).stdout, range(8)))

    assert outputs == ["hi\n"] * 8
    assert [path.name for path in cache.iterdir()] == [f"my_pack-{pack.digest}"]


@pytest.mark.parametrize("spoil", ["open", "link"])
def test_a_cache_that_others_can_change_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    """They could put other scripts there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    if spoil == "open":
        cache.mkdir(parents=True)
        cache.chmod(0o777)
    else:
        (tmp_path / "elsewhere").mkdir()
        cache.parent.mkdir(parents=True)
        cache.symlink_to(tmp_path / "elsewhere")

    assert (run(source("pwd")).stdout or "").startswith(str(tmp_path / "temp"))
    assert not any(cache.iterdir())


def test_a_pack_that_cannot_be_written_is_told(cache: Path) -> None:
    """A disk may be full, or have limits of its own."""
    long = PackFile(path="x" * 300, content=b"")

    with pytest.raises(UsageError, match=r"the files of the pack my_pack cannot be written: .*File name too long"):
        run(replace(source(), files=(long,)))
    assert not any(cache.iterdir())
