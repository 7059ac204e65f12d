"""Which signals are due: one case for each rule of uWSGI's timers and crons."""

from __future__ import annotations

import time
from calendar import timegm

import pytest

from spoolsim.processes.schedule import (
    CRON,
    MS_TIMER,
    RB_TIMER,
    TIMER,
    Registration,
    Schedule,
    cron_matches,
)

#: Sunday, 29 November 2026, 12:00:00
NOON = timegm((2026, 11, 29, 12, 0, 0))
EVERY_MINUTE = (-1, -1, -1, -1, -1)


def due(schedule: Schedule, at: float) -> list[int]:
    """The signals due `at` seconds after noon, in a zone where local time is UTC."""
    return [number for _, number in schedule.due(at, NOON + at, time.gmtime(NOON + at))]


def look(schedule: Schedule, at: float) -> float | None:
    return schedule.next_deadline(at, NOON + at)


def matches(spec: tuple[int, ...], *date: int) -> bool:
    return cron_matches(spec, time.gmtime(timegm((*date, 0))))


def test_nothing_registered_nothing_due():
    """Without registrations nothing is due and there is no next look."""
    schedule = Schedule([])
    assert due(schedule, 0) == []
    assert look(schedule, 0) is None


def test_a_timer_keeps_its_beat():
    """A timer first fires one period after the first look, then on the beat, however late a look came."""
    schedule = Schedule([Registration(TIMER, 7, [2])])
    assert due(schedule, 100) == []
    assert look(schedule, 100) == 102
    assert due(schedule, 101.9) == []
    assert due(schedule, 102.6) == [7]
    assert look(schedule, 102.6) == 104
    assert due(schedule, 104) == [7]


def test_beats_slept_through_are_merged():
    """After a pause of several periods a timer fires once, and then at the next beat."""
    schedule = Schedule([Registration(TIMER, 7, [2]), Registration(MS_TIMER, 8, [500])])
    due(schedule, 0)
    assert due(schedule, 7.1) == [7, 8]
    assert due(schedule, 7.2) == []
    assert look(schedule, 7.2) == 7.5
    assert due(schedule, 8) == [7, 8]


@pytest.mark.parametrize("kind", [TIMER, MS_TIMER])
@pytest.mark.parametrize("period", [0, -5])
def test_a_timer_without_period_never_fires(kind: str, period: int):
    """A timer of 0 seconds or less is taken and never fires."""
    schedule = Schedule([Registration(kind, 7, [period])])
    assert due(schedule, 0) == []
    assert look(schedule, 0) is None
    assert due(schedule, 1000) == []


@pytest.mark.parametrize(("iterations", "times"), [(1, 1), (3, 3), (-1, 1), (0, 10), (None, 10)])
def test_an_rb_timer_counts_its_iterations(iterations: int | None, times: int):
    """It fires so many times, forever with 0 or none, once with a negative number; then it asks for no look."""
    schedule = Schedule([Registration(RB_TIMER, 7, [2] if iterations is None else [2, iterations])])
    assert sum(len(due(schedule, at)) for at in range(21)) == times
    assert look(schedule, 20) == (None if iterations else 22)


@pytest.mark.parametrize("seconds", [0, -5])
def test_an_rb_timer_without_period_does_not_spin(seconds: int):
    """An rb timer of 0 seconds or less fires again and again, but leaves a pause between."""
    schedule = Schedule([Registration(RB_TIMER, 7, [seconds, 0])])
    assert due(schedule, 0) == []
    assert look(schedule, 0) == pytest.approx(0.1)
    assert [at for at in range(4) if due(schedule, at)] == [1, 2, 3]


def test_equal_registrations_fire_each():
    """The same timer or cron registered twice fires twice, in the order of registration."""
    schedule = Schedule(
        [Registration(CRON, 1, EVERY_MINUTE), Registration(TIMER, 2, [5]), Registration(CRON, 1, EVERY_MINUTE)]
    )
    assert due(schedule, 0) == [1, 1]
    assert due(schedule, 60) == [1, 2, 1]


# --- crons ---


def test_a_cron_fires_at_the_first_look_and_then_rests():
    """It fires at once if the minute matches, and again 60 seconds later, not at second 0."""
    schedule = Schedule([Registration(CRON, 4, EVERY_MINUTE)])
    assert look(schedule, 29) == 29
    assert due(schedule, 29) == [4]
    assert [at for at in range(30, 200) if due(schedule, at)] == [89, 149]
    assert look(schedule, 199) == 209


def test_a_cron_of_another_minute_waits_for_second_0():
    """A cron whose minute does not match at start fires as soon as it does, once in that minute."""
    schedule = Schedule([Registration(CRON, 4, (2, -1, -1, -1, -1))])
    assert [at for at in range(29, 4000) if due(schedule, at)] == [120, 3720]


def test_a_cron_that_fired_in_mid_minute_fires_at_second_0_an_hour_later():
    """Only the rest of 60 seconds moves a cron away from second 0."""
    schedule = Schedule([Registration(CRON, 4, (0, -1, -1, -1, -1))])
    assert [at for at in range(29, 4000) if due(schedule, at)] == [29, 3600]


def test_with_a_cron_there_is_a_look_each_minute():
    """The next look is at the latest when the minute turns, and now if that turn was missed."""
    schedule = Schedule([Registration(CRON, 4, (30, -1, -1, -1, -1))])
    due(schedule, 10)
    assert look(schedule, 10) == 60
    assert look(schedule, 59.5) == 60
    missed = look(schedule, 61)
    assert missed is not None and missed <= 61


