"""Standard output, for results alone: whatever else writes to its descriptor writes to standard error."""

import errno
import io
import os
import sys
from typing import Any

__all__ = ["OutputError", "set_apart"]

_STDOUT = 1


class OutputError(Exception):
    """Standard output cannot be written; the text says why.

    No OSError, so that nobody takes it for one of another file. It is raised once: what is written after it is lost.

    Attributes:
        is_closed: nobody reads it any more, which is no fault of anybody (``| head``).
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror or error}")
        self.is_closed = error.errno == errno.EPIPE


class _Results(io.FileIO):
    """Writes to a descriptor until that fails."""

    _is_broken = False

    def write(self, content: Any, /) -> int:
        """Write some of it; all is taken, and dropped, after a failure: Python tries once more when it ends."""
        if self._is_broken:
            return memoryview(content).nbytes
        try:
            return super().write(content)
        except OSError as error:
            self._is_broken = True
            raise OutputError(error) from error


def set_apart() -> None:
    """Make ``sys.stdout`` the only way to standard output, for as long as the process lives.

    An action that writes to descriptor 1, or a program that it starts, would else write between the results.
    """
    for name in ("stdout", "stderr"):  # whoever has closed one wants nothing of it, and no file must take its place
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  as long as we live
    before = sys.stdout
    before.flush()
    raw = _Results(os.dup(before.fileno()), "w")
    buffered = io.BufferedWriter(raw)
    line_buffering = before.isatty()
    sys.stdout = io.TextIOWrapper(buffered, before.encoding, before.errors, line_buffering=line_buffering)
    os.dup2(sys.stderr.fileno(), _STDOUT)
