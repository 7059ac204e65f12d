"""Looking for the shortest schedule in which a scenario fails: kills, redeliveries and orders of its tasks.

A schedule is a set of faults on the way of a run of the scenario:

    fault          what happens
    kill           the spooler dies in the N-th delivery, before a line of the app's code or before the handler
    redelivery     it dies after the handler and before the task's file is gone, so that the task comes again
    order          a scan meets the tasks in another order (never with spooler-ordered, where uWSGI promises one)

Schedules are tried from the shortest on, first without any fault, then with one, then with two. What fails is
shrunk: each fault is left out, each kill is replaced by a plain redelivery, each order brought nearer to that of
spooling, as long as the scenario still fails.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from itertools import combinations, permutations

from spoolsim.errors import ScheduleBroken
from spoolsim.testing.faults import AFTER, BEFORE, Fault
from spoolsim.work.app import NO_HANDLER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from spoolsim.testing.record import Record
    from spoolsim.testing.script import Script
    from spoolsim.testing.task import Ran

#: orders of so many tasks are tried all; of more, the reversed one and each swap of two neighbours
_ALL_ORDERS = 4

Point = tuple[str, int, str]


class PlannedFault:
    """One fault. delivery: of which call of a handler, from 0 (-1: an order). what: BEFORE, AFTER, the number of a
    line, or the order as positions. text: in words."""

    __slots__ = ("delivery", "text", "what")

    def __init__(self, delivery: int, what: str | int | tuple[int, ...], text: str) -> None:
        self.delivery = delivery
        self.what = what
        self.text = text


class Explored:
    """What `explore` did. runs: of the scenario. points: places at which a process was killed. schedules: tried.

    complete: False where `max_runs` ended it before all schedules were tried.
    """

    __slots__ = ("complete", "points", "runs", "schedules")

    def __init__(self) -> None:
        self.runs = 0
        self.points = 0
        self.schedules = 0
        self.complete = True

    def __repr__(self) -> str:
        return f"Explored(runs={self.runs}, points={self.points}, schedules={self.schedules}, complete={self.complete})"


class Explorer:
    """Runs a scenario under one schedule after the other; the limits are those of `SpoolerHarness.explore`.

    script: of the harness. begin_anew: empties the spool and forgets what was run. test: the scenario.
    """

    def __init__(
        self,
        harness: Record,
        script: Script,
        begin_anew: Callable[[], None],
        test: Callable[..., Any],
        max_runs: int,
        faults: int,
        orders: bool,
        kills: bool,
    ) -> None:
        self.harness = harness
        self.script = script
        self.begin_anew = begin_anew
        self.test = test
        self.max_runs = max_runs
        self.faults = faults
        self.orders = orders and not harness.app.options.ordered
        self.kills = kills
        self.done = Explored()
        self.takes_harness = bool(inspect.signature(test).parameters)
        self.points: list[list[Point]] = []
        self.widest = 0
        self.history: list[Ran] = []
        #: the handler stays the one that was set when the exploration began
        self.handler = harness.app.handler()

    def explore(self) -> Explored:
        """Try all schedules, from the shortest on. Raises ScheduleBroken, or what fails without any fault."""
        __tracebackhide__ = True
        error = self.run((), follow=True)
        if error is not None:
            raise error
        #: schedules that do not break the scenario, and what may happen further on in each
        held: list[tuple[tuple[PlannedFault, ...], list[PlannedFault]]] = [((), list(self.further(())))]
        self.done.points = sum(1 for fault in held[0][1] if fault.delivery >= 0)
        for size in range(1, self.faults + 1):
            longer: list[tuple[tuple[PlannedFault, ...], list[PlannedFault]]] = []
            for schedule, further in held:
                for fault in further:
                    if self.done.runs >= self.max_runs:
                        self.done.complete = False
                        warnings.warn(f"explore: max_runs={self.max_runs} ended it: {self.done!r}", stacklevel=3)
                        return self.done
                    self.done.schedules += 1
                    found = (*schedule, fault)
                    error = self.run(found, follow=size < self.faults)
                    if error is not None:
                        raise self.broken(*self.shrink(found, error)) from error
                    if size < self.faults:
                        longer.append((found, list(self.further(found))))
            held = longer
        return self.done

    def further(self, schedule: tuple[PlannedFault, ...]) -> Iterator[PlannedFault]:
        """Every fault that may come after those of a schedule, by the lines that its run met, the plainest first."""
        begin = max((fault.delivery for fault in schedule), default=-1) + 1
        if self.kills:
            for number in range(begin, len(self.points)):
                yield PlannedFault(number, AFTER, "killed after its handler returned, before its file was removed")
            for number, points in list(enumerate(self.points))[begin:]:
                yield PlannedFault(number, BEFORE, "killed before its handler began")
                met = set()
                for at, (file, line, function) in enumerate(points, 1):
                    if (file, line) in met:
                        continue  # the same line again, in a loop
                    met.add((file, line))
                    where = f"{os.path.basename(file)}:{line}, in {function}"
                    yield PlannedFault(number, at, f"killed before line {where}")
        if self.orders and self.widest > 1 and not schedule:
            for order in _orders(self.widest):
                yield PlannedFault(-1, order, f"a scan meets the tasks in the order {[place + 1 for place in order]}")

    def run(self, schedule: tuple[PlannedFault, ...], *, follow: bool = False) -> BaseException | None:
        """One run of the scenario; what it raised, or None."""
        harness = self.harness
        self.done.runs += 1
        self.begin_anew()
        if self.handler is not NO_HANDLER:
            harness.app.module().__dict__["spooler"] = self.handler
        planned = {fault.delivery: fault for fault in schedule if fault.delivery >= 0}
        order = next((fault.what for fault in schedule if fault.delivery < 0), None)
        delivery = -1
        if follow:
            self.points = []

        def plan(ran: Ran) -> Fault | None:
            nonlocal delivery
            delivery += 1
            fault = planned.get(delivery)
            if fault is None or isinstance(fault.what, tuple):
                return None
            return Fault(kill=fault.what, text=fault.text)

        def shuffle(names: list[str]) -> list[str]:
            if follow:
                self.widest = max(self.widest, len(names))
            if isinstance(order, tuple) and len(names) > 1:
                return [names[place] for place in order if place < len(names)] + names[len(order) :]
            return names

        def followed(ran: Ran, points: list[Point]) -> None:
            self.points.append(points)

        script = self.script
        script.plan, script.shuffle = plan, shuffle
        script.follow = followed if follow else None
        try:
            if self.takes_harness:
                self.test(harness)
            else:
                self.test()
        except _failures() as error:
            return error
        finally:
            script.plan = script.shuffle = script.follow = None
            self.history = list(script.outcomes)
        return None

    def shrink(
        self, schedule: tuple[PlannedFault, ...], error: BaseException
    ) -> tuple[tuple[PlannedFault, ...], BaseException, list[Ran]]:
        """The simplest schedule near this one in which the scenario still fails, its error and what was run."""
        history = self.history
        better = True
        while better:
            better = False
            for simpler in _simpler(schedule):
                found = self.run(simpler)
                if found is not None:
                    schedule, error, history, better = simpler, found, self.history, True
                    break
        return schedule, error, history

    def broken(self, schedule: tuple[PlannedFault, ...], error: BaseException, history: list[Ran]) -> ScheduleBroken:
        lines = [f"found in run {self.done.runs} of the scenario; the shortest schedule in which it fails:"]
        lines += [f"  - {fault.text}" for fault in schedule if fault.delivery < 0]
        seen: set[str] = set()
        for number, ran in enumerate(history, 1):
            again = " again, by a new spooler," if ran.task.path in seen else ""
            seen.add(ran.task.path)
            became = ran.fault or (f"{ran.state}: {ran.why}" if ran.why else ran.state)
            lines.append(f"  {number}. {ran.task!r} is run{again} and {became}")
        lines.append(f"  {type(error).__name__}: {error}")
        return ScheduleBroken("\n".join(lines))


def _failures() -> tuple[type[BaseException], ...]:
    """What a failed assertion is; pytest.fail and pytest.raises raise no Exception."""
    pytest = sys.modules.get("_pytest.outcomes")
    return (Exception,) if pytest is None else (Exception, pytest.Failed)


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Orders of so many tasks other than their own, those nearest to it first."""
    own = tuple(range(count))
    if count <= _ALL_ORDERS:
        yield from sorted((order for order in permutations(own) if order != own), key=_disorder)
        return
    for place in range(count - 1):
        yield _swapped(own, place)
    yield own[::-1]


def _disorder(order: tuple[int, ...]) -> int:
    return sum(1 for a, b in combinations(order, 2) if a > b)


def _swapped(order: tuple[int, ...], place: int) -> tuple[int, ...]:
    return (*order[:place], order[place + 1], order[place], *order[place + 2 :])


def _simpler(schedule: tuple[PlannedFault, ...]) -> Iterator[tuple[PlannedFault, ...]]:
    for number, fault in enumerate(schedule):
        others = schedule[:number], schedule[number + 1 :]
        if len(schedule) > 1:
            yield (*others[0], *others[1])
        if isinstance(fault.what, tuple):
            order = fault.what
            for place in range(len(order) - 1):
                if order[place] > order[place + 1]:
                    nearer = _swapped(order, place)
                    if _disorder(nearer):
                        text = f"a scan meets the tasks in the order {[place + 1 for place in nearer]}"
                        yield (*others[0], PlannedFault(-1, nearer, text), *others[1])
        elif fault.what != AFTER:
            text = "killed after its handler returned, before its file was removed"
            yield (*others[0], PlannedFault(fault.delivery, AFTER, text), *others[1])
