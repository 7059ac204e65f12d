"""When a fork server is gone: who takes over, and what becomes of its spoolers."""

from __future__ import annotations

from spoolsim.processes import events, lifecycle
from spoolsim.processes.ending import FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.log import Log
    from spoolsim.processes.drain import Drain
    from spoolsim.processes.ending import Ending
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.generation import Generation
    from spoolsim.processes.generations import Generations, Lost
    from spoolsim.processes.orphans import Orphans

#: code that has served is tried so often again when the import kills the fork server
_TRIES = 5


class Succession:
    """Of one run.

    begin: starts a fork server. stop: ends the run, with the grace for its tasks.

    Attributes:
        restarting: Everything is being killed, to begin anew.
    """

    def __init__(
        self,
        log: Log,
        fleet: Fleet,
        generations: Generations,
        orphans: Orphans,
        ending: Ending,
        drain: Drain,
        begin: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._log = log
        self._fleet = fleet
        self._generations = generations
        self._orphans = orphans
        self._ending = ending
        self._drain = drain
        self._begin = begin
        self._stop = stop
        #: how many more may die while they import code that has served before
        self._tries = 0
        self.restarting = False

    def served(self) -> None:
        """The code of the newest one serves."""
        self._tries = _TRIES

    def end_overdue(self) -> None:
        """End those that were told to, and had time: one that is stopped, or hangs in the app's atexit."""
        while (generation := self._generations.overdue()) is not None:
            count = len(generation.pids)
            left = f", and {count} of its spoolers" if count else ""
            self._log.say(f"the fork server {generation.pid} does not end: it is killed{left}", error=True)
            if self._ending.begun:
                self._ending.failed()
            generation.kill()
            self.lost(self._generations.lose(generation))

    def lost(self, event: Lost) -> None:
        """One is gone: as it should, or killed."""
        generation = event.generation
        if event.was_coming and not (self._ending.begun or self.restarting):
            self._log.say("the fork server ended before it was ready", error=True)
            if self._generations.serving is None:
                self._begin_again()
        if self.restarting:
            self._orphans.adopt(generation, self._fleet.board, kill=True)
        elif event.served and not self._ending.begun:
            self._replace(generation)
        else:
            self._orphans.adopt(generation, self._fleet.board, owed=True, kill=event.overdue)
            for number in generation.owed:
                if self._fleet.slots[number].state == lifecycle.STALE:
                    self._fleet.happen(number, events.Died(0, True))

    def _replace(self, generation: Generation) -> None:
        """The one that served was killed: its spoolers finish their tasks, and write to a scoreboard of the past."""
        self._log.say("the fork server was killed: starting another one", error=True)
        self._orphans.adopt(generation, self._fleet.board)
        self._fleet.abandon()
        if (useless := self._generations.give_up_import()) is not None:
            self.lost(useless)  # it was given the scoreboard that has just gone; what it says counts no more
        if self._drain.cannot_go_on():
            self._stop()
        else:
            self._begin()

    def _begin_again(self) -> None:
        """Nobody serves, and the one that was to has died. Code that has served before is tried again."""
        if self._tries:
            self._tries -= 1
            self._begin()
        else:
            self._ending.remains.stopped = "the app ended the fork server while it was imported"
            self._ending.status = FAILED
