"""Taking a task: open, lock, look, read.

Other processes (ours, and real uWSGI's) are at the same files. After a claim the task is ours until it is settled
or this process ends.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from spoolsim import system
from spoolsim.spool import keep, lock
from spoolsim.spool.lock import close, try_lock, unlock
from spoolsim.spool.packet import HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.scan import Level

#: O_NONBLOCK: never hang on a FIFO that took the name; O_NOFOLLOW: a link is not a task
OPEN = os.O_RDWR | system.O_BINARY | system.O_NOFOLLOW | system.O_NONBLOCK | system.O_CLOEXEC
#: reading a task does not change its file's time of access, which on a disk costs more than the reading
KEEP_TIMES = OPEN | getattr(os, "O_NOATIME", 0)


_open, _fstat, _read = os.open if system.AT else system.open_at, os.fstat, os.read


class Claim:
    """A task that is ours: locked, whole in memory.

    level: the directory it is in. name: its base name. task: its path below the spool directory, which is how
    scoreboard and journal name it. fd: the locked descriptor. data: the file's bytes.
    mtime: in epoch seconds. inode: the file's. record: the lock is a POSIX record lock, as uWSGI's.
    """

    __slots__ = ("data", "fd", "inode", "level", "mtime", "name", "record", "task")

    def __init__(self, level: Level, name: str, fd: int, data: bytes, mtime: float, inode: int, record: bool) -> None:
        self.level = level
        self.name = name
        self.fd = fd
        self.data = data
        self.mtime = mtime
        self.inode = inode
        self.record = record
        self.task = level.below + name

    @property
    def path(self) -> str:
        """The file's absolute path."""
        return f"{self.level.path}/{self.name}"


#: why a claim was not had; the first three pass by themselves
LOCKED, FUTURE, UNFINISHED, GONE, UNREADABLE = "locked", "future", "unfinished", "gone", "unreadable"


def take(level: Level, name: str, now: float, *, record: bool = False, limit: int = 0) -> Claim | str:
    """Claim a task, or say in one word why it cannot be had now.

    now: epoch seconds: a task whose mtime is later is left for later. A file of less than 4 bytes may be in the
    making and is left alone. limit: a file of more bytes is claimed, but not read (`Claim.data` is empty); so is one
    that memory does not hold. Where uWSGI is followed (`record`) that is a MemoryError: it dies of it.
    """
    try:
        try:
            fd = _open(name, OPEN if record else KEEP_TIMES, dir_fd=level.fd)
        except PermissionError:
            fd = _open(name, OPEN, dir_fd=level.fd)  # somebody else's: its times may not be kept
    except FileNotFoundError:
        return GONE
    except OSError:
        return UNREADABLE
    why = LOCKED
    inode = 0
    try:
        if not try_lock(fd, record=record):
            return LOCKED
        held.fd = fd
        status = _fstat(fd)
        size = status.st_size
        mtime = status.st_mtime
        if mtime >= now // 1 + 1:
            why = FUTURE
        elif not S_ISREG(status.st_mode) or not status.st_nlink:
            why = GONE  # somebody settled it between our open and our lock
        elif size < HEADER:
            why = UNFINISHED
        elif lock.OFD_SETLK is None and not record and not keep.hold(level.spool, status.st_ino):
            why = LOCKED  # it is run already, by a worker whose lock the handler has lost
        else:
            inode = status.st_ino
            try:
                data = _read(fd, size) if not limit or size <= limit else b""
                if data and len(data) < size:
                    data = _read_rest(fd, data, size)
                if not data and (not limit or size <= limit):
                    data = b"\0"  # it shrank to nothing between the look and the read: no packet
            except (MemoryError, OverflowError):  # the latter of a 32-bit Python
                if record:
                    raise MemoryError from None
                data = b""
            why = ""
            return Claim(level, name, fd, data, mtime, inode, record)
        unlock(fd, record=record)
        return why
    except OSError:  # the disk gives an error, or the file system has no locks
        return UNREADABLE
    finally:
        if why:
            held.fd = -1
            close(fd)
            if inode:
                keep.let_go(level.spool, inode)


def _read_rest(fd: int, data: bytes, size: int) -> bytes:
    """The rest of a file that one read did not give (a big body); less if it shrank meanwhile."""
    parts = [data]
    have = len(data)
    while have < size:
        more = os.read(fd, size - have)
        if not more:
            break
        parts.append(more)
        have += len(more)
    return b"".join(parts)


class _Held:
    """The descriptor of the task this process runs: its lock must not outlive us in a forked child."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = -1


#: what this process runs now
held = _Held()


def _close_in_child() -> None:
    if held.fd >= 0:
        os.close(held.fd)
        held.fd = -1


if hasattr(os, "register_at_fork"):  # pragma: no branch - where processes fork
    os.register_at_fork(after_in_child=_close_in_child)
