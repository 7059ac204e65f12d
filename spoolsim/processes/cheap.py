"""spooler-cheap (uWSGI 2.1): no process until there is work.

The master looks whether there is any: every `spooler-frequency` seconds, as uWSGI does, and also
at once when a file arrives and when a task becomes due.
"""

from __future__ import annotations

import os
import select
import time

from spoolsim.processes.events import Wanted
from spoolsim.spool import names
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.packet import HEADER
from spoolsim.spool.wake import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.options import Options
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.loop import Loop
    from spoolsim.processes.pipes import Pipes


#: a new file without content is looked at again, later and later, until it is so old, in seconds; then at the poll
_WRITING = 1.0
#: seconds to the first of these looks
_SOON = 0.001


class Cheap:
    """Wants processes for the slots of a fleet whose directories have work.

    serves: is there a fork server that would hear of it? What is wanted while there is none would be lost.
    """

    def __init__(self, options: Options, loop: Loop, fleet: Fleet, pipes: Pipes, serves: Callable[[], bool]) -> None:
        self._options = options
        self._at_once = options.policy.spawns_for_due_tasks
        self._loop = loop
        self._fleet = fleet
        self._pipes = pipes
        self._serves = serves
        #: a drain needs every process, and ends when each has found nothing
        self.enabled = fleet.rules.cheap
        self._spools: dict[str, SpoolDir] = {}
        self._watches: dict[int, tuple[str, Watch]] = {}
        self._look_at: float | None = None
        #: directories that an event, or a death, makes worth a look
        self._hinted: set[str] = set()
        #: the descriptor by which a uwsgi signal ends the loop's wait; -1 for none
        self._listening = -1

    def start(self) -> None:
        """From now on: no process has been started yet, or none any more (the fork server was killed)."""
        if not self.enabled:
            return
        if not self._spools:
            self._look_at = self._loop.now() + (0 if self._at_once else self._pause())
            for path in dict.fromkeys(path for path, external, _ in self._fleet.entries if not external):
                self._add(path)
        self._hinted = set(self._spools) if self._at_once else set()

    def _add(self, path: str) -> None:
        spool = self._spools[path] = SpoolDir(path, bare=not self._options.policy.keeps_state)
        if self._at_once:
            watch = Watch(spool)
            if watch.fd >= 0:
                self._watches[watch.fd] = (path, watch)
                self._loop.watch(watch.fd)

    def _pause(self) -> float:
        return max(self._fleet.frequency(self._options.frequency), 1)

    def next_deadline(self) -> float | None:
        """When to tick."""
        return self._look_at if self._ready() else None

    def _ready(self) -> bool:
        return self.enabled and self._serves()

    def collect(self, ready: set[int]) -> None:
        """The descriptors that are readable: something arrived."""
        for fd in ready & self._watches.keys():
            path, watch = self._watches[fd]
            watch.drain()
            self._hinted.add(path)

    def died(self, path: str) -> None:
        """A process ended: what came while it did so must not wait for the poll."""
        if self.enabled and self._at_once:
            self._hinted.add(path)

    def tick(self) -> None:
        """Look into the directories that are worth it, and want processes where there is work."""
        self._listen()
        if self._look_at is None or not self._ready():
            return
        now = self._loop.now()
        due_look = now >= self._look_at
        if due_look:
            self._look_at = now + self._pause()
        signalled = self._at_once and _readable(self._pipes.spoolers.reader)
        for path, spool in self._spools.items():
            if not (due_look or path in self._hinted or signalled):
                continue
            self._hinted.discard(path)
            idle = self._fleet.closed(path)
            if not idle:
                continue
            wanted, later = self._has_work(spool)
            if wanted or signalled:
                for number in idle:
                    self._fleet.happen(number, Wanted())
                self._listen()
            elif later is not None:
                self._look_at = min(self._look_at, now + max(later - time.time(), 0))

    def _has_work(self, spool: SpoolDir) -> tuple[bool, float | None]:
        if self._at_once:
            return has_work(spool, ordered=self._options.ordered, now=time.time())
        return _any_name(spool), None

    def _listen(self) -> None:
        """While no spooler is there to take a uwsgi signal, one must wake the master."""
        closed = len(self._fleet.closed()) == self._fleet.served
        wanted = self._pipes.spoolers.reader if closed and self._at_once and self._ready() else -1
        if wanted == self._listening:
            return
        if self._listening >= 0:
            self._loop.unwatch(self._listening)
        if wanted >= 0:
            self._loop.watch(wanted)
        self._listening = wanted

    def close(self) -> None:
        """Give the watches back."""
        for _, watch in self._watches.values():
            watch.close()
        self._watches = {}


def has_work(spool: SpoolDir, *, ordered: bool, now: float) -> tuple[bool, float | None]:
    """Is there a task that can run at `now` (epoch seconds)? If not, when to look again: the first future one
    becomes due, or a file that is being written may be whole.
    """
    return _has_work(spool.path, ordered, now)


def _has_work(path: str, ordered: bool, now: float) -> tuple[bool, float | None]:
    later: float | None = None
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not names.counts(entry.name, ordered):
                    continue
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_size < HEADER:
                        # being written, perhaps: its event came before its content, and no other one will come
                        age = abs(now - status.st_mtime)
                        if age < _WRITING:
                            soon = now + max(age, _SOON)
                            later = soon if later is None else min(later, soon)
                        continue
                    if names.due(status.st_mtime, now):
                        return True, None
                    first: float | None = int(status.st_mtime)
                elif ordered and entry.is_dir(follow_symlinks=False):
                    found, first = _has_work(entry.path, ordered, now)
                    if found:
                        return True, None
                else:
                    continue
                if first is not None:
                    later = first if later is None else min(later, first)
    except OSError:
        pass  # gone, or just going
    return False, later


def _any_name(spool: SpoolDir) -> bool:
    """uWSGI's look: any name with the task prefix in the top level, whatever it is."""
    try:
        return any(name.startswith(names.PREFIX) for name in os.listdir(spool.path))
    except OSError:
        return False


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
