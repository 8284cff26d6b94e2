"""What an engine is given: workflows, actions, packs, their configuration and secrets, all of it read and checked."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from attune_ray.actions import Catalog, sources_of
from attune_ray.dispatch.worker.encoding import encode
from attune_ray.errors import UnstorableResultError, UsageError
from attune_ray.model import Workflow, parse_workflow
from attune_ray.packs import config_secrets, keystore_warnings, load_config, load_keystore, load_pack
from attune_ray.packs.files import read_text
from attune_ray.values.secrets import NO_SECRETS, Secrets

__all__ = ["Given", "gather", "load", "loaded", "parameters_of"]


def load(source: str | Path) -> Workflow:
    """Read and check a workflow.

    Args:
        source: the path of a file, or YAML text (of which JSON is a part): a text that has a line break or ``: ``,
            or begins with ``{``, is YAML.

    Raises:
        InvalidWorkflowError: with every problem that was found.
        UsageError: the file cannot be read.
    """
    if isinstance(source, str) and not source.strip():
        raise UsageError("the text of the workflow is empty: give the path of a file, or YAML")
    if isinstance(source, str) and ("\n" in source or ": " in source or source.lstrip().startswith("{")):
        return parse_workflow(source)
    path = Path(source)
    return parse_workflow(read_text(path, "the workflow"), source=str(path))


def loaded(source: str | Path | Workflow) -> Workflow:
    """A workflow, read if it has not been. Errors: as of ``load``."""
    return source if isinstance(source, Workflow) else load(source)


def parameters_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of a run, which JSON can carry: found now, and not when a task first needs them elsewhere.

    Raises:
        UsageError: they are no object with texts as keys, or hold what is no JSON value.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"parameters are an object, name → value, not {type(given).__name__}")
    found = dict(given)
    for name in found:
        if not isinstance(name, str):
            raise UsageError(f"parameters have texts as names: {name!r} is of type {type(name).__name__}")
    try:
        encode(found)
    except UnstorableResultError as error:  # which speaks of a result, and of what its action is to do
        fault = str(error).removeprefix("result").partition("; return ")[0]
        raise UsageError(f"parameters{fault} (parameters are JSON values)") from None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an engine is given.

    Attributes:
        catalog: the actions; ``workflows``: what tasks may name besides them, by reference.
        config: what templates read as ``config``; ``configs``: the same by pack.
        config_secrets: what must not be shown of them; of ``keystore`` it is all.
        warnings: what is odd in packs and keystore.
    """

    catalog: Catalog
    workflows: Mapping[str, Workflow]
    config: Any
    configs: Mapping[str, Any]
    config_secrets: Secrets
    keystore: Any = field(repr=False)
    warnings: tuple[Any, ...] = ()


def gather(
    actions: Iterable[object],
    workflows: Mapping[str, str | Path | Workflow],
    packs: Iterable[str | Path],
    config: str | Path | None,
    keystore: str | Path | None,
) -> Given:
    """Read what an engine is given; arguments and errors: as of ``Engine``."""
    for name, several in (("actions", actions), ("packs", packs)):
        if isinstance(several, str | Path):  # a text is a list of its letters to Python
            raise UsageError(f"{name} is a list: write {name}=[{str(several)!r}]")
    opened = [load_pack(folder) for folder in packs]
    sources = [source for given in actions for source in sources_of(given)]
    configs = {pack.ref: load_config(pack, config) for pack in opened}
    keys = load_keystore(keystore, os.environ)
    of_packs = {ref: workflow for pack in opened for ref, workflow in pack.workflows.items()}
    return Given(
        catalog=Catalog([*sources, *(pack.source for pack in opened)]),
        workflows={**of_packs, **{ref: loaded(source) for ref, source in workflows.items()}},
        config=load_config(None, config) if config is not None else None,
        configs=configs,
        config_secrets=reduce(or_, (config_secrets(pack, configs[pack.ref]) for pack in opened), NO_SECRETS),
        keystore=keys,
        warnings=(*(found for pack in opened for found in pack.warnings), *keystore_warnings(keystore, keys)),
    )
