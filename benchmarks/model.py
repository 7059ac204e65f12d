"""What is measured and what it should reach. Pure: no clock, no process, no file.

An experiment measures one contestant in one go and gives values by name; a row of the table takes one of these
names, compares two contestants, and holds the result against a goal.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: what one measurement of one contestant gives: a number, or several of one kind
Values = Mapping[str, float | Sequence[float]]


@dataclass(frozen=True)
class Goal:
    """What a row should reach: a bound on the ratio to the reference, or on the value itself.

    at_least: the lower bound; otherwise the limit is the upper one. of: "ratio" or "value".
    """

    limit: float
    at_least: bool
    of: str = "ratio"
    note: str = ""

    def met(self, number: float) -> bool:
        """Is this ratio, or value, good enough?"""
        return number >= self.limit if self.at_least else number <= self.limit

    def __str__(self) -> str:
        unit = "" if self.of == "ratio" else " (value)"
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{unit}{self.note}"


def at_least(limit: float) -> Goal:
    """The ratio to the reference is this or more."""
    return Goal(limit, True)


def at_most(limit: float, note: str = "") -> Goal:
    """The ratio to the reference is this or less."""
    return Goal(limit, False, note=note)


def value_at_most(limit: float, note: str = "") -> Goal:
    """The value itself, in the row's unit, is this or less."""
    return Goal(limit, False, "value", note)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    value: the name under which the experiment gives it. unit: of the values. more: is more better?
    subject, reference: names of contestants. total: add the rounds up instead of taking the median.
    """

    title: str
    value: str
    unit: str
    goal: Goal | None
    more: bool = False
    subject: str = "spoolsim"
    reference: str = "uwsgi"
    total: bool = False


@dataclass(frozen=True)
class Experiment:
    """Something to measure.

    name: for --only; its group is the part before the first dot. contestants: whom, in the order of round one.
    measure: called with (contestant, rooms, sizes) -> Values. rounds: at most so many. quick: also part of --quick.
    """

    name: str
    contestants: tuple[str, ...]
    measure: Callable[[Any, Any, Any], Values]
    rows: tuple[Row, ...]
    rounds: int = 1000
    quick: bool = True


@dataclass
class Samples:
    """Everything that was measured: by experiment, contestant and value, one entry for each round."""

    rounds: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, experiment: str, contestant: str, values: Values) -> None:
        """The values of one round; of several numbers the median counts."""
        for name, value in values.items():
            number = value if isinstance(value, int | float) else statistics.median(value)
            self.rounds.setdefault((experiment, contestant, name), []).append(float(number))

    def of(self, experiment: Experiment, contestant: str, row: Row) -> list[float]:
        """A contestant's values for a row, by round; empty when there are none."""
        return self.rounds.get((experiment.name, contestant, row.value), [])


@dataclass(frozen=True)
class Line:
    """A row with its result. ratio: of the medians, subject to reference; ratios: by round."""

    experiment: Experiment
    row: Row
    subject: list[float]
    reference: list[float]
    ratio: float | None
    ratios: list[float]
    met: bool | None
    missing: str

    @property
    def verdict(self) -> str:
        """One word, or why there is none."""
        if self.missing:
            return self.missing
        return "-" if self.met is None else "met" if self.met else "MISSED"


def middle(values: Sequence[float], row: Row) -> float:
    """A row's one number for its rounds."""
    return sum(values) if row.total else statistics.median(values)


def line(experiment: Experiment, row: Row, samples: Samples, missing: Mapping[str, str]) -> Line:
    """Hold a row against its goal."""
    subject = samples.of(experiment, row.subject, row)
    reference = samples.of(experiment, row.reference, row)
    ratio = None
    ratios: list[float] = []
    if subject and reference and middle(reference, row):
        ratio = middle(subject, row) / middle(reference, row)
        ratios = [ours / theirs for ours, theirs in zip(subject, reference, strict=False) if theirs]
    met = None
    why = ""
    needed = (row.subject, row.reference) if row.goal is None or row.goal.of == "ratio" else (row.subject,)
    for who, values in ((row.subject, subject), (row.reference, reference)):
        if who in needed and not values and not why:
            why = samples.failures.get((experiment.name, who)) or missing.get(who) or f"{who} was not measured"
    if row.goal is not None and not why:
        if row.goal.of == "value":
            met = row.goal.met(middle(subject, row))
        elif ratio is not None:
            met = row.goal.met(ratio)
        else:
            why = "the reference measured zero"
    return Line(experiment, row, subject, reference, ratio, ratios, met, why)
