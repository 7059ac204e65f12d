"""Spoolers whose fork server was killed: they finish the task they hold, and the master watches over them till then.

They are no children of the master's, so it signals them through a descriptor of the process (pidfd), opened while the
pid was surely theirs. Where the system has none, nothing is signalled: they are named when we stop without them.
"""

from __future__ import annotations

import os
import select
import signal

from spoolsim.processes import harakiri
from spoolsim.processes.events import Died
from spoolsim.spool import wake
from spoolsim.spool.directory import SpoolDir
from spoolsim.work.alive import alive
from spoolsim.work.scoreboard import HARAKIRI, PID, STARTED, USER, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.log import Log
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.generation import Generation
    from spoolsim.processes.loop import Loop
    from spoolsim.work.scoreboard import Scoreboard


class Orphan:
    """One of them. number: its slot; owed: which still waits for its death. words: of the scoreboard it writes to."""

    __slots__ = ("handle", "number", "owed", "pid", "words")

    def __init__(self, pid: int, handle: int, number: int, words: memoryview, owed: bool) -> None:
        self.pid = pid
        self.handle = handle
        self.number = number
        self.words = words
        self.owed = owed


class Orphans:
    """All of a master's.

    outlived: called with who, and what becomes of it, where one had its time to end, and did not. rings: its directory
    is woken when one ends within a task.
    """

    def __init__(
        self, loop: Loop, fleet: Fleet, log: Log, outlived: Callable[[str, str], None], *, rings: bool
    ) -> None:
        self._loop = loop
        self._fleet = fleet
        self._log = log
        self._outlived = outlived
        self._rings = rings
        self._living: dict[int, Orphan] = {}
        #: those that nothing tells us of
        self._lost: list[Orphan] = []
        self._kill_at: float | None = None
        #: called with the number of one whose slot waits for its death
        self.died: Callable[[int], None] = _nobody

    def adopt(self, generation: Generation, board: Scoreboard, *, owed: bool = False, kill: bool = False) -> None:
        """The spoolers of a fork server that was killed.

        owed: their slots are to hear of their deaths. kill: they may not finish anything.
        """
        for pid, number in list(generation.pids.items()):
            handle = generation.handles.pop(pid, -1)
            generation.forget(pid)
            seats = (board.slot(2 * number), board.slot(2 * number + 1))
            orphan = Orphan(pid, handle, number, seats[seats[1][PID] == pid], owed)
            if handle >= 0 and orphan.words[PID] == pid:
                self._living[handle] = orphan
                self._loop.watch(handle)
                if kill:
                    _send(orphan, signal.SIGKILL)
                continue
            if handle >= 0:
                os.close(handle)
            self._lost.append(orphan)
            if owed:
                self._fleet.happen(number, Died(pid, True))

    def __len__(self) -> int:
        return len(self._living)

    def running(self) -> int:
        """How many are in a task, and are on no scoreboard of ours any more."""
        return sum(1 for orphan in self._living.values() if runs(orphan.words) and not orphan.owed)

    def stop(self, kill_at: float) -> None:
        """They have until then, on the master's clock."""
        self._kill_at = kill_at
        for orphan in self._lost:
            if orphan.words[PID] == orphan.pid and orphan.words[STARTED] and alive(orphan.pid):
                self._outlived(self._name(orphan), "cannot be ended from here: it goes on")
        self._lost.clear()

    def kill(self, pid: int) -> None:
        """One whose slot says so."""
        for orphan in self._living.values():
            if orphan.pid == pid:
                _send(orphan, signal.SIGKILL)

    def close(self) -> None:
        """Leave them to themselves."""
        for handle in self._living:
            os.close(handle)
        self._living.clear()

    def _name(self, orphan: Orphan) -> str:
        return f"{self._fleet.path(orphan.number)}: process {orphan.pid}"

    def next_deadline(self) -> float | None:
        """When to tick."""
        if not self._living:
            return None
        strikes = self._loop.now() + harakiri.until_next((orphan.words for orphan in self._living.values()), 0.0)
        return strikes if self._kill_at is None else min(strikes, self._kill_at)

    def collect(self, ready: set[int]) -> None:
        """Whose descriptor is readable has ended."""
        for handle in ready & self._living.keys():
            orphan = self._living.pop(handle)
            self._loop.unwatch(handle)
            os.close(handle)
            if orphan.words[STARTED] and orphan.number < self._fleet.served and self._rings:
                wake.notify(SpoolDir(self._fleet.path(orphan.number)))  # its task was met as locked
            if orphan.words[PID] == orphan.pid:  # its fork server would have said so, and is gone
                orphan.words[PID] = orphan.words[STARTED] = 0
            if orphan.owed:
                self.died(orphan.pid)
                self._fleet.happen(orphan.number, Died(orphan.pid, True))

    def tick(self) -> None:
        """Strike where a deadline is over."""
        for orphan in self._living.values():
            if self._kill_at is not None and self._loop.now() >= self._kill_at and not orphan.owed:
                self._outlived(self._name(orphan), "is killed; a task that it has not finished stays in the spool")
                _send(orphan, signal.SIGKILL)
            elif harakiri.is_over(orphan.words):
                self._harakiri(orphan)
        if self._kill_at is not None and self._loop.now() >= self._kill_at:
            self._kill_at = None

    def _harakiri(self, orphan: Orphan) -> None:
        """Stop, look again, then kill, as the fork server did."""
        _send(orphan, signal.SIGSTOP)
        end = self._loop.now() + harakiri.STOP_DEADLINE
        while not _stopped(orphan.pid) and self._loop.now() < end:
            select.select((), (), (), 0.0005)
        if harakiri.still_runs(orphan.words):
            self._log.line(f"*** HARAKIRI ON THE SPOOLER (pid: {orphan.pid}) ***")
            _send(orphan, signal.SIGKILL)
            orphan.words[HARAKIRI] = orphan.words[USER] = 0
        _send(orphan, signal.SIGCONT)


def _nobody(pid: int) -> None:
    """Whom it would interest."""


def _send(orphan: Orphan, number: int) -> None:
    try:
        signal.pidfd_send_signal(orphan.handle, number)
    except ProcessLookupError:
        pass  # its descriptor tells of its end


def _stopped(pid: int) -> bool:
    """Is it stopped, or gone?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t", b"Z", b"X")
    except OSError:
        return True
