"""Faults on demand: failures, kills, redelivery, a full disk, damaged files; and `explore`, which looks for them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spoolsim.errors import HarnessError, ScheduleBroken
from spoolsim.testing import SpoolerHarness
from spoolsim.testing.faults import Lines

OK = -2

effects: list[str] = []
lock = threading.Lock()


def careful(env: dict[Any, Any]) -> int:
    """A handler with every kind of cleanup, the lines of which are counted in the tests."""
    with lock:
        try:
            effects.append("a")
            effects.append("b")
        except BaseException:
            effects.append("except")
            raise
        finally:
            effects.append("finally")
    return OK


@pytest.fixture
def harness(tmp_path: Path) -> Any:
    effects.clear()
    with SpoolerHarness(careful, directory=tmp_path / "spool") as harness:
        yield harness


def test_explore_traces_no_more_than_it_needs(harness: SpoolerHarness) -> None:
    """A delivery that nothing happens to is run as it is: debuggers and coverage keep their tracing."""
    traced: list[bool] = []

    def handler(env: object) -> int:
        traced.append(sys.gettrace() is not outside)
        return OK

    harness.app.module().__dict__["spooler"] = handler
    outside = sys.gettrace()

    def scenario() -> None:
        for number in "12":
            harness.spool({"n": number})
        harness.drain()

    assert harness.explore(scenario).schedules > 0
    assert set(traced) == {True, False}


def test_fail_next(harness: SpoolerHarness) -> None:
    """An ordered failure takes the place of the handler as often as asked, is not raised, and the task is run again."""
    harness.spool({"n": "1"})
    harness.fail_next(ConnectionError("no bank"), times=2)
    ran = harness.drain()
    assert [one.state for one in ran] == ["retry", "retry", "done"]
    assert ran[0].why == "raised ConnectionError: no bank"
    assert effects == ["a", "b", "finally"]


@pytest.mark.parametrize(
    ("when", "seen"),
    [
        ("before", []),
        (1, []),
        (3, []),
        (4, ["a"]),
        (5, ["a", "b"]),
        ("after", ["a", "b", "finally"]),
    ],
)
def test_a_killed_process_does_not_clean_up(harness: SpoolerHarness, when: str | int, seen: list[str]) -> None:
    """A kill leaves the task in the spool and runs none of the app's cleanup; the new spooler runs the task whole."""
    harness.spool({"n": "1"})
    harness.kill_next(when)
    ran = harness.run_one()
    assert ran is not None
    assert ran.state == "killed"
    assert effects == seen
    assert len(harness.tasks()) == 1
    assert harness.tasks()[0].state == "waiting"
    assert [one.state for one in harness.drain()] == ["done"]
    assert effects == [*seen, "a", "b", "finally"]
    assert "OOOPS the spooler is no more...trying respawn..." in harness.log.lines


class Context:
    """A context of the app's own."""

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *error: object) -> None:
        effects.append("exit")


@contextlib.contextmanager
def made_context() -> Iterator[None]:
    try:
        yield
    finally:
        effects.append("made context")


class Deleted:
    def __del__(self) -> None:
        effects.append("deleted")


def assigns(env: dict[Any, Any]) -> int:
    try:
        effects.append("a")
        effects.append("b")
    except BaseException:
        state["cleanup"] = 1
    finally:
        state["busy"] = False
    return OK


def swallows(env: dict[Any, Any]) -> int:
    for _ in range(2):
        try:
            effects.append("a")
            assigns(env)
        except BaseException:
            state["swallowed"] = True
            continue
    return OK


def contexts(env: dict[Any, Any]) -> int:
    with lock, Context():
        effects.append("a")
        with made_context():
            effects.append("b")
    return OK


def suppresses(env: dict[Any, Any]) -> int:
    with contextlib.suppress(BaseException), lock:
        effects.append("a")
        effects.append("b")
    effects.append("after")
    return OK


def generates(env: dict[Any, Any]) -> int:
    def steps() -> Iterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            effects.append("generator")

    waiting = steps()
    effects.append(next(waiting))
    kept = Deleted()
    effects.extend(waiting)
    del kept
    return OK


def awaits(env: dict[Any, Any]) -> int:
    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            state["other"] = "cancelled"

    async def main() -> None:
        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        try:
            effects.append("a")
            effects.append("b")
        finally:
            state["main"] = "left"
        task.cancel()

    asyncio.run(main())
    return OK


state: dict[str, Any] = {}


@pytest.mark.parametrize("handler", [careful, assigns, swallows, contexts, suppresses, generates, awaits])
def test_nothing_of_the_app_runs_after_a_kill(handler: Callable[[Any], int], tmp_path: Path) -> None:
    """Killed before any line, the app has done what it had done up to there and no more; locks are free again."""

    def reset() -> None:
        effects.clear()
        state.clear()

    with SpoolerHarness(handler, directory=tmp_path / "spool", errors="collect") as harness:
        at_line: list[Any] = []

        class Looking(Lines):
            def _line(self, frame: Any, event: str, arg: object) -> Any:
                before = len(self.points)
                super()._line(frame, event, arg)
                if len(self.points) > before:
                    at_line.append((list(effects), dict(state)))
                return self._line

        reset()
        Looking().run(functools.partial(handler, {}))
        harness.spool({"n": "1"})
        for number, expected in enumerate(at_line, 1):
            reset()
            harness.kill_next(number)
            ran = harness.run_one()
            assert ran is not None
            assert (ran.state, ran.error) == ("killed", None)
            assert (effects, state) == expected, f"killed before line {number}"
            assert not lock.locked()
            assert len(harness.tasks()) == 1
        assert len(at_line) > 4
        assert [one.state for one in harness.drain()] == ["done"]


