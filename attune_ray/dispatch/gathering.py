"""Bringing home what workers on other machines have recorded of their memory, while the cluster is still there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attune_ray.dispatch.sending import code, on_node
from attune_ray.settings import RecordingSettings

__all__ = ["gather"]

_PATIENCE_S = 60.0
"""Seconds that a node has to give a part of a recording."""


def gather(settings: RecordingSettings) -> None:
    """Copy the recordings of other nodes into the folder, and remove them there; only while connected to Ray.

    What cannot be had (a node has left, the disk is full) stays where it is: the report misses it, and says where.
    """
    import ray  # noqa: PLC0415

    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and node["NodeID"] != code().node_id():
            with contextlib.suppress(ray.exceptions.RayError, OSError):
                _bring(node["NodeID"], settings)


def _bring(node_id: str, settings: RecordingSettings) -> None:
    """All recordings of a node.

    Raises:
        RayError: it does not answer.
        OSError: they cannot be written here.
    """
    for name in _asked(on_node(code().recordings, node_id).remote(settings.elsewhere)):
        path = Path(settings.folder, Path(name).name)
        if path.exists():  # of a machine that has the same name
            path = path.with_stem(f"{path.stem}-{node_id[:8]}")
        _write(path, _parts(node_id, settings.elsewhere, Path(name).name))
    _asked(on_node(code().forget_recordings, node_id).remote(settings.elsewhere))


def _parts(node_id: str, elsewhere: str, name: str) -> Iterator[Any]:
    start = 0
    while len(part := _asked(on_node(code().recording_part, node_id).remote(elsewhere, name, start))):
        yield part
        start += len(part)


def _write(path: Path, parts: Iterator[Any]) -> None:
    """Write a file, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            for part in parts:
                file.write(part)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _asked(ref: Any) -> Any:
    import ray  # noqa: PLC0415

    return ray.get(ref, timeout=_PATIENCE_S)
