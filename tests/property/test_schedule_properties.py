"""Crons and timers against models that go through time minute by minute, and beat by beat."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spoolsim.processes.schedule import CRON, MS_TIMER, RB_TIMER, TIMER, Registration, Schedule, cron_matches
from tests.needs import missing
from tests.property import examples

HOUR, DAY = 3600, 86400
#: machine time begins somewhere else than the epoch does
BOOT = 1_000_000_000

#: zone and local noon of a day with something about it
DAYS: list[tuple[str, tuple[int, int, int]]] = [
    ("UTC", (2028, 2, 28)),  # a leap year
    ("UTC", (2027, 2, 28)),  # none
    *([] if missing("late-times") else [("UTC", (2100, 2, 28))]),  # none either
    ("Asia/Kathmandu", (2026, 12, 31)),  # a quarter of an hour, the turn of the year
    ("Europe/Berlin", (2027, 3, 27)),  # 02:00 is followed by 03:00
    ("Europe/Berlin", (2027, 10, 30)),  # 02:00 to 03:00 comes twice
    ("America/New_York", (2027, 3, 13)),
    ("America/New_York", (2026, 10, 31)),  # the clocks change on the first day of the month
    ("Australia/Lord_Howe", (2027, 4, 3)),  # half an hour comes twice
    ("Australia/Lord_Howe", (2026, 10, 3)),  # half an hour is left out
    ("America/Santiago", (2026, 9, 5)),  # there is no midnight
    ("Pacific/Apia", (2011, 12, 29)),  # there is no 30th
    ("Africa/Casablanca", (2027, 2, 6)),
]

#: the values each field can have
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))


def field(values: range, *, top: int | None = None) -> st.SearchStrategy[int]:
    last = values[-1] if top is None else top
    return st.one_of(st.just(-1), st.just(-1), st.integers(-len(values), -2), st.integers(values[0], last))


crons = st.tuples(*(field(v) for v in RANGES[:4]), field(RANGES[4], top=7))
#: crons that fire often, so that the rest of 60 seconds is seen too
often = st.tuples(
    field(RANGES[0]), st.sampled_from([-1, -2]), st.just(-1), st.just(-1), st.sampled_from([-1, -1, 0, 6, 7])
)


def noon(zone: str, day: tuple[int, int, int]) -> int:
    return int(datetime(*day, 12, tzinfo=ZoneInfo(zone)).timestamp())


def allowed(spec: int, values: range) -> set[int]:
    """The values a field stands for, spelled out."""
    if spec == -1:
        return set(values)
    return {spec} if spec >= 0 else set(range(0, 60, -spec))


def wanted(spec: tuple[int, ...], moment: datetime) -> bool:
    """Does a cron match this minute? Written from the table of the reference, not from the code."""
    minute, hour, day, month, weekday = spec
    on_day = moment.day in allowed(day, RANGES[2])
    on_weekday = moment.isoweekday() % 7 in allowed(weekday % 7 if weekday >= 0 else weekday, RANGES[4])
    right_day = (on_day or on_weekday) if day >= 0 <= weekday else (on_day and on_weekday)
    return (
        right_day
        and moment.minute in allowed(minute, RANGES[0])
        and moment.hour in allowed(hour, RANGES[1])
        and moment.month in allowed(month, RANGES[3])
    )


def model(spec: tuple[int, ...], zone: str, start: int, end: int) -> list[int]:
    """When a cron fires from `start` to before `end`: minute by minute, at its first second outside the rest."""
    fired: list[int] = []
    for minute in range(start - start % 60, end, 60):
        if wanted(spec, datetime.fromtimestamp(minute, ZoneInfo(zone))):
            at = max([minute, start] + [last + 60 for last in fired[-1:]])
            if at < min(minute + 60, end):
                fired.append(at)
    return fired


class Run:
    """A schedule looked at whenever it asks for it, and at some moments more; `fired` is (epoch, signal)."""

    def __init__(self, specs: list[tuple[int, ...]], zone: str, start: int) -> None:
        self.registrations = [Registration(CRON, number, spec) for number, spec in enumerate(specs)]
        self.zone = ZoneInfo(zone)
        self.schedule = Schedule(self.registrations)
        self.clock: float = start
        self.fired: list[tuple[float, int]] = []

    def look(self) -> None:
        local = datetime.fromtimestamp(self.clock, self.zone).timetuple()
        self.fired += [(self.clock, n) for _, n in self.schedule.due(self.clock - BOOT, self.clock, local)]

    def until(self, end: float) -> None:
        """Sleep and look in turns, up to a last sleep that would go to `end` or beyond."""
        while True:
            moment = self.schedule.next_deadline(self.clock - BOOT, self.clock)
            assert moment is not None, "a cron always wants another look"
            if moment + BOOT >= end:
                return
            self.clock = max(self.clock, moment + BOOT)
            self.look()
            after = self.schedule.next_deadline(self.clock - BOOT, self.clock)
            assert after is not None and after + BOOT > self.clock, "it would spin"

    def reload(self) -> None:
        new = Schedule(self.registrations)
        new.carry(self.schedule)
        self.schedule = new


starts = st.tuples(st.sampled_from(DAYS), st.integers(0, 2 * HOUR)).map(lambda x: (x[0][0], noon(*x[0]) + x[1]))


@settings(max_examples=examples(120), deadline=None)
@given(starts, st.lists(st.one_of(crons, often), min_size=1, max_size=4), st.integers(1, 40))
@example(("Europe/Berlin", noon("Europe/Berlin", (2027, 10, 30))), [(30, 2, -1, -1, -1)], 36)
@example(("Europe/Berlin", noon("Europe/Berlin", (2027, 3, 27))), [(30, 2, -1, -1, -1)], 36)
@example(("Pacific/Apia", noon("Pacific/Apia", (2011, 12, 29))), [(0, -1, 30, -1, -1), (0, -1, -1, -1, 5)], 40)
@example(("UTC", noon("UTC", (2028, 2, 28))), [(0, 0, 29, 2, -1), (-1, -1, 1, -1, 2)], 40)
def test_crons_fire_when_the_minutes_say(where: tuple[str, int], specs: list[tuple[int, ...]], hours: int):
    """Sleeping from look to look misses no firing of any cron and adds none."""
    zone, start = where
    run = Run(specs, zone, start)
    run.until(start + hours * HOUR)
    for number, spec in enumerate(specs):
        assert [at for at, n in run.fired if n == number] == model(spec, zone, start, start + hours * HOUR)


def test_an_hour_that_comes_twice_counts_twice_and_one_left_out_not_at_all():
    """At 02:30 in Berlin: once on a plain night, twice when the clocks go back, never when they go forward."""
    counts = {}
    for day in ((2027, 6, 1), (2027, 10, 30), (2027, 3, 27)):
        run = Run([(30, 2, -1, -1, -1)], "Europe/Berlin", noon("Europe/Berlin", day))
        run.until(run.clock + DAY - 2 * HOUR)
        counts[day] = len(run.fired)
    assert counts == {(2027, 6, 1): 1, (2027, 10, 30): 2, (2027, 3, 27): 0}


@settings(max_examples=examples(60), deadline=None)
@given(
    starts,
    st.lists(st.one_of(crons, often), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3 * HOUR * 4).map(lambda q: q / 4), st.booleans()), max_size=8),
)
def test_looks_in_between_and_reloads_change_nothing(
    where: tuple[str, int], specs: list[tuple[int, ...]], moments: list[tuple[float, bool]]
):
    """Looks that nobody asked for, and reloads at any moment, leave every firing where it was."""
    zone, start = where
    plain, disturbed = Run(specs, zone, start), Run(specs, zone, start)
    plain.until(start + 3 * HOUR + 1)
    disturbed.look()
    for after, reload in sorted(moments):
        disturbed.until(start + after)
        disturbed.clock = start + after
        disturbed.look()
        if reload:
            disturbed.reload()
    disturbed.until(start + 3 * HOUR + 1)
    assert disturbed.fired == plain.fired


@pytest.mark.parametrize(
    "spec",
    [
        (0, 0, 29, 2, -1),
        (0, 0, 31, -1, -1),
        (0, 0, -1, -1, 7),
        (0, 0, -1, -3, -1),
        (0, 0, -10, -1, -2),
        (0, 0, 13, -1, 5),
        (0, 0, 1, 3, 1),
        (0, 0, -31, 2, -1),
    ],
)
def test_every_day_of_a_century(spec: tuple[int, ...]):
    """Each midnight from 1999 to 2101, the leap years 2000 and 2096 and the plain 2100 among them, matches or not."""
    day = datetime(1999, 1, 1, tzinfo=UTC)
    got, expected = set[date](), set[date]()
    while day.year < 2102:
        if cron_matches(spec, day.timetuple()):
            got.add(day.date())
        if wanted(spec, day):
            expected.add(day.date())
        day += timedelta(days=1)
    assert got == expected
    assert bool(got) is (spec != (0, 0, -31, 2, -1))


@settings(deadline=None)
@given(
    st.sampled_from([(TIMER, 1000), (RB_TIMER, 1000), (MS_TIMER, 1)]),
    st.integers(1, 90),
    st.lists(st.integers(0, 5000), min_size=1, max_size=60),
)
def test_timers_fire_once_for_each_beat_that_was_looked_at(kind: tuple[str, int], period: int, pauses: list[int]):
    """A look fires a timer exactly when a beat of it has passed since the look before, however many have."""
    name, unit = kind
    # whole seconds are looked at on the beat too; milliseconds are no exact floats, and looked at off it
    off = 0.5 if name == MS_TIMER else 0
    local = datetime.fromtimestamp(0, UTC).timetuple()
    schedule = Schedule([Registration(name, 1, [period])])
    assert schedule.due(0, 0, local) == []
    clock = beats = 0  # milliseconds; beats looked at
    for pause in pauses:
        clock += pause * unit // 8
        now = (clock + off) / 1000
        passed = clock // (period * unit) > beats
        moment = schedule.next_deadline(now, 0)
        assert moment is not None
        assert (moment <= now) is passed, "the next look is no later and no earlier than the beat"
        assert bool(schedule.due(now, 0, local)) is passed
        beats = clock // (period * unit)


@given(st.integers(-3, 20), st.integers(1, 9), st.lists(st.integers(1, 30), max_size=40), st.integers(0, 39))
def test_iterations_are_counted_across_reloads(iterations: int, period: int, pauses: list[int], reload_at: int):
    """An rb timer fires at most so many times, a reload in between or not, and then wants no look."""
    registration = Registration(RB_TIMER, 1, [period, iterations])
    schedule = Schedule([registration])
    local = datetime.fromtimestamp(0, UTC).timetuple()
    schedule.due(0, 0, local)
    clock, fired, beats = 0, 0, 0
    for n, pause in enumerate(pauses):
        beats += (clock + pause) // period > clock // period
        clock += pause
        fired += len(schedule.due(clock, 0, local))
        if n == reload_at:
            new = Schedule([registration])
            new.carry(schedule)
            schedule = new
    most = 1 if iterations < 0 else iterations
    assert fired == (min(beats, most) if most else beats)
    assert (schedule.next_deadline(clock, 0) is None) is (most > 0 and beats >= most)
