"""A drain, as the master sees it: what its spoolers report, and whether it can end at all."""

from __future__ import annotations

import os

from spoolsim.processes import lifecycle
from spoolsim.processes.ending import FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.ending import Ending
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.loop import Loop


class Drain:
    """Of one run. Of a run that does not drain it has nothing to say.

    Attributes:
        reporter: The descriptor by which spoolers report; -1 without a drain.
    """

    def __init__(self, options: Options, log: Log, loop: Loop, fleet: Fleet, ending: Ending) -> None:
        self._asked = options.drain
        self._log = log
        self._fleet = fleet
        self._ending = ending
        #: fork servers that were killed while they served
        self._killed_servers = 0
        self._reports, self.reporter = os.pipe() if options.drain else (-1, -1)
        if options.drain:
            os.set_blocking(self._reports, False)
            loop.watch(self._reports)

    def collect(self, ready: set[int]) -> None:
        """Reports that have come."""
        if self._reports in ready:
            self._ending.remains.collect(self._reports)

    def finish(self) -> None:
        """The reports that came with the death that ended it."""
        if self._asked:
            self._ending.remains.collect(self._reports)

    def goes_on(self) -> bool:
        """Is there a drain, and is nothing ending it?"""
        return self._asked and not self._ending.begun

    def dies(self, number: int, status: int) -> None:
        """A spooler has ended, and its slot is not told yet: one that found nothing more is not replaced."""
        if self.goes_on() and status == lifecycle.DRAINED:
            self._fleet.want_no_more(number)

    def is_over(self, number: int) -> bool:
        """The slot was told: is no spooler left that drains?"""
        if not self.goes_on():
            return False
        deaths = self._fleet.slots[number].failures
        if deaths > lifecycle.PATIENCE:
            # it would never end: what kills the process again and again is not drained
            self._fleet.give_up(number)
            self._cannot(f"{deaths} processes in a row ended without trying a task", self._fleet.path(number))
        return self._fleet.all_over()

    def cannot_go_on(self) -> bool:
        """A fork server that served was killed: was that once too often?"""
        self._killed_servers += 1
        if not self._asked or self._killed_servers <= lifecycle.PATIENCE:
            return False
        self._cannot(f"{self._killed_servers} fork servers were killed", "master")
        return True

    def _cannot(self, why: str, where: str) -> None:
        """Something goes wrong again and again: a drain that goes on would never end."""
        self._log.say(f"{where}: {why}; draining stops here", error=True)
        self._ending.remains.stopped = why
        self._ending.status = FAILED

    def close(self) -> None:
        """Nobody reports any more."""
        for fd in (self._reports, self.reporter):
            if fd >= 0:
                os.close(fd)
