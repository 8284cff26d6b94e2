"""Reading what the command line names: a file, or standard input."""

import sys
from pathlib import Path

from attune_ray.errors import UsageError

__all__ = ["STDIN", "name_of", "read_text"]

STDIN = "-"


def name_of(file: str) -> str:
    """What problems call it."""
    return "<stdin>" if file == STDIN else file


def read_text(file: str, *, what: str, most_bytes: int) -> str:
    """The text of a file, or of standard input for ``-``.

    Args:
        what: it is, for the error: ``the workflow``.

    Raises:
        UsageError: it cannot be read, is larger than ``most_bytes``, or is not UTF-8.
    """
    told = f"cannot read {what} {name_of(file)}"
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"{told}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most_bytes:
        raise UsageError(f"{told}: it is larger than {most_bytes // 1024**2} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{told}: byte {error.start} is not UTF-8") from error