def test_a_kill_beyond_the_last_line_is_an_error(harness: SpoolerHarness) -> None:
    """A run that has fewer lines is no killed one: the test is told how many there were, and no report says killed."""
    harness.spool({"n": "1"})
    harness.kill_next(99)
    with pytest.raises(HarnessError, match=r"kill_next\(99\): task\(n='1'\) ran only \d+ lines of the app's code"):
        harness.drain()
    assert [(one.state, one.fault) for one in harness.outcomes] == [("done", "")]
    assert "killed" not in harness.report()


def test_tracing_is_as_before(harness: SpoolerHarness) -> None:
    """A kill leaves tracing and profiling as they were (a debugger's, coverage's)."""

    def tracer(frame: Any, event: str, arg: Any) -> None:
        return None

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(tracer)
    try:
        harness.spool({})
        harness.kill_next(3)
        harness.drain()
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before[0])
    assert sys.getprofile() is before[1]


def test_a_kill_of_no_meaning_is_refused(harness: SpoolerHarness) -> None:
    """`kill_next` takes "before", "after" or a line's number."""
    with pytest.raises(HarnessError, match="'soon'"):
        harness.kill_next("soon")


def test_run_twice(harness: SpoolerHarness) -> None:
    """`run_twice` delivers one task to its end twice, leaves the others alone, and takes a path or a Task."""
    harness.spool({"n": "1"})
    path = harness.spool({"n": "2"})
    first, second = harness.run_twice(path)
    assert (first.state, second.state) == ("killed", "done")
    assert first.task.variables == second.task.variables == {b"n": b"2"}
    assert effects == ["a", "b", "finally"] * 2
    assert [task.variables for task in harness.tasks()] == [{b"n": b"1"}]
    harness.run_twice(harness.tasks()[0])
    with pytest.raises(HarnessError, match="not due"):
        harness.run_twice()
    harness.spool({"n": "3"})
    assert [one.state for one in harness.drain()] == ["done"]


def test_full_disk(harness: SpoolerHarness) -> None:
    """On a full disk spool() raises uWSGI's sentence, the log has its line, nothing is left; afterwards it works."""
    with harness.full_disk(), pytest.raises(ValueError) as caught:
        harness.spool({"n": "1"})
    assert str(caught.value) == "unable to spool job"
    assert "No space left on device" in caught.value.__notes__[0]
    assert any("No space left on device" in line for line in harness.log.lines)
    assert os.listdir(harness.directory) == []
    harness.spool({"n": "1"})
    harness.drain()


@pytest.mark.parametrize("how", ["cut", "garbage"])
def test_corrupt(harness: SpoolerHarness, how: str) -> None:
    """A damaged task is set aside without running, told once, and named as it was spooled."""
    harness.spool({"n": "1"})
    harness.corrupt(harness.tasks()[0], how)
    (ran,) = harness.drain()
    assert ran.state == "broken"
    assert ran.task.variables == {b"n": b"1"}
    assert ran.why
    assert effects == []
    assert os.path.exists(os.path.join(harness.directory, ".spoolsim", "broken", ran.name))


def test_corrupt_empty(harness: SpoolerHarness) -> None:
    """An emptied file may be in the making: it stays, is not run, and `tasks` says what it is."""
    harness.spool({"n": "1"})
    harness.corrupt(harness.tasks()[0], "empty")
    assert harness.drain() == []
    assert [task.state for task in harness.tasks()] == ["unfinished"]
    with pytest.raises(ValueError, match="'burnt'"):
        harness.corrupt(harness.tasks()[0], "burnt")


# ---- explore ----


class Bank:
    """The world outside."""

    def __init__(self) -> None:
        self.charges: list[str] = []
        self.keys: set[str] = set()

    def charge(self, order: str, key: str = "") -> None:
        if key and key in self.keys:
            return
        self.keys.add(key)
        self.charges.append(order)


class Shop:
    """The state of one run of a scenario."""

    def __init__(self) -> None:
        self.bank = Bank()
        self.paid: set[str] = set()

    def wrong(self, env: dict[Any, Any]) -> int:
        order = env[b"order"].decode()
        if order not in self.paid:
            self.bank.charge(order)
            self.paid.add(order)
        return OK

    def right(self, env: dict[Any, Any]) -> int:
        order = env[b"order"].decode()
        self.bank.charge(order, key=order)
        self.paid.add(order)
        return OK


