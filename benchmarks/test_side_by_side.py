"""The side-by-side run: its judgement, its table, its plot, and one small run for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import plot, report, side_by_side
from benchmarks.contestants import Missing
from benchmarks.model import Experiment, Row, Samples, at_least, at_most, line, value_at_most

FAST = Row("fast", "rate", "/s", at_least(0.9), more=True)
LATE = Row("late", "ms", "ms", at_most(0.1))
FEW = Row("few", "late", "tasks", value_at_most(0), total=True)
EXPERIMENT = Experiment("x", ("uwsgi", "spoolsim"), lambda *_: {}, (FAST, LATE, FEW))


def samples(**rounds: tuple[list[float], list[float]]) -> Samples:
    """By value: what uWSGI and spoolsim measured in each round."""
    found = Samples()
    for value, both in rounds.items():
        for who, numbers in zip(EXPERIMENT.contestants, both, strict=True):
            for number in numbers:
                found.add("x", who, {value: number})
    return found


def test_ratio_of_medians() -> None:
    """A row compares the medians of all rounds, so that one bad round decides nothing."""
    found = line(EXPERIMENT, FAST, samples(rate=([100, 100, 1], [95, 10, 96])), {})
    assert (found.ratio, found.met, found.verdict) == (0.95, True, "met")
    assert found.ratios == [0.95, 0.1, 96]


def test_less_is_better() -> None:
    """A time that is too long a part of the reference's misses its goal."""
    found = line(EXPERIMENT, LATE, samples(ms=([1000], [200])), {})
    assert (found.met, found.verdict) == (False, "MISSED")


def test_value_goal_needs_no_reference() -> None:
    """A goal on the value itself adds up the rounds where it should, and stands without a reference."""
    found = line(EXPERIMENT, FEW, samples(late=([], [0, 1, 0])), {"uwsgi": "not installed"})
    assert (found.met, found.missing) == (False, "")


def test_missing_is_said() -> None:
    """A contestant that is not there is named in the table, and no verdict is given."""
    found = line(EXPERIMENT, FAST, samples(rate=([], [95])), {"uwsgi": "no real uWSGI"})
    assert (found.met, found.verdict) == (None, "no real uWSGI")
    assert "no real uWSGI" in report.table([found])


def test_several_numbers_count_by_their_median() -> None:
    """A measurement of several starts counts as its median."""
    found = Samples()
    found.add("x", "uwsgi", {"ms": [1.0, 100.0, 2.0]})
    assert found.of(EXPERIMENT, "uwsgi", LATE) == [2.0]


def test_plot(tmp_path: Path) -> None:
    """The plot is written as PNG and as SVG; without matplotlib it is said what to install."""
    lines = [line(EXPERIMENT, row, samples(rate=([100], [95]), ms=([1000], [5])), {}) for row in (FAST, LATE)]
    try:
        files = plot.draw(lines, str(tmp_path / "plot"), "title")
    except Missing as error:
        pytest.skip(str(error))
    assert [Path(file).read_bytes()[:5] for file in files] == [b"\x89PNG\r", b"<?xml"]


def test_unknown_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no experiment's is refused."""
    assert side_by_side.main(["--only", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_names_are_unique() -> None:
    """No two experiments share a name, and every row's contestants exist."""
    names = [experiment.name for experiment in side_by_side.EXPERIMENTS]
    assert len(set(names)) == len(names)
    known = {contestant.name for contestant in side_by_side.CONTESTANTS}
    assert {name for experiment in side_by_side.EXPERIMENTS for name in experiment.contestants} <= known


def test_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run measures, judges and writes its JSON; what is missing here is named in it."""
    out = tmp_path / "out"
    assert side_by_side.main(["--quick", "--only", "drain.2.unordered.memory,start", "--out", str(out)]) == 0
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [row["experiment"] for row in written["rows"]] == ["drain.2.unordered.memory", "start"]
    for row in written["rows"]:
        assert row["subject"]["rounds"] or row["missing"]
        assert row["reference"]["rounds"] or row["missing"]
    assert "| process start to first task " in capsys.readouterr().out
