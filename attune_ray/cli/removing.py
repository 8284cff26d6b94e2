"""Removing runs with all that is kept of them."""

from collections.abc import Iterator

from attune_ray.bootstrap import open_results
from attune_ray.cli.kept import KeptRuns
from attune_ray.cli.telling import settings_of
from attune_ray.errors import StateError, UsageError
from attune_ray.store.results import FileResults
from attune_ray.values.keeping import ResultStore, folder_of_run

__all__ = ["remove"]


def remove(kept: KeptRuns, at: str, *, dry_run: bool) -> Iterator[int | str]:
    """Remove the runs that have ended before a moment: bytes of each one's results, or why it stays.

    Results go first: if that is cut short, the run is still listed, and the next attempt takes the rest.
    """
    for run_id in kept.archive.ended_before(at):
        try:
            results = _results_of(kept, run_id)
        except UsageError as error:
            yield f"run {run_id} stays: {error}"
            continue
        folder = folder_of_run(run_id)
        n_bytes = (results.size(folder) or 0) if isinstance(results, FileResults) else 0
        if not dry_run:
            results.remove(folder)
            kept.archive.remove([run_id])
        yield n_bytes


def _results_of(kept: KeptRuns, run_id: str) -> ResultStore:
    """Where its results are. Raises UsageError: that must be said."""
    try:
        return open_results(settings_of(kept, kept.archive.begun(run_id)))
    except StateError:  # its beginning is sealed, and the key is gone: its results are where all are
        return open_results(kept.settings)
