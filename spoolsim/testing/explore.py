"""Looking for the shortest story in which a scenario fails: kills, redeliveries and orders of its tasks.

A story is a set of accidents on the way of a run of the scenario:

    accident       what happens
    kill           the spooler dies in the N-th delivery, before a line of the app's code or before the handler
    redelivery     it dies after the handler and before the task's file is gone, so that the task comes again
    order          a scan meets the tasks in another order (never with spooler-ordered, where uWSGI promises one)

Stories are tried from the shortest on, first without any accident, then with one, then with two. What fails is
shrunk: each accident is left out, each kill is replaced by a plain redelivery, each order brought nearer to that of
spooling, as long as the scenario still fails.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from itertools import combinations, permutations

from spoolsim.errors import StoryBroken
from spoolsim.testing.faults import AFTER, BEFORE, Fault, places_of
from spoolsim.work.app import NO_HANDLER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from spoolsim.testing.record import Record
    from spoolsim.testing.script import Script
    from spoolsim.testing.task import Ran

#: orders of so many tasks are tried all; of more, the reversed one and each swap of two neighbours
_ALL_ORDERS = 4

Point = tuple[str, int, str]


class Accident:
    """One accident. delivery: of which call of a handler, from 0 (-1: an order). what: BEFORE, AFTER, the number of a
    line, or the order as positions. text: in words."""

    __slots__ = ("delivery", "text", "what")

    def __init__(self, delivery: int, what: str | int | tuple[int, ...], text: str) -> None:
        self.delivery = delivery
        self.what = what
        self.text = text


class Explored:
    """What `explore` did. runs: of the scenario. points: places at which a process was killed. stories: tried.

    complete: False where `max_runs` ended it before all stories were tried.
    """

    __slots__ = ("complete", "points", "runs", "stories")

    def __init__(self) -> None:
        self.runs = 0
        self.points = 0
        self.stories = 0
        self.complete = True

    def __repr__(self) -> str:
        return f"Explored(runs={self.runs}, points={self.points}, stories={self.stories}, complete={self.complete})"


def explore(
    harness: Record,
    script: Script,
    begin_anew: Callable[[], None],
    test: Callable[..., Any],
    *,
    max_runs: int = 1000,
    accidents: int = 1,
    orders: bool = True,
    kills: bool = True,
    outside: Iterable[Any] = (),
) -> Explored:
    """Run `test` under every story of at most so many accidents; returns what was done when none breaks it.

    script: of the harness. begin_anew: empties the spool and forgets what was run.
    test: the scenario, called with the harness if it takes an argument. It sets up its own state again, spools, drains
        and asserts; it is run many times, each with an empty spool.
    max_runs: of the scenario, at most; a warning tells when it was not enough. accidents: in one story, at most.
    outside: modules, classes or functions that play the world outside (a bank, a mail server): nothing is killed in
        the middle of them. Code of installed packages and of Python itself never is.

    Raises StoryBroken, whose cause is the test's own error; the test's own error if it fails without any accident.
    """
    __tracebackhide__ = True
    script.outside = places_of(outside)
    try:
        return _Explorer(harness, script, begin_anew, test, max_runs, accidents, orders, kills).explore()
    finally:
        script.outside = []


class _Explorer:
    def __init__(
        self,
        harness: Record,
        script: Script,
        begin_anew: Callable[[], None],
        test: Callable[..., Any],
        max_runs: int,
        accidents: int,
        orders: bool,
        kills: bool,
    ) -> None:
        self.harness = harness
        self.script = script
        self.begin_anew = begin_anew
        self.test = test
        self.max_runs = max_runs
        self.accidents = accidents
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
        __tracebackhide__ = True
        error = self.run((), follow=True)
        if error is not None:
            raise error
        #: stories that do not break the scenario, and what may happen further on in each
        held: list[tuple[tuple[Accident, ...], list[Accident]]] = [((), list(self.further(())))]
        self.done.points = sum(1 for accident in held[0][1] if accident.delivery >= 0)
        for size in range(1, self.accidents + 1):
            longer: list[tuple[tuple[Accident, ...], list[Accident]]] = []
            for story, further in held:
                for accident in further:
                    if self.done.runs >= self.max_runs:
                        self.done.complete = False
                        warnings.warn(f"explore: max_runs={self.max_runs} ended it: {self.done!r}", stacklevel=4)
                        return self.done
                    self.done.stories += 1
                    found = (*story, accident)
                    error = self.run(found, follow=size < self.accidents)
                    if error is not None:
                        raise self.broken(*self.shrink(found, error)) from error
                    if size < self.accidents:
                        longer.append((found, list(self.further(found))))
            held = longer
        return self.done

    def further(self, story: tuple[Accident, ...]) -> Iterator[Accident]:
        """Every accident that may come after those of a story, by the lines that its run met, the plainest first."""
        begin = max((accident.delivery for accident in story), default=-1) + 1
        if self.kills:
            for number in range(begin, len(self.points)):
                yield Accident(number, AFTER, "killed after its handler returned, before its file was removed")
            for number, points in list(enumerate(self.points))[begin:]:
                yield Accident(number, BEFORE, "killed before its handler began")
                met = set()
                for at, (file, line, function) in enumerate(points, 1):
                    if (file, line) in met:
                        continue  # the same line again, in a loop
                    met.add((file, line))
                    where = f"{os.path.basename(file)}:{line}, in {function}"
                    yield Accident(number, at, f"killed before line {where}")
        if self.orders and self.widest > 1 and not story:
            for order in _orders(self.widest):
                yield Accident(-1, order, f"a scan meets the tasks in the order {[place + 1 for place in order]}")

    def run(self, story: tuple[Accident, ...], *, follow: bool = False) -> BaseException | None:
        """One run of the scenario; what it raised, or None."""
        harness = self.harness
        self.done.runs += 1
        self.begin_anew()
        if self.handler is not NO_HANDLER:
            harness.app.module().__dict__["spooler"] = self.handler
        planned = {accident.delivery: accident for accident in story if accident.delivery >= 0}
        order = next((accident.what for accident in story if accident.delivery < 0), None)
        delivery = -1
        if follow:
            self.points = []

        def plan(ran: Ran) -> Fault | None:
            nonlocal delivery
            delivery += 1
            accident = planned.get(delivery)
            if accident is None or isinstance(accident.what, tuple):
                return None
            return Fault(kill=accident.what, text=accident.text)

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
        self, story: tuple[Accident, ...], error: BaseException
    ) -> tuple[tuple[Accident, ...], BaseException, list[Ran]]:
        """The simplest story near this one in which the scenario still fails, its error and what was run."""
        history = self.history
        better = True
        while better:
            better = False
            for simpler in _simpler(story):
                found = self.run(simpler)
                if found is not None:
                    story, error, history, better = simpler, found, self.history, True
                    break
        return story, error, history

    def broken(self, story: tuple[Accident, ...], error: BaseException, history: list[Ran]) -> StoryBroken:
        lines = [f"found in run {self.done.runs} of the scenario; the shortest story in which it fails:"]
        lines += [f"  - {accident.text}" for accident in story if accident.delivery < 0]
        seen: set[str] = set()
        for number, ran in enumerate(history, 1):
            again = " again, by a new spooler," if ran.task.path in seen else ""
            seen.add(ran.task.path)
            became = ran.fault or (f"{ran.state}: {ran.why}" if ran.why else ran.state)
            lines.append(f"  {number}. {ran.task!r} is run{again} and {became}")
        lines.append(f"  {type(error).__name__}: {error}")
        return StoryBroken("\n".join(lines))


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


def _simpler(story: tuple[Accident, ...]) -> Iterator[tuple[Accident, ...]]:
    for number, accident in enumerate(story):
        others = story[:number], story[number + 1 :]
        if len(story) > 1:
            yield (*others[0], *others[1])
        if isinstance(accident.what, tuple):
            order = accident.what
            for place in range(len(order) - 1):
                if order[place] > order[place + 1]:
                    nearer = _swapped(order, place)
                    if _disorder(nearer):
                        text = f"a scan meets the tasks in the order {[place + 1 for place in nearer]}"
                        yield (*others[0], Accident(-1, nearer, text), *others[1])
        elif accident.what != AFTER:
            text = "killed after its handler returned, before its file was removed"
            yield (*others[0], Accident(accident.delivery, AFTER, text), *others[1])
