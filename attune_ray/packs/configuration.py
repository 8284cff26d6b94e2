"""``config`` and ``keystore``: what expressions read that comes from neither the workflow nor its parameters."""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attune_ray.errors import InvalidWorkflowError, Location, Problem
from attune_ray.model import apply_schema
from attune_ray.model.findings import Findings
from attune_ray.model.pack import read_settings
from attune_ray.packs.files import read_text
from attune_ray.packs.load import Pack
from attune_ray.values.secrets import MASK, MIN_CHARACTERS, Secrets, secret_defaults, secret_parts, texts_of

__all__ = ["config_secrets", "keystore_warnings", "load_config", "load_keystore"]

_PREFIX = "ATTUNE_KEYSTORE_"
_QUOTED = re.compile(r"[`'\"].*[`'\"]|[!&*]\S+", re.DOTALL)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


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


def config_secrets(pack: Pack, config: Mapping[str, Any]) -> Secrets:
    """What the schema of a pack's configuration marks as secret."""
    schema = pack.config_schema
    return Secrets.of([*secret_defaults(schema), *secret_parts(schema, config)])


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
    if path is None:
        return named
    try:
        return _settings(Path(path), "a keystore") | named
    except InvalidWorkflowError as error:  # a secret that is not quoted may be read as an anchor, an alias or a tag
        raise InvalidWorkflowError(tuple(map(_without_quotes, error.problems))) from None


def _without_quotes(problem: Problem) -> Problem:
    return replace(problem, message=_QUOTED.sub(MASK, problem.message), hint=_QUOTED.sub(MASK, problem.hint))


def keystore_warnings(path: str | Path | None, keystore: Mapping[str, Any]) -> Iterator[Problem]:
    """What is unsafe about a keystore: its file is open to others, or a secret is too short to be masked."""
    if path is not None and (mode := Path(path).stat().st_mode) & _OTHERS:
        told = f"others may read or change the keystore (its mode is {stat.S_IMODE(mode):04o})"
        yield Problem(message=told, location=Location(str(path)), hint=f"chmod 600 {path}")
    for name, value in keystore.items():
        texts = list(texts_of(value))
        if len(Secrets.of([value]).texts) < len(set(texts)):
            told = f"shorter than {MIN_CHARACTERS} characters, or a common word: it cannot be masked where it is shown"
            yield Problem(message=told, location=Location(str(path or "environment")), path=f"keystore.{name}")


def _settings(path: Path, what: str) -> dict[str, Any]:
    findings = Findings(str(path))
    values = read_settings(read_text(path, what), findings, what)
    findings.raise_errors()
    return values