def paying(method: Callable[[Shop, dict[Any, Any]], int], tmp_path: Path) -> Any:
    shop = Shop()
    harness = SpoolerHarness(lambda env: method(shop, env), directory=tmp_path / "spool")

    def scenario() -> None:
        shop.__init__()
        for order in ("1", "2", "3"):
            harness.spool({"order": order})
        harness.drain()
        assert sorted(shop.bank.charges) == ["1", "2", "3"]

    return harness, scenario


def test_explore_finds_the_double_charge(tmp_path: Path) -> None:
    """The shortest story is one kill between the charge and its note, of one task, told in words with its line."""
    harness, scenario = paying(Shop.wrong, tmp_path)
    with harness, pytest.raises(ScheduleBroken) as caught:
        harness.explore(scenario, outside=[Bank])
    lines = str(caught.value).splitlines()
    source = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(source, 1) if "self.paid.add(order)" in text)
    assert lines[1].endswith(f"task(order='1') is run and killed before line {Path(__file__).name}:{line}, in wrong")
    assert lines[2].endswith("task(order='1') is run again, by a new spooler, and done")
    assert sum("killed" in text for text in lines) == 1
    assert isinstance(caught.value.__cause__, AssertionError)


def test_explore_passes_the_idempotent_one(tmp_path: Path) -> None:
    """The idempotent handler survives every kill, redelivery and order, of one fault and of two."""
    harness, scenario = paying(Shop.right, tmp_path)
    with harness:
        once = harness.explore(scenario, outside=[Bank])
        assert once.points >= 3 * 6  # three deliveries: before, after, and each line of the handler
        assert once.runs == 1 + once.schedules
        with pytest.warns(UserWarning, match="max_runs=300"):
            twice = harness.explore(scenario, outside=[Bank], faults=2, max_runs=300)
        assert once.runs < twice.runs <= 300
        assert harness.tasks() == []


def test_explore_finds_what_needs_two_faults(tmp_path: Path) -> None:
    """A handler that gives up at the third delivery fails only in a schedule of two kills; `faults=2` finds it."""
    tries: dict[bytes, int] = {}

    def handler(env: dict[Any, Any]) -> int:
        tries[env[b"n"]] = tries.get(env[b"n"], 0) + 1
        return OK

    with SpoolerHarness(handler, directory=tmp_path / "spool") as harness:

        def scenario() -> None:
            tries.clear()
            harness.spool({"n": "1"})
            harness.drain()
            assert max(tries.values()) < 3

        assert harness.explore(scenario).schedules > 0
        with pytest.raises(ScheduleBroken) as caught:
            harness.explore(scenario, faults=2)
        assert str(caught.value).count("killed") == 2


def test_explore_finds_an_order(tmp_path: Path) -> None:
    """A scenario that relies on the order of spooling, which uWSGI does not promise, breaks by one swap."""
    seen: list[bytes] = []
    with SpoolerHarness(lambda env: seen.append(env[b"n"]) or OK, directory=tmp_path / "spool") as harness:

        def scenario(spooler: SpoolerHarness) -> None:
            seen.clear()
            for n in "1234":
                spooler.spool({"n": n})
            spooler.drain()
            assert seen.index(b"1") < seen.index(b"4")

        with pytest.raises(ScheduleBroken, match="in the order") as caught:
            harness.explore(scenario, kills=False)
        assert "[4, 1, 2, 3]" in str(caught.value) or "[2, 3, 4, 1]" in str(caught.value)
        assert harness.explore(scenario, kills=False, orders=False).schedules == 0
    with SpoolerHarness(
        lambda env: seen.append(env[b"n"]) or OK, {"spooler_ordered": True}, directory=tmp_path / "ordered"
    ) as harness:
        assert harness.explore(scenario, kills=False).schedules == 0


def test_explore_takes_pytest_fail_for_a_failure(harness: SpoolerHarness) -> None:
    """pytest.fail and pytest.raises, whose exception is no Exception, break a scenario; a skip goes through."""

    def scenario() -> None:
        effects.clear()
        harness.spool({"n": "1"})
        harness.drain()
        if effects.count("a") > 1:
            pytest.fail("twice")

    with pytest.raises(ScheduleBroken, match="twice"):
        harness.explore(scenario)
    with pytest.raises(pytest.skip.Exception):
        harness.explore(lambda: pytest.skip("not here"))


def test_explore_that_is_cut_off_says_so(harness: SpoolerHarness) -> None:
    """An exploration that `max_runs` ends before all schedules were tried warns, and is not complete."""

    def scenario() -> None:
        harness.spool({"n": "1"})
        harness.drain()

    with pytest.warns(UserWarning, match="max_runs=2 ended it"):
        explored = harness.explore(scenario, max_runs=2)
    assert not explored.complete
    assert "complete=False" in repr(explored)
    assert harness.explore(scenario).complete


def test_explore_raises_what_fails_without_fault(tmp_path: Path) -> None:
    """A scenario that fails by itself raises its own error: there is no story to tell."""
    with SpoolerHarness(careful, directory=tmp_path / "spool") as harness, pytest.raises(ZeroDivisionError):
        harness.explore(lambda: 1 / 0)
