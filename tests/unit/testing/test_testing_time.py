"""Frozen time in the engine: `at`, polls, timers and crons follow the frozen clock, whoever froze it."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from freezegun import freeze_time

from spoolsim.errors import HarnessError
from spoolsim.testing import LiveSpooler, SpoolerHarness

OK, RETRY = -2, -1

Freeze = Callable[[float], AbstractContextManager[Any]]
#: a whole hour
START = 1_700_002_800


def _with_freezegun(moment: float) -> AbstractContextManager[Any]:
    return freeze_time(datetime.datetime.fromtimestamp(moment, datetime.UTC))


def _with_time_machine(moment: float) -> AbstractContextManager[Any]:
    return time_machine.travel(moment, tick=False)


@pytest.fixture(params=[_with_freezegun, _with_time_machine], ids=["freezegun", "time-machine"])
def freeze(request: pytest.FixtureRequest) -> Freeze:
    """Freezes time at a moment, by either library."""
    return request.param


class Seen(list[tuple[str, float]]):
    """What ran, with the moment at which it saw itself run, from START."""

    def handler(self, env: dict[Any, Any]) -> int:
        self.append((env[b"n"].decode(), time.time() - START))
        return RETRY if env[b"n"].startswith(b"retry") else OK

    def signal(self, number: int) -> None:
        self.append((f"signal {number}", time.time() - START))


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def harness(seen: Seen, tmp_path: Path) -> Iterator[SpoolerHarness]:
    with SpoolerHarness(seen.handler, {"spooler_frequency": 30}, directory=tmp_path / "spool") as harness:
        yield harness


@pytest.mark.parametrize(
    "moment", [1.0, 86_400.0, START, pytest.param(4_000_000_000.0, marks=pytest.mark.needs("late-times"))]
)
def test_a_task_of_a_frozen_moment_is_due(harness: SpoolerHarness, freeze: Freeze, moment: float) -> None:
    """A task spooled under a frozen past or future is due there: its mtime is stamped from the frozen clock."""
    with freeze(moment):
        path = harness.spool({"n": "1"})
        assert int(os.stat(path).st_mtime) == int(moment)
        assert [ran.state for ran in harness.drain()] == ["done"]


def test_priorities_in_a_frozen_past(seen: Seen, tmp_path: Path, freeze: Freeze) -> None:
    """Priority directories, whose mtime the kernel sets to the real time, are no future ones to the frozen clock."""
    with (
        SpoolerHarness(seen.handler, {"spooler_ordered": True}, directory=tmp_path / "spool") as harness,
        freeze(START),
    ):
        for n in range(4):
            harness.spool({"n": str(n), "priority": str(4 - n)})
            harness.run_one()
        harness.drain()
    assert [name for name, _ in seen] == ["0", "1", "2", "3"]


def test_a_future_task_waits_for_the_frozen_clock(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """A task with `at` is future until the frozen clock is there, to the second, and says so."""
    with freeze(START):
        harness.spool({"n": "1", "at": str(START + 100)})
        assert harness.drain() == []
        assert [(task.state, task.at) for task in harness.tasks()] == [("future", START + 100)]
        harness.advance(99)
        assert seen == []
        harness.advance(1)
        assert seen == [("1", 100)]


def test_advance_runs_a_task_at_its_poll(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """On the way of an advance a future task runs at the first poll that finds it due, as in production."""
    with freeze(START):
        harness.spool({"n": "1", "at": str(START + 40)})
        harness.advance(300)
    assert seen == [("1", 60)]


def test_retries_happen_at_each_poll(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """A retried task is tried once at each poll of the time that passes."""
    with freeze(START):
        harness.spool({"n": "retry"})
        harness.advance(100)
    assert seen == [("retry", 0), ("retry", 30), ("retry", 60), ("retry", 90), ("retry", 100)]


def test_timers_in_order(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """Timers, rb timers with their number of iterations, and tasks come in the order of time; a signal scans."""
    import uwsgi

    with freeze(START + 1):  # not a minute that a cron likes
        for number in (1, 2, 3):
            uwsgi.register_signal(number, "spooler", seen.signal)
        uwsgi.add_timer(1, 20)
        uwsgi.add_rb_timer(2, 25, 2)
        uwsgi.add_cron(3, 1, -1, -1, -1, -1)
        harness.spool({"n": "late", "at": str(START + 1 + 21)})
        harness.advance(61)
    assert [(name, when - 1) for name, when in seen] == [
        ("signal 1", 20),
        ("signal 2", 25),
        ("late", 25),
        ("signal 1", 40),
        ("signal 2", 50),
        ("signal 3", 59),
        ("signal 1", 60),
    ]


def test_cron_over_a_day(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """A cron of minute 30 fires once in each hour of a day that passes in one advance."""
    import uwsgi

    with freeze(START):
        uwsgi.register_signal(1, "spooler", seen.signal)
        uwsgi.add_cron(1, 30, -1, -1, -1, -1)
        harness.timeout = 300  # a day of scans takes long on a busy machine
        harness.advance(86_400)
    assert len(seen) == 24
    assert {when % 3600 for _, when in seen} == {1800}


def test_a_task_spooled_on_the_way(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """A task that a timer's handler spools runs at that moment: the spooler is idle, and woken."""
    import uwsgi

    with freeze(START):
        uwsgi.register_signal(1, "spooler", lambda n: harness.spool({"n": "from timer"}))
        uwsgi.add_rb_timer(1, 7, 1)
        harness.advance(20)
    assert seen == [("from timer", 7)]


