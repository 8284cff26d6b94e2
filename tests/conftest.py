"""What all tests share."""

from collections.abc import Iterator

import pytest

from attune_ray import Engine, Settings
from attune_ray.settings import RaySettings


@pytest.fixture(scope="session")
def ray_settings() -> Settings:
    """Two slots on this machine; one Ray serves the whole session, since starting it takes four seconds."""
    return Settings(ray=RaySettings(num_cpus=2))


@pytest.fixture(scope="session")
def ray_session(ray_settings: Settings) -> Iterator[None]:
    """A running Ray that every engine of the session joins."""
    with Engine(settings=ray_settings) as engine:
        engine.connect()
        yield
