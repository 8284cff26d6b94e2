"""The command line: one module per verb.

Exit codes: 0 completed, 1 failed, 2 the workflow or the usage is wrong, 70 a bug of attune_ray, 74 standard output
cannot be written, 75 interrupted (what is kept of runs cannot be read or written), 130 cancelled.
"""

import sys
import traceback
from gc import freeze  # a module here is named gc

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.streams import OutputError, set_apart
from attune_ray.errors import EngineError, StateError, UsageError, WorkflowError
from attune_ray.observe.text import harmless

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        set_apart()
        from attune_ray.cli.app import app  # noqa: PLC0415  so that Ctrl-C is quiet while it is imported

        app(prog_name="attune-ray")
    except KeyboardInterrupt:
        sys.exit(ExitCode.CANCELLED)
    except (WorkflowError, UsageError) as error:
        _say(f"error: {error}")
        sys.exit(ExitCode.INVALID)
    except StateError as error:
        _say(f"error: {error}")
        sys.exit(ExitCode.INTERRUPTED)
    except OutputError as error:
        if not error.is_closed:
            _say(f"error: {error}")
        sys.exit(ExitCode.UNWRITTEN)
    except Exception as error:  # noqa: BLE001  whatever else comes here should not have
        _say("this is a bug in attune_ray; please report it with the lines below")
        _say("".join(traceback.format_exception(error)))
        if not isinstance(error, EngineError):
            _say("(an unexpected error; nothing is known of its cause)")
        sys.exit(ExitCode.BUG)
    finally:
        freeze()  # the interpreter would look through all modules for garbage once more, for 0.05 s


def _say(text: str) -> None:
    for line in text.rstrip().split("\n"):
        print(harmless(line), file=sys.stderr)  # noqa: T201  the command line speaks by it
