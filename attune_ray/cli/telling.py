"""A kept run told whole: with its results, and with what is secret in it, as far as that is still there."""

from attune_ray.actions import Catalog
from attune_ray.bootstrap import SystemClock, open_results
from attune_ray.bootstrap.given import Given, gather
from attune_ray.bootstrap.kept import KeptRun, digest_of, tell_again
from attune_ray.cli.kept import KeptRuns, is_live
from attune_ray.cli.launch import Launch
from attune_ray.errors import UsageError, WorkflowError
from attune_ray.records import RunBegun
from attune_ray.settings import StateSettings
from attune_ray.values.secrets import NO_SECRETS

__all__ = ["NOTHING", "given_of", "settings_of", "told"]

_MOST_FAILED_ITEMS = 1_000

NOTHING = Given(
    catalog=Catalog(finds_installed=False),
    workflows={},
    config=None,
    configs={},
    config_secrets=NO_SECRETS,
    keystore={},
)
"""What an engine is given that is given nothing, not even the environment's keystore."""


def told(
    kept: KeptRuns, run_id: str, *, keystore: str | None = None, max_failed_items: int = _MOST_FAILED_ITEMS
) -> tuple[KeptRun, bool]:
    """All of a run as it stands, and whether all of its secrets are known here.

    Raises:
        UsageError: there is none of that id.
        StateError: it cannot be read.
    """
    line = kept.line(run_id)
    history = kept.archive.history(run_id)
    begun = history.begun
    given = given_of(begun, keystore=keystore)
    found = tell_again(
        history,
        NOTHING if given is None else given,
        open_results(settings_of(kept, begun)),
        until=SystemClock().now() if is_live(line) else None,
        max_failed_items=max_failed_items,
    )
    return found, not begun.is_secret or (given is not None and _knows_secrets(begun, given))


def settings_of(kept: KeptRuns, begun: RunBegun) -> StateSettings:
    """Where a run and its results are kept. Raises UsageError: where its results are must be said."""
    return kept.settings if "folder" not in begun.launch else Launch.of(begun).state(kept.settings, begun.run_id)


def given_of(begun: RunBegun, *, keystore: str | None = None) -> Given | None:
    """Packs, configuration and keystore of a run, without its actions; None: they are not there any more."""
    launch = Launch.of(begun) if "folder" in begun.launch else Launch()
    try:
        return gather((), {}, launch.packs, launch.config, keystore or launch.keystore)
    except (UsageError, WorkflowError, OSError):
        return None


def _knows_secrets(begun: RunBegun, given: Given) -> bool:
    """Whether keystore, configuration and the schema of the parameters are those that the run had."""
    reference, digest = begun.launch.get("reference"), begun.launch.get("secrets")
    return (reference is None or reference in given.workflows) and (digest is None or digest == digest_of(given))
