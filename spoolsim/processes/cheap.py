"""spooler-cheap (uWSGI 2.1): no process until there is work.

The master looks whether there is any: every `spooler-frequency` seconds, as uWSGI does, and, unless faithful, also
at once when a file arrives and when a task becomes due.
"""

from __future__ import annotations

import os
import select
import time

from spoolsim.processes import lifecycle
from spoolsim.spool import names
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.packet import HEADER
from spoolsim.spool.wake import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.processes.master import Master


#: a new file without content is looked at again, later and later, until it is so old, in seconds; then at the poll
_WRITING = 1.0
#: seconds to the first of these looks
_SOON = 0.001


class Cheap:
    """Wants processes for the slots of a master whose directories have work."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.faithful = master.options.faithful
        self.ordered = master.options.ordered
        #: a drain needs every process, and ends when each has found nothing
        self.enabled = master.rules.cheap
        self.spools: dict[str, SpoolDir] = {}
        self.watches: dict[int, tuple[str, Watch]] = {}
        self.look_at: float | None = None
        #: directories that an event, or a death, makes worth a look
        self.hinted: set[str] = set()
        #: does a uwsgi signal end the master's wait?
        self.listening = False

    def start(self) -> None:
        """From now on: no process has been started yet, or none any more (the fork server was killed)."""
        if not self.enabled:
            return
        if self.spools:
            self.hinted = set() if self.faithful else set(self.spools)
            return
        for path, external, _ in self.master.entries:
            if external or path in self.spools:
                continue
            spool = self.spools[path] = SpoolDir(path, bare=self.faithful)
            if not self.faithful:
                watch = Watch(spool)
                if watch.fd >= 0:
                    self.watches[watch.fd] = (path, watch)
                    self.master.poll.register(watch.fd, select.POLLIN)
        self.hinted = set() if self.faithful else set(self.spools)
        self.look_at = _now() + (self._pause() if self.faithful else 0)

    def _pause(self) -> float:
        return max(self.master.frequency(), 1)

    def next_look(self) -> float | None:
        """When to tick."""
        return self.look_at if self._ready() else None

    def _ready(self) -> bool:
        """Is there a fork server that would hear of it? What is wanted while there is none would be lost."""
        master = self.master
        return self.enabled and not master.stopping and not master._restart and master.serving is not None

    def collect(self, ready: set[int]) -> None:
        """The descriptors that are readable: something arrived."""
        for fd in ready & self.watches.keys():
            path, watch = self.watches[fd]
            watch.drain()
            self.hinted.add(path)

    def died(self, path: str) -> None:
        """A process ended: what came while it did so must not wait for the poll."""
        if self.enabled and not self.faithful:
            self.hinted.add(path)

    def tick(self) -> None:
        """Look into the directories that are worth it, and want processes where there is work."""
        self._listen()
        if self.look_at is None or not self._ready():
            return
        now = _now()
        due_look = now >= self.look_at
        if due_look:
            self.look_at = now + self._pause()
        signalled = not self.faithful and _readable(self.master.spooler_pipe.reader)
        for path, spool in self.spools.items():
            if not (due_look or path in self.hinted or signalled):
                continue
            self.hinted.discard(path)
            idle = [n for n in range(self.master.served) if self.master.path(n) == path and self._closed(n)]
            if not idle:
                continue
            if self.faithful:
                wanted, later = _any_name(spool), None
            else:
                wanted, later = has_work(spool, ordered=self.ordered, now=time.time())
            if wanted or signalled:
                for number in idle:
                    self.master.happen(number, "wanted")
                self._listen()
            elif later is not None:
                self.look_at = min(self.look_at, now + max(later - time.time(), 0))

    def _listen(self) -> None:
        """While no spooler is there to take a uwsgi signal, one must wake the master."""
        pipe = self.master.spooler_pipe.reader
        closed = all(self._closed(n) for n in range(self.master.served))
        wanted = closed and not self.faithful and self._ready()
        if wanted and not self.listening:
            self.master.poll.register(pipe, select.POLLIN)
        elif self.listening and not wanted:
            self.master.poll.unregister(pipe)
        self.listening = wanted

    def _closed(self, number: int) -> bool:
        return bool(self.master.slots[number].state == lifecycle.CLOSED)

    def close(self) -> None:
        """Give the watches back."""
        for _, watch in self.watches.values():
            watch.close()
        self.watches = {}


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


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
