"""How the command line ends."""

import enum

__all__ = ["ExitCode"]


class ExitCode(enum.IntEnum):
    """What the exit code of the process says.

    70, 74 and 75 are EX_SOFTWARE, EX_IOERR and EX_TEMPFAIL of sysexits.h; 130 what shells use for a process that Ctrl-C
    has ended.
    """

    COMPLETED = 0
    FAILED = 1
    INVALID = 2
    BUG = 70
    UNWRITTEN = 74
    INTERRUPTED = 75
    CANCELLED = 130
