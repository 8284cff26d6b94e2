"""How the command line ends."""

import enum

__all__ = ["ExitCode"]


class ExitCode(enum.IntEnum):
    """What the exit code of the process says.

    70 is EX_SOFTWARE of sysexits.h; 130 what shells use for a process that Ctrl-C has ended.
    """

    COMPLETED = 0
    FAILED = 1
    INVALID = 2
    BUG = 70
    CANCELLED = 130
