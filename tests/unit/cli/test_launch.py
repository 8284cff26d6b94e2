"""What is kept of the way in which an engine was made."""

from pathlib import Path

import pytest

from attune_ray.cli.launch import Launch
from attune_ray.errors import UsageError
from attune_ray.records import RunBegun
from attune_ray.settings import RaySettings, StateSettings


def begun(launch: dict[str, object]) -> RunBegun:
    """A run that was started like this."""
    return RunBegun(run_id="r1", at="", title="t", source="t.yaml", text="", given={}, launch=launch)


def test_paths_are_kept_absolute_and_modules_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the engine can be made again in another folder."""
    monkeypatch.chdir(tmp_path)
    launch = Launch(actions=("acts.py", "my.actions"), packs=("../p",), config="c.yaml", keystore="k.yaml", num_cpus=2)

    again = Launch.of(begun(launch.kept(StateSettings(url=str(tmp_path)))))

    assert again.actions == (str(tmp_path / "acts.py"), "my.actions")
    assert (again.packs, again.folder) == ((str(tmp_path / "../p"),), str(tmp_path))
    assert (again.config, again.keystore) == (str(tmp_path / "c.yaml"), str(tmp_path / "k.yaml"))
    assert again.ray == RaySettings(num_cpus=2)
    assert (again.results, again.has_hidden_results) == (None, False)


def test_another_ray_takes_the_place_of_the_one_of_then() -> None:
    """One word for it is enough."""
    launch = Launch(num_cpus=2)

    assert launch.with_ray(RaySettings(), None).ray == RaySettings(num_cpus=2)
    assert launch.with_ray(RaySettings(address="auto"), None).ray == RaySettings(address="auto")


def test_results_are_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody says otherwise."""
    monkeypatch.chdir(tmp_path)
    state = StateSettings(url="postgresql://host/db")
    launch = Launch.of(begun(Launch().kept(state)))

    assert launch.state(state, "r1").results == str(tmp_path / ".attune" / "results")
    assert launch.state(StateSettings(results="there"), "r1").results == "there"


def test_credentials_are_not_kept(tmp_path: Path) -> None:
    """They must be said again."""
    state = StateSettings(url=str(tmp_path), results="s3://key:hunter22@bucket/folder?region=eu")
    kept = Launch().kept(state)

    assert "hunter22" not in str(kept)
    with pytest.raises(UsageError, match=r"keeps its results in s3://bucket/folder, with credentials or options"):
        Launch.of(begun(kept)).state(StateSettings(url=str(tmp_path)), "r1")


def test_a_run_that_was_started_otherwise_is_told() -> None:
    """From Python, whose functions are nowhere to be found again."""
    with pytest.raises(UsageError, match="run r1 was not started by `attune-ray run`"):
        Launch.of(begun({}))


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """Relative paths of the workflow would lead elsewhere."""
    with pytest.raises(UsageError, match="which cannot be used: No such file or directory"):
        Launch(folder=str(tmp_path / "gone")).go_there()