def test_a_clock_set_back_does_not_silence_a_cron():
    """After the clock was set back by an hour a cron goes on, though its last firing lies in the future."""
    schedule = Schedule([Registration(CRON, 4, EVERY_MINUTE)])
    assert due(schedule, 3600) == [4]
    back = schedule.next_deadline(3610, NOON + 10)
    assert back is not None and 3610 < back <= 3660
    assert [n for _, n in schedule.due(3660, NOON + 60, time.gmtime(NOON + 60))] == [4]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ((-1, -1, -1, -1, -1), True),
        ((30, 12, 29, 11, -1), True),
        ((31, 12, 29, 11, -1), False),
        ((30, 11, 29, 11, -1), False),
        ((30, 12, 28, 11, -1), False),
        ((30, 12, 29, 10, -1), False),
        ((-2, -1, -1, -1, -1), True),
        ((-15, -1, -1, -1, -1), True),
        ((-4, -1, -1, -1, -1), False),
        ((-60, -1, -1, -1, -1), False),
        ((-1, -5, -1, -1, -1), False),
        ((-1, -6, -1, -1, -1), True),
        ((-1, -1, -29, -1, -1), True),
        ((-1, -1, -2, -1, -1), False),
        ((-1, -1, -1, -11, -1), True),
        ((-1, -1, -1, -2, -1), False),
        ((-1, -1, -1, -1, -7), True),
        ((70, -1, -1, -1, -1), False),
    ],
)
def test_the_fields_of_a_cron(spec: tuple[int, ...], expected: bool):
    """At 12:30 on Sunday 29 November: -1 matches, -N if N divides the field's own number, else equality."""
    assert matches(spec, 2026, 11, 29, 12, 30) is expected


@pytest.mark.parametrize("weekday", [0, 7])
def test_sunday_is_0_and_7(weekday: int):
    """0 and 7 are Sunday, 1 is Monday, 6 Saturday; 8 is no day."""
    assert matches((-1, -1, -1, -1, weekday), 2026, 11, 29, 12, 0)
    assert not matches((-1, -1, -1, -1, weekday), 2026, 11, 30, 12, 0)
    assert matches((-1, -1, -1, -1, 1), 2026, 11, 30, 12, 0)
    assert matches((-1, -1, -1, -1, 6), 2026, 11, 28, 12, 0)
    assert not any(matches((-1, -1, -1, -1, 8), 2026, 11, day, 12, 0) for day in range(1, 31))


@pytest.mark.parametrize(
    ("day", "weekday", "expected"),
    [
        (29, 3, True),
        (5, 0, True),
        (5, 7, True),
        (29, 0, True),
        (5, 3, False),
        (29, -2, True),
        (-2, 0, False),
        (-29, 3, False),
    ],
)
def test_day_or_weekday(day: int, weekday: int, expected: bool):
    """With both day and weekday given either suffices; a step among them makes both necessary."""
    assert matches((-1, -1, day, -1, weekday), 2026, 11, 29, 12, 0) is expected


# --- reloads ---


def test_a_reload_fires_nothing_anew():
    """A schedule that carries an older one's firings goes on where that stood, its own clock not begun again."""
    registrations = [
        Registration(TIMER, 1, [10]),
        Registration(RB_TIMER, 2, [3, 2]),
        Registration(CRON, 3, EVERY_MINUTE),
    ]
    old = Schedule(registrations)
    assert [at for at in range(9) if 2 in due(old, at)] == [3, 6]
    new = Schedule(reversed(registrations))
    new.carry(old)
    assert due(new, 9) == []
    assert due(new, 10) == [1]
    assert [at for at in range(11, 80) if 3 in due(new, at)] == [60]
    assert 2 not in [number for at in range(80, 100) for number in due(new, at)]


def test_a_reload_forgets_what_is_gone_and_begins_what_is_new():
    """What the new code does not register leaves no trace; a cron it adds fires at its first look."""
    old = Schedule([Registration(CRON, 3, EVERY_MINUTE), Registration(TIMER, 1, [10])])
    assert due(old, 0) == [3]
    new = Schedule([Registration(CRON, 3, (0, -1, -1, -1, -1)), Registration(TIMER, 1, [10])])
    new.carry(old)
    assert set(new.firings) == {(TIMER, 1, (10,), 0)}
    assert due(new, 5) == [3]
    again = Schedule([Registration(CRON, 3, EVERY_MINUTE)])
    again.carry(new)
    assert due(again, 6) == [3]


def test_one_more_while_it_runs():
    """What is added is fired like the rest, once if it is added again, and goes on where an older schedule stood."""
    old = Schedule([Registration("rb_timer", 1, (1, 1))])
    old.next_deadline(0.0, 0.0)
    assert old.due(1.5, 0.0, time.localtime(0)) == [("rb_timer", 1)]
    new = Schedule([])
    for registration in (Registration("rb_timer", 1, (1, 1)), Registration("timer", 2, (1,))):
        new.add(registration, old)
        new.add(registration, old)
    new.next_deadline(2.0, 0.0)
    assert new.due(3.5, 0.0, time.localtime(0)) == [("timer", 2)]
    new.add(Registration("timer", 2, (1,)), again=True)
    new.next_deadline(4.0, 0.0)
    assert new.due(5.5, 0.0, time.localtime(0)) == [("timer", 2)] * 2
