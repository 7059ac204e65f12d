"""The frozen clock of a test, whoever froze it, and the loop of an idle spooler played along it."""

from __future__ import annotations

import math
import sys
import time

from spoolsim.errors import HarnessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spoolsim.processes.schedule import Schedule
    from spoolsim.work.app import App

NOT_FROZEN = (
    "advance() moves a frozen clock, and time is not frozen here: use freezegun.freeze_time(...) or "
    "time_machine.travel(..., tick=False) around it"
)
#: the least step, in seconds, where something is due at every look
_STEP = 0.1
_MICROSECOND = 1_000_000


def frozen() -> Callable[[float], Any] | None:
    """The function that moves the clock by so many seconds; None when time is not frozen."""
    freezegun = sys.modules.get("freezegun.api")
    if freezegun is not None and freezegun.freeze_factories:
        import datetime

        factory = freezegun.freeze_factories[-1]
        return lambda seconds: factory.tick(datetime.timedelta(seconds=seconds))
    machine = sys.modules.get("time_machine")
    if machine is not None:
        # the second is its name before 3.0
        stack = getattr(machine, "traveller_stack", None) or getattr(machine, "coordinates_stack", None)
        if stack:
            move: Callable[[float], Any] = stack[-1].shift
            return move
    return None


class Beats:
    """When an idle spooler would do something: timers and crons of the master, and its own poll.

    Timers count from the moment this is made. Raises nothing; has no clock of its own: time.time() is the clock.
    """

    def __init__(self, app: App) -> None:
        from spoolsim.processes.schedule import Registration, Schedule

        self._app = app
        self._known: list[Any] = []
        self._make: Callable[[list[Any]], Schedule] = lambda timed: Schedule(
            [Registration(kind, number, spec) for kind, number, _, *spec in timed if kind != "file"]
        )
        self.schedule = self._make([])
        self.poll = 0.0
        self.scanned()

    def scanned(self) -> None:
        """The directories were just scanned: the next poll is one `spooler-frequency` away."""
        seconds = self._app.set_frequency or self._app.options.frequency
        self.poll = time.time() + (seconds if seconds > 0 else _STEP)

    def signals(self) -> list[int]:
        """The numbers of the signals that are due now, in the order of registration."""
        self._refresh()
        now = time.time()
        return [number for _, number in self.schedule.due(now, now, time.localtime(now))]

    def next(self) -> float:
        """The next moment at which anything may be due, later than now; epoch seconds."""
        self._refresh()
        now = time.time()
        look = self.schedule.next_deadline(now, now)
        moment = self.poll if look is None else min(look, self.poll)
        return moment if moment > now else now + _STEP

    def _refresh(self) -> None:
        """Timers may be registered at any time in a test."""
        timed = self._app.signals.report()
        if timed != self._known:
            self._known = timed
            schedule = self._make(timed)
            schedule.carry(self.schedule)
            self.schedule = schedule


def move_to(moment: float, move: Callable[[float], Any]) -> None:
    """Move the frozen clock to `moment` (epoch seconds), never short of it. Raises HarnessError if it will not move."""
    for _ in range(3):
        left = moment - time.time()
        if left <= 0:
            return
        move(math.ceil(left * _MICROSECOND) / _MICROSECOND)
    if time.time() < moment:
        raise HarnessError("the frozen clock does not move")
