"""Looks at spool directories again and again, and reads no more each time than what is new."""

from __future__ import annotations

from spoolsim import system
from spoolsim.tasks.history import Recent
from spoolsim.tasks.listing import Calls, survey
from spoolsim.tasks.spoolers import spoolers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.tasks.top import Top


class Observer:
    """Looks at these directories. ordered: as spooler-ordered."""

    def __init__(self, spools: Sequence[SpoolDir], *, ordered: bool) -> None:
        self._spools = spools
        self._ordered = ordered
        self._calls = Calls()
        self._recent = {spool.path: Recent(spool) for spool in spools}

    def feed(self, top: Top, now: float) -> None:
        """Give `top` what is there at `now`, epoch seconds. Changes nothing in the directories."""
        attempts = [attempt for recent in self._recent.values() for attempt in recent.added()]
        attempts.sort(key=lambda attempt: attempt.ended)
        rows = survey(
            self._spools,
            ordered=self._ordered,
            now=now,
            source=lambda spool: self._recent[spool.path],
            calls=self._calls,
        )
        for path, recent in self._recent.items():
            recent.keep({row.task for row in rows if row.spool.path == path})
        running = spoolers(self._spools, rows, system.clock_gettime_ns(system.CLOCK_MONOTONIC))
        top.feed(rows, running, attempts, now)
