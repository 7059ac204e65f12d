"""What the spoolers of a directory do now: from their scoreboard, and for others, real uWSGI's too, from their locks.

    kind        which task it runs       since when               its harakiri
    spoolsim    its scoreboard           its scoreboard           its scoreboard
    uWSGI       the lock that it holds   not known                not known

So it is with a spoolsim whose scoreboard cannot be read: another user's, or one under --faithful.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from spoolsim.tasks.processes import OURS, servers
from spoolsim.tasks.states import RUNNING
from spoolsim.work.scoreboard import BUSY, IDLE, PID, SCANNING, SERIAL, STARTED, STATE, Scoreboard, deadline, read_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.tasks.listing import Row

#: what a spooler does; LEAVING: it takes no more tasks
RUNS, IDLES, SCANS, LEAVING = "running", "idle", "scanning", "leaving"
_STATES = {IDLE: IDLES, SCANNING: SCANS, BUSY: RUNS}
#: a slot that changes is read so often
_AGAIN = 5


@dataclass(frozen=True, slots=True)
class Spooler:
    """A process that serves a spool directory.

    spool: that directory. kind: OURS or UWSGI. state: one of the words above. task: the path of the task that it runs,
    below the directory; '' for none, and for the handler of a uwsgi signal. seconds: how long it has run; None where
    that is not known. limit: seconds after which harakiri ends it, 0 for no limit, None where that is not known.
    """

    spool: str
    pid: int
    kind: str
    state: str
    task: str = ""
    seconds: float | None = None
    limit: float | None = None


def spoolers(spools: Sequence[SpoolDir], rows: Iterable[Row], now: int) -> list[Spooler] | None:
    """The spoolers of these directories; None where they cannot be known. rows: all tasks. now: of the monotonic clock,
    nanoseconds. Looking changes nothing.
    """
    held = {(row.spool.path, row.holder.pid): row.task for row in rows if row.state == RUNNING and row.holder}
    known = {pid: spooler for spool in spools for pid, spooler in _on_boards(spool, now)}
    found: list[Spooler] = []
    for spool in spools:
        there = servers(spool.path)
        if there is None:
            return list(known.values()) or None
        on_board = any(process.pid in known for process in there)
        for process in there:
            spooler = known.get(process.pid)
            if spooler is not None:
                found.append(replace(spooler, spool=spool.path))
            elif process.kind != OURS or not on_board:  # else a master or a fork server that was started there
                task = held.get((spool.path, process.pid), "")
                found.append(Spooler(spool.path, process.pid, process.kind, RUNS if task else IDLES, task))
    return found


def _on_boards(spool: SpoolDir, now: int) -> Iterator[tuple[int, Spooler]]:
    """The processes on the scoreboards that are in this directory."""
    run = spool.state_dir("run")
    try:
        names = [name for name in os.listdir(run) if name.replace("-", "").isdigit()]
    except OSError:
        return
    for name in names:
        board = Scoreboard.open(os.path.join(run, name))
        if board is None:
            continue
        try:
            for number in range(board.slots):
                pid = board.slot(number)[PID]
                if pid:
                    yield pid, _read(spool.path, board, number, now)
        finally:
            board.close()


def _read(spool: str, board: Scoreboard, number: int, now: int) -> Spooler:
    """One slot, read again while it changes."""
    words = board.slot(number)
    for _ in range(_AGAIN):
        serial, pid, started, end = words[SERIAL], words[PID], words[STARTED], deadline(words)
        state = _STATES.get(words[STATE], LEAVING)
        task = read_task(board.task(number)) if started else ""
        if not serial % 2 and words[SERIAL] == serial:
            break
    if not started:
        return Spooler(spool, pid, OURS, IDLES if state == RUNS else state)
    limit = max(end - started, 0) / 1e9
    return Spooler(spool, pid, OURS, RUNS, task, max(now - started, 0) / 1e9, limit)