def test_tick_after_moving_the_clock_oneself(harness: SpoolerHarness, seen: Seen) -> None:
    """Where the test moves the clock, `tick` runs what became due."""
    import uwsgi

    with freeze_time("2023-11-14T23:00:00") as clock:
        start = time.time()
        uwsgi.register_signal(1, "spooler", seen.signal)
        uwsgi.add_timer(1, 60)
        harness.tick()
        harness.spool({"n": "1", "at": str(int(start) + 90)})
        clock.tick(60)
        harness.tick()
        clock.tick(30)
        harness.tick()
    assert [name for name, _ in seen] == ["signal 1", "1"]


def test_what_a_task_raises_comes_out_of_advance(harness: SpoolerHarness, freeze: Freeze) -> None:
    """An exception on the way ends the advance at its moment."""
    import uwsgi

    with freeze(START):
        uwsgi.register_signal(1, "spooler", lambda n: 1 / 0)
        uwsgi.add_timer(1, 10)
        with pytest.raises(ZeroDivisionError):
            harness.advance(100)
        assert time.time() == START + 10


@pytest.mark.parametrize("how", ["killed", "exits", "recycled"])
def test_a_new_spooler_scans_at_once(tmp_path: Path, freeze: Freeze, how: str) -> None:
    """The spooler that takes the place of one that is gone runs what is left at that moment, not at the next poll."""
    ran: list[float] = []

    def handler(env: dict[Any, Any]) -> int:
        ran.append(time.time() - START)
        if len(ran) == 1 and how == "exits":
            raise SystemExit(1)
        return RETRY if len(ran) == 1 and how == "recycled" else OK

    options = {"spooler_max_tasks": 1} if how == "recycled" else {}
    with (
        SpoolerHarness(handler, options, directory=tmp_path / "spool", errors="collect") as harness,
        freeze(START),
    ):
        if how == "killed":
            harness.kill_next("after")
        harness.spool({"n": "1", "at": str(START + 5)})
        harness.advance(40)
    assert ran == [30, 30]


def test_spoolers_that_end_again_and_again(tmp_path: Path, freeze: Freeze) -> None:
    """A task that ends each spooler would hold the clock forever: the error names it."""

    def handler(env: dict[Any, Any]) -> int:
        raise SystemExit(1)

    with SpoolerHarness(handler, directory=tmp_path / "spool", errors="collect") as harness, freeze(START):
        harness.spool({"n": "1"})
        with pytest.raises(HarnessError, match=r"task\(n='1'\).*would be retried forever"):
            harness.advance(40)


def test_a_timer_of_no_seconds_does_not_hang(harness: SpoolerHarness, freeze: Freeze, seen: Seen) -> None:
    """An rb timer of 0 seconds, a flood under uWSGI, is stepped through, and the advance ends."""
    import uwsgi

    with freeze(START):
        uwsgi.register_signal(1, "spooler", seen.signal)
        uwsgi.add_rb_timer(1, 0)
        harness.advance(1)
    assert 1 < len(seen) < 50


def test_advance_needs_a_frozen_clock(harness: SpoolerHarness) -> None:
    """Without frozen time `advance` says what to use."""
    with pytest.raises(HarnessError, match=r"freezegun.*time_machine"):
        harness.advance(1)


def test_the_time_limit_holds_in_frozen_time(tmp_path: Path, freeze: Freeze) -> None:
    """A stuck task is interrupted though the frozen clock never moves."""
    import threading

    never = threading.Event()
    with SpoolerHarness(lambda env: never.wait(60), directory=tmp_path / "spool") as harness, freeze(START):
        harness.spool({})
        with pytest.raises(HarnessError, match="still running"):
            harness.drain(timeout=0.2)


def test_a_live_spooler_refuses_frozen_time(tmp_path: Path, freeze: Freeze) -> None:
    """Real processes cannot be frozen: the error says so, and nothing is started."""
    with freeze(START), pytest.raises(HarnessError, match="frozen clock does not reach"):
        LiveSpooler(directory=tmp_path / "spool")
    assert not (tmp_path / "spool.run").exists()


def test_a_live_spooler_refuses_time_that_is_frozen_later(tmp_path: Path, freeze: Freeze) -> None:
    """A decorator freezes time when the fixtures are made: whatever is done then is refused, and no file written."""
    with LiveSpooler(directory=tmp_path / "spool") as live:
        import uwsgi

        with freeze(START):
            for act in (
                lambda: live.spool({"n": "1"}),
                lambda: uwsgi.spool({b"n": b"1"}),
                live.tasks,
                live.drain,
                live.reload,
                lambda: live.wait(lambda: True),
            ):
                with pytest.raises(HarnessError, match="frozen clock does not reach"):
                    act()
            assert "left in the spool: 0" in live.report()
        assert live.tasks() == []
