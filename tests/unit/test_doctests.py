"""Examples in docstrings are run."""

import doctest
import importlib
import pkgutil

import pytest

import attune_ray

WITH_EXAMPLES = [
    module.name
    for module in pkgutil.walk_packages(attune_ray.__path__, "attune_ray.")
    if not module.name.endswith(("__main__", "dispatch.remote"))
]


@pytest.mark.parametrize("name", ["attune_ray", *WITH_EXAMPLES])
def test_the_examples_of_a_module_hold(name: str) -> None:
    """Each example gives what it shows."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
