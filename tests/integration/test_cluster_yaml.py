"""cluster.yaml: what Ray's launcher takes, and that nobody gets in without the token."""

import copy
import ipaddress
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from click.testing import CliRunner
from ray._private.label_utils import parse_node_labels_string, validate_node_labels
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

FILE = Path(__file__).parents[2] / "cluster.yaml"
TEXT = FILE.read_text(encoding="utf-8")
EXAMPLES = ipaddress.ip_network("192.0.2.0/24")  # RFC 5737: for documentation


@pytest.fixture
def config() -> dict[str, Any]:
    """The file as it stands."""
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def starts(config: dict[str, Any]) -> dict[str, str]:
    """The command that starts Ray, on the head and on a worker."""
    return {role: config[f"{role}_start_ray_commands"][-1] for role in ("head", "worker")}


def options(command: str) -> dict[str, str]:
    """The options that ``ray start`` gets, by name."""
    words = shlex.split(command.partition(" start ")[2])
    return {name.removeprefix("--"): value for name, _, value in (word.partition("=") for word in words)}


def test_it_fits_rays_own_schema(config: dict[str, Any]) -> None:
    """As it is written, before Ray adds its defaults."""
    schema = json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text(encoding="utf-8"))

    jsonschema.validate(config, schema)


def test_the_launcher_takes_it(config: dict[str, Any]) -> None:
    """With its defaults; one node type, of which all workers are kept."""
    prepared = prepare_config(copy.deepcopy(config))

    validate_config(prepared)
    (node_type,) = prepared["available_node_types"].values()
    assert (node_type["min_workers"], node_type["max_workers"]) == (2, 2)


def test_the_machines_are_examples(config: dict[str, Any]) -> None:
    """Nobody's cluster is started by a file that was not read."""
    provider = config["provider"]

    assert provider["type"] == "local"
    for address in [provider["head_ip"], *provider["worker_ips"]]:
        assert ipaddress.ip_address(address) in EXAMPLES


def test_every_node_starts_with_token_authentication(config: dict[str, Any]) -> None:
    """Ray turns it on by itself only for a cluster inside one process."""
    for command in starts(config).values():
        assert " RAY_AUTH_MODE=token ~/attune-env/bin/ray start " in command


def test_every_driver_on_a_node_shows_the_token(config: dict[str, Any]) -> None:
    """The token comes as a file that only its user can read; the mode stands in the shell's environment."""
    setup = "\n".join(config["setup_commands"])

    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"  # noqa: S105 - a path
    assert "chmod 600 ~/.ray/auth_token" in setup
    assert "export RAY_AUTH_MODE=token" in setup
    assert "ray get-auth-token --generate" in TEXT


def test_the_file_holds_no_token() -> None:
    """It is committed; a token has 64 hexadecimal digits."""
    assert not re.search(r"[0-9a-f]{32}", TEXT)


def test_ports_are_fixed_alike_on_all_nodes_and_documented(config: dict[str, Any]) -> None:
    """A firewall can be written from the comment alone."""
    ports = {
        role: {name: int(value) for name, value in options(command).items() if name.endswith("port")}
        for role, command in starts(config).items()
    }
    documented = TEXT.partition("# Ports.")[2].partition("# There is no dashboard")[0]

    assert {name: port for name, port in ports["head"].items() if name != "port"} == ports["worker"]
    assert options(starts(config)["worker"])["address"] == f"$RAY_HEAD_IP:{ports['head']['port']}"
    assert len(set(ports["head"].values())) == len(ports["head"]) == 8
    assert set(map(int, re.findall(r"\b\d{4,5}\b", documented))) == set(ports["head"].values())


def test_nothing_listens_for_people(config: dict[str, Any]) -> None:
    """Neither the dashboard nor the Ray Client server."""
    assert options(starts(config)["head"])["include-dashboard"] == "false"
    for command in starts(config).values():
        assert "ray-client-server-port" not in options(command)


def test_every_option_is_one_of_ray_start(config: dict[str, Any]) -> None:
    """A misspelt one would only be found on the first node."""
    known = {name for parameter in start.params for name in parameter.opts}

    for command in starts(config).values():
        assert {f"--{name}" for name in options(command)} <= known
    assert CliRunner().invoke(start, ["--no-such-option"]).exit_code == 2


@pytest.mark.parametrize(
    ("own", "labels"),
    [
        ("", {"attune.role": "worker"}),
        (",zone=north,disk=ssd", {"attune.role": "worker", "zone": "north", "disk": "ssd"}),
    ],
)
def test_workers_carry_labels_for_worker_selectors(config: dict[str, Any], own: str, labels: dict[str, str]) -> None:
    """The same for all, and a node's own."""
    given = options(starts(config)["worker"])["labels"].replace("${NODE_LABELS:+,$NODE_LABELS}", own)

    assert parse_node_labels_string(given) == labels
    validate_node_labels(labels)


def test_the_package_is_installed_from_a_wheel_that_is_copied(config: dict[str, Any]) -> None:
    """Nodes need not reach the source; the wheel's name is the package's."""
    setup = "\n".join(config["setup_commands"])

    assert config["file_mounts"]["~/attune-project/dist"] == "dist"
    assert "~/attune-project/dist/attune_ray-*.whl" in setup
    assert "pip wheel --no-deps --wheel-dir dist ." in TEXT
