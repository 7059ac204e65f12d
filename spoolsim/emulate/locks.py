"""uwsgi.lock(), unlock(), is_locked(): between the processes of one instance and the threads of each.

Between processes: one byte of a file for each number, locked with fcntl, so that death frees it. Between threads:
a lock in memory. A spooler has no locks, as in uWSGI.
"""

from __future__ import annotations

import _thread
import operator
import os

try:
    import fcntl
except ImportError:  # no POSIX: the threads of this process alone
    fcntl = None  # type: ignore[assignment]  # asked for where it is used

from spoolsim import system
from spoolsim.emulate import stand_ins
from spoolsim.emulate.place import Place
from spoolsim.work import app as apps
from spoolsim.work import program


class Locks(apps.Part):
    """The locks of this process."""

    def __init__(self, app: apps.App) -> None:
        super().__init__(app)
        self._path = app.part(Place).file("locks")
        self._begin()

    def _begin(self) -> None:
        self.pid = os.getpid()
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW, 0o600)
        self.threads: dict[int, _thread.LockType] = {}
        self.owners: dict[int, int] = {}

    def here(self) -> Locks:
        """These; a forked child has none of its parent's, and inherited descriptors hold nothing."""
        if self.pid != os.getpid():
            os.close(self.fd)
            self._begin()
        return self

    def close(self) -> None:
        """Give up what this process has locked."""
        os.close(self.fd)

    def take(self, number: int) -> None:
        """Wait for a lock and take it."""
        if self.owners.get(number) == _thread.get_ident():
            stand_ins.note("lock-twice", "lock")
        self.threads.setdefault(number, _thread.allocate_lock()).acquire()
        try:
            if fcntl is not None:
                fcntl.lockf(self.fd, fcntl.LOCK_EX, 1, number)
        except BaseException:
            self.threads[number].release()
            raise
        self.owners[number] = _thread.get_ident()

    def give(self, number: int) -> None:
        """Give a lock up, if this process has it."""
        if self.owners.pop(number, None) is not None:
            if fcntl is not None:
                fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, number)
            self.threads[number].release()

    def taken(self, number: int) -> bool:
        """Has anybody got it?"""
        if number in self.owners:
            return True
        if fcntl is None:
            return False
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return True
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, number)
        return False


def _for(number: int) -> tuple[Locks, int]:
    app = program.in_this_process()
    if app.role == apps.SPOOLER:
        raise ValueError("The spooler cannot lock/unlock resources")
    wanted = operator.index(number)
    if not 0 <= wanted <= app.options.locks:
        raise ValueError("Invalid lock number")
    return app.part(Locks).here(), wanted


def lock(number: int = 0, /) -> None:
    """Wait for a lock and take it; 0, or up to the option `locks`. Raises ValueError in a spooler."""
    locks, wanted = _for(number)
    locks.take(wanted)


def unlock(number: int = 0, /) -> None:
    """Give a lock up. Raises ValueError in a spooler."""
    locks, wanted = _for(number)
    locks.give(wanted)


def is_locked(number: int = 0, /) -> bool:
    """Has any process got the lock? Raises ValueError in a spooler."""
    locks, wanted = _for(number)
    return locks.taken(wanted)
