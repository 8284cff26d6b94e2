"""Problems as they are shown."""

from attune_ray.cli.problems import render, render_all
from attune_ray.errors import Location, Problem


def problem(line: int, column: int) -> Problem:
    """One at a place."""
    return Problem(message="is wrong", location=Location("f.yaml", line, column), path="a.b", hint="mend it")


def test_a_caret_stands_under_the_column() -> None:
    """After the line itself."""
    told = render(problem(2, 4), ["x: 1", "ab: c"])

    assert told == "f.yaml:2:4: a.b: is wrong (mend it)\n    ab: c\n       ^"


def test_tabs_wide_and_control_characters_keep_the_caret_in_place() -> None:
    """A wide character takes two columns, an escape is shown as such."""
    assert render(problem(1, 3), ["\t世x"]).splitlines()[1:] == ["        世x", "          ^"]
    assert render(problem(1, 2), ["\x1bx"]).splitlines()[1:] == ["    \\x1bx", "        ^"]


def test_a_very_long_line_is_cut_around_the_column() -> None:
    """JSON on one line may be a megabyte."""
    _, shown, caret = render(problem(1, 50_001), ["a" * 50_000 + "X" + "b" * 50_000]).splitlines()

    assert shown[caret.index("^")] == "X"
    assert len(shown) < 200


def test_a_problem_without_a_known_line_is_one_line() -> None:
    """No place, or a place beyond the text."""
    assert render(problem(0, 0), ["x"]) == "f.yaml: a.b: is wrong (mend it)"
    assert render(problem(9, 1), ["x"]) == "f.yaml:9:1: a.b: is wrong (mend it)"


def test_warnings_are_marked() -> None:
    """After the place, where editors do not mind."""
    assert render_all([], {}, warnings=[problem(1, 1)]).startswith("f.yaml:1:1: warning: a.b: ")
