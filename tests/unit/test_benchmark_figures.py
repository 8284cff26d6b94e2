"""Figures of benchmarks are compared by a rule: worse only beyond the noise that their repeats show."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import __main__, figures
from benchmarks.figures import Figure, compare, load, save, text_of


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One figure of 100 µs, from 95 to 105, kept as ``before``."""
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "loop_s", lambda: 1.0)
    save("before", "some", [time([95, 100, 105])], quick=False)


def time(samples: Sequence[float], **options: bool) -> Figure:
    """The time per item of a run."""
    return Figure(name="time", unit="µs", samples=samples, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "n_worse"),
    [([109, 110, 111], 0), ([119, 120, 121], 1), ([80, 120, 160], 0), ([118], 0), ([130], 1), ([10], 0)],
)
def test_a_figure_is_worse_by_more_than_five_percent_and_both_spreads(samples: list[float], n_worse: int) -> None:
    """Here 10 %, and the spread of its own repeats; a single one counts as 10 % more."""
    assert compare("before", "some", [time(samples)]) == n_worse


@pytest.mark.parametrize(("loop_s", "n_worse"), [(1.0, 1), (1.5, 0), (0.5, 1)])
def test_a_machine_that_has_become_slower_is_no_fault_of_the_code(
    monkeypatch: pytest.MonkeyPatch, loop_s: float, n_worse: int
) -> None:
    """As far as the loop beside it is slower, too; one that is faster excuses nothing, and bytes know no speed."""
    save("bytes", "some", [Figure(name="size", unit="B", samples=[100.0] * 3)], quick=False)
    monkeypatch.setattr(figures, "loop_s", lambda: loop_s)

    assert compare("before", "some", [time([149, 150, 151])]) == n_worse
    assert compare("bytes", "some", [Figure(name="size", unit="B", samples=[150.0] * 3)]) == 1


def test_where_more_is_better_less_is_worse() -> None:
    """A rate that has halved."""
    save("rates", "some", [Figure(name="rate", unit="facts/s", samples=[100.0] * 3, better="higher")], quick=False)

    halved, doubled = ([Figure(name="rate", unit="facts/s", samples=[n] * 3, better="higher")] for n in (50.0, 200.0))

    assert (compare("rates", "some", halved), compare("rates", "some", doubled)) == (1, 0)


def test_peers_and_new_figures_are_never_a_regression() -> None:
    """They are printed."""
    assert compare("before", "some", [time([900, 900], is_peer=True)]) == 0
    assert compare("nothing", "some", [time([900, 900])]) == 0


def test_kept_figures_are_read_back() -> None:
    """Median, spread and all."""
    found = load("before")["some"]["time"]

    assert found == time([95, 100, 105])
    assert (found.median, found.spread) == (100, 0.05)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1_234, "ns", "1,234 ns"), (12.34, "µs", "12.3 µs"), (1.5e6, "B", "1.50 MB"), (3e9, "B", "3.00 GB")],
)
def test_figures_are_short(value: float, unit: str, text: str) -> None:
    """Three digits."""
    assert text_of(Figure(name="x", unit=unit, samples=[value])) == text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--compare", "nosuch"], "no figures are kept as 'nosuch'; there are: before"),
        (["--compare", "../before"], "'../before' is no plain name"),
        (["--save", "../x/y"], "'../x/y' is no plain name"),
        (["--save", ".."], "'..' is no plain name"),
        (["--save", ""], "'' is no plain name"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """Exit code 2, and nothing is written outside of the folder of all figures."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "--context", "--quick", *arguments])

    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == 2
    assert told in capsys.readouterr().err
