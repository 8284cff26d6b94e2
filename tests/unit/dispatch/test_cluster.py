"""Which cluster an engine uses."""

import pytest

from attune_ray.dispatch.cluster import address_of
from attune_ray.settings import RaySettings


def test_the_environment_names_the_cluster_where_the_settings_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for Ray's own programs; a job of Ray finds its cluster by it."""
    assert address_of(RaySettings()) is None

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")

    assert address_of(RaySettings()) == "10.0.0.1:6379"
    assert address_of(RaySettings(address="auto")) == "auto"


@pytest.mark.parametrize(
    "settings", [RaySettings(num_cpus=2), RaySettings(object_store_bytes=10**8), RaySettings(address="local")]
)
def test_settings_of_a_local_cluster_ask_for_one(monkeypatch: pytest.MonkeyPatch, settings: RaySettings) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")

    assert address_of(settings) is None


@pytest.mark.parametrize("said", ["", "local"])
def test_the_environment_may_name_none(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Both words mean that to Ray."""
    monkeypatch.setenv("RAY_ADDRESS", said)

    assert address_of(RaySettings()) is None
