"""Where the results of chunks are kept, and under which names; what the coordinator and its workers agree on."""

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

__all__ = ["Keeping", "ResultStore", "folder_of", "folder_of_run"]

_MOST_CHARACTERS = 120
"""Of a name's part; file systems take 255 bytes."""


class ResultStore(Protocol):
    """Keeps what chunks have given, as contents with names like ``run/task/0-4999``. It travels to workers."""

    def write(self, name: str, content: Any) -> None:
        """Keep a buffer, whole or not at all, safe when it returns; what had the name before is gone.

        Raises:
            StateError: it cannot be kept.
        """

    def read(self, name: str) -> Any:
        """The buffer that was kept, mapped where that is possible.

        Raises:
            ResultLostError: there is none of that name.
            StateError: it cannot be read.
        """

    def remove(self, folder: str) -> None:
        """Let go of all whose names begin with ``folder/``; nothing there is no error.

        Raises:
            StateError: it cannot be done.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How the results of a run are kept.

    Attributes:
        inline_bytes: rows below this go into the journal, larger ones into ``results``.
    """

    results: ResultStore
    inline_bytes: int


def folder_of_run(run_id: str) -> str:
    """The folder of all results of a run that was asked for, and of the runs below it."""
    return _quoted(run_id.partition("/")[0])


def folder_of(run_id: str, task_run: str) -> str:
    """The folder of a task run's results, below that of the run that was asked for.

    >>> folder_of("20261121-9f3a1c", "check")
    '20261121-9f3a1c/check'
    >>> folder_of("20261121-9f3a1c/deploy[3]", "check#2")
    '20261121-9f3a1c/deploy%5B3%5D.check%232'
    """
    below = run_id.partition("/")[2]
    return f"{folder_of_run(run_id)}/{_quoted(f'{below}.{task_run}' if below else task_run)}"


def _quoted(part: str) -> str:
    found = quote(part, safe="")
    if len(found) <= _MOST_CHARACTERS and found.strip("."):
        return found
    return f"{found[:64]}-{hashlib.blake2b(part.encode(), digest_size=16).hexdigest()}"
