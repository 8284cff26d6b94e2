"""What all tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from attune_ray import Engine, Settings
from attune_ray.settings import LimitSettings, RaySettings

pytest_plugins = ["cli_desk", "disks", "executor_bench", "postgres"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a slow machine is no fault of the code: time is told by the benchmarks alone


@pytest.fixture(scope="session", autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Command lines that tests start keep their runs in a temporary folder, and start Ray, unless told otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("ATTUNE_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def ray_settings() -> Settings:
    """Two slots on this machine, and little patience with items that overrun."""
    ray = RaySettings(num_cpus=2, object_store_bytes=500_000_000)
    return Settings(ray=ray, limits=LimitSettings(timeout_grace_s=0.5))


@pytest.fixture(scope="session")
def ray_session(ray_settings: Settings) -> Iterator[None]:
    """A running Ray that every engine of the session joins: starting one takes four seconds."""
    with Engine(settings=ray_settings) as engine:
        engine.connect()
        yield


@pytest.fixture
def make_engine(ray_settings: Settings) -> Iterator[Callable[..., Engine]]:
    """Makes engines that are closed after the test; they join Ray where ``ray_session`` has started it."""
    with ExitStack() as stack:

        def make(*actions: object, **options: Any) -> Engine:
            options = {"settings": ray_settings, **options}
            return stack.enter_context(Engine(actions=actions, **options))

        yield make


@pytest.fixture
def make_ray_engine(ray_session: None, make_engine: Callable[..., Engine]) -> Callable[..., Engine]:  # noqa: ARG001
    """Makes engines over the session's Ray."""
    return make_engine
