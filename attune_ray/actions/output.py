"""What an action that speaks like a program hands back: data, text and an exit code."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Output"]


@dataclass(frozen=True, slots=True)
class Output:
    """The outcome of one attempt, when it is more than a value.

    Attributes:
        data: the result as JSON values; None when there is only text.
        stdout: the text it wrote, kept when it failed too; None when it writes none.
        exit_code: 0..255; anything but 0 means that the attempt failed.
        error: why it failed; None when it did not.
        stderr_log: what it wrote to standard error although it succeeded; None: nothing but blanks.
    """

    data: Any = field(default=None, repr=False)
    stdout: str | None = field(default=None, repr=False)
    exit_code: int = 0
    error: str | None = field(default=None, repr=False)
    stderr_log: str | None = field(default=None, repr=False)
