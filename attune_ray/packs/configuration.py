"""``config`` and ``keystore``: what expressions read that comes from neither the workflow nor its parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attune_ray.errors import Location
from attune_ray.model import apply_schema
from attune_ray.model.findings import Findings
from attune_ray.model.pack import read_settings
from attune_ray.packs.files import read_text
from attune_ray.packs.load import Pack

__all__ = ["load_config", "load_keystore"]

_PREFIX = "ATTUNE_KEYSTORE_"


def load_config(pack: Pack | None, path: str | Path | None = None) -> dict[str, Any]:
    """The configuration of a pack: its own values, those of the file over them, and its schema's defaults below.

    Args:
        pack: None: there is only the file.
        path: a YAML file that holds a map.

    Raises:
        InvalidWorkflowError: the file is no map.
        InvalidParametersError: the configuration does not fit the pack's schema.
        UsageError: the file cannot be read.
    """
    own = dict(pack.config) if pack is not None else {}
    values = own | (_settings(Path(path), "a configuration") if path is not None else {})
    if pack is None:
        return values
    return apply_schema(pack.config_schema, values, location=Location(str(path or pack.folder / "pack.yaml")))


def load_keystore(path: str | Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """Secrets by name: those of a YAML file, and over them the variables ``ATTUNE_KEYSTORE_<NAME>``.

    The name of a variable counts in lower case: ``ATTUNE_KEYSTORE_DB_PASSWORD`` is ``keystore.db_password``. Its
    value is text as it stands.

    Raises:
        InvalidWorkflowError: the file is no map.
        UsageError: the file cannot be read.
    """
    named = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and name != _PREFIX
    }
    return (_settings(Path(path), "a keystore") if path is not None else {}) | named


def _settings(path: Path, what: str) -> dict[str, Any]:
    findings = Findings(str(path))
    values = read_settings(read_text(path, what), findings, what)
    findings.raise_errors()
    return values
