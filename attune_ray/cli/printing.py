"""What a run has come to, on standard output: the report for people, the result for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from attune_ray.cli.exits import ExitCode
from attune_ray.cli.report import failures, summary, to_json, warnings
from attune_ray.cli.view import View
from attune_ray.coordinator import RunResult
from attune_ray.engine import RunStatus

__all__ = ["CODES", "Printer", "code_of"]

CODES: Mapping[str, ExitCode] = {
    RunStatus.COMPLETED: ExitCode.COMPLETED,
    RunStatus.FAILED: ExitCode.FAILED,
    RunStatus.CANCELLED: ExitCode.CANCELLED,
}


def code_of(status: str) -> ExitCode:
    """The exit code for a run that has ended like this."""
    return CODES.get(status, ExitCode.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printer:
    """Prints what a run has come to.

    Attributes:
        out: where results go; all else goes to standard error.
    """

    out: TextIO
    as_json: bool = False
    quiet: bool = False

    def result(self, result: RunResult, view: View, *, hides_items: bool = False) -> ExitCode:
        """Print the result, and for people the report.

        Args:
            hides_items: items of fan-outs may hold secrets that are not known here.
        """
        if self.as_json:
            self.json(result.secrets.masked(result.result))
        elif not self.quiet:
            self.text(summary(result), view)
            self.lines(warnings(map(result.secrets.mask, result.warnings)), view)
        self.lines(failures(result, hides_items=hides_items), view)
        if result.output and not self.as_json:
            self.json(result.secrets.masked(result.output))
        return code_of(result.status)

    def text(self, text: str, view: View) -> None:
        """A part of the report; standard output is kept clean where only the result belongs on it."""
        if self.as_json or self.quiet:
            view.say(text)
        else:
            self.out.write(f"{text}\n")
            self.out.flush()

    def lines(self, lines: Iterable[str], view: View) -> None:
        """What is said beside the report."""
        for line in lines:
            view.say(line)

    def json(self, value: Any) -> None:
        """A JSON value, as the output's encoding can write it."""
        utf8 = (self.out.encoding or "").lower().replace("-", "") == "utf8"
        self.out.write(to_json(value, ascii_only=not utf8) + "\n")
        self.out.flush()
