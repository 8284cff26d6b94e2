"""What of a run is secret, and how a bug is told without it."""

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attune_ray.actions import Action
from attune_ray.errors import EngineError
from attune_ray.model import Task, Workflow
from attune_ray.ports import RunContext
from attune_ray.values.secrets import RunSecrets, Secrets, secret_defaults, secret_parts

__all__ = ["child_secrets", "masked_bug", "parameter_secrets", "secret_texts"]


def parameter_secrets(workflow: Workflow, *given: Mapping[str, Any]) -> Secrets:
    """The values of a workflow's ``secret: true`` parameters, and their defaults."""
    schema = workflow.parameters
    parts = (part for values in given for part in secret_parts(schema, values))
    return Secrets.of([*secret_defaults(schema), *parts])


def child_secrets(parent: RunContext, given: Mapping[str, Any]) -> RunSecrets:
    """What a child run has of its parent: all of config and keystore, and of the parameters what it was given."""
    secrets = parent.secrets
    return replace(secrets, parameters=secrets.all().found_in(given))


def secret_texts(action: Action, task: Task) -> frozenset[str]:
    """What an action's schema and the workflow file itself tell of its secret parameters."""
    schema = action.parameters
    if not (defaults := list(secret_defaults(schema))):
        return frozenset()
    written = (part for part in secret_parts(schema, task.input) if not (isinstance(part, str) and "{{" in part))
    return Secrets.of([*defaults, *written]).texts


def masked_bug(error: Exception, secrets: Secrets) -> EngineError:
    """A bug of ours with its traceback as text: a text alone can be masked, what hangs on exceptions cannot."""
    return EngineError(secrets.mask("".join(traceback.format_exception(error))))
