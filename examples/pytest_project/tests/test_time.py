"""Frozen time: the engine follows it, whoever froze it."""

import datetime
import time

import time_machine
from freezegun import freeze_time
from shop import tasks

NOON = datetime.datetime(2024, 5, 1, 12, 0, 30, tzinfo=datetime.UTC)


@freeze_time(NOON)
def test_a_job_for_later_with_freezegun(spooler):
    tasks.note(what="late", at=str(int(time.time()) + 3600))
    assert spooler.drain() == []
    spooler.advance(3599)
    assert ("late", NOON.timestamp() + 3600) not in tasks.journal
    spooler.advance(1)
    assert ("late", NOON.timestamp() + 3600) in tasks.journal


@time_machine.travel(NOON, tick=False)
def test_a_job_for_later_with_time_machine(spooler):
    tasks.note(what="late", at=str(int(time.time()) + 3600))
    spooler.advance(3599)
    assert "late" not in dict(tasks.journal)
    spooler.advance(1)
    assert dict(tasks.journal)["late"] == NOON.timestamp() + 3600


def test_a_clock_that_the_test_moves(spooler):
    with freeze_time(NOON) as clock:
        spooler.tick()
        clock.tick(60)
        assert spooler.tick() == []  # a timer's run is none of a task
    assert ("beat", NOON.timestamp() + 60) in tasks.journal


@freeze_time("2001-01-01")
def test_a_job_spooled_in_the_past_is_due(spooler):
    tasks.note(what="old")
    spooler.drain()
    assert [what for what, _ in tasks.journal] == ["old"]


@freeze_time(NOON)
def test_timers_crons_and_jobs_in_their_order(spooler):
    tasks.note(what="at", at=str(int(time.time()) + 100))
    spooler.advance(180)
    seen = [(what, round(when - NOON.timestamp())) for what, when in tasks.journal]
    # cron fires at the start too, in a minute that matches; `at` waits for a scan: the poll at 100 s
    assert seen == [("hourly", 0), ("beat", 60), ("at", 100), ("beat", 120), ("beat", 180)]
