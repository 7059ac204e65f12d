"""Taking a task: open, lock, look, read.

Other processes (ours, and real uWSGI's) are at the same files. After a claim the task is ours until it is settled
or this process ends.
"""

from __future__ import annotations

import os
from stat import S_IFREG, S_ISREG, ST_INO, ST_MODE, ST_NLINK, ST_SIZE

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


#: up to here a file is read at once, in bytes
_SMALL = 16_384
#: what a mode says of a file's kind
_KIND = 0o170000
_new = object.__new__

#: why a claim was not had; the first three pass by themselves
LOCKED, FUTURE, UNFINISHED, GONE, UNREADABLE = "locked", "future", "unfinished", "gone", "unreadable"


def take(level: Level, name: str, now: float, record: bool = False, limit: int = 0) -> Claim | str:
    """Claim a task, or say in one word why it cannot be had now.

    now: epoch seconds: a task whose mtime is later is left for later. A file of less than 4 bytes may be in the
    making and is left alone. record: take the POSIX record lock, as uWSGI does. limit: a file of more bytes is claimed,
    but not read (`Claim.data` is empty); so is one that memory does not hold. Where uWSGI is followed (`record`) that
    is a MemoryError: it dies of it.
    """
    try:
        fd = _open(name, OPEN if record else KEEP_TIMES, dir_fd=level.fd)
    except OSError as error:
        try:
            if not isinstance(error, PermissionError):
                raise
            fd = _open(name, OPEN, dir_fd=level.fd)  # somebody else's: its times may not be kept
        except FileNotFoundError:
            return GONE
        except OSError:
            return UNREADABLE
    try:
        if try_lock(fd, record=record):
            held.fd = fd
            status = _fstat(fd)
            size, mtime = status[ST_SIZE], status.st_mtime
            data = b""
            usual = not limit and not record and HEADER <= size <= _SMALL and mtime <= now and status[ST_NLINK]
            if usual and status[ST_MODE] & _KIND == S_IFREG and lock.OFD_SETLK is not None:
                data = _read(fd, size)
            claim = _new(Claim)  # as Claim() does, in half the time
            claim.level = level
            claim.name = name
            claim.fd = fd
            claim.data = data
            claim.mtime = mtime
            claim.inode = status[ST_INO]
            claim.record = record
            claim.task = level.below + name
            if data and len(data) == size:
                return claim  # hot: this far most tasks come, and no other one
            found = _examine(claim, status, now, limit)
            if not isinstance(found, str):
                return found
            unlock(fd, record=record)
        else:
            found = LOCKED
    except OSError:  # the disk gives an error, or the file system has no locks
        found = UNREADABLE
    except BaseException:
        _drop(fd)
        raise
    _drop(fd)
    return found


def _drop(fd: int) -> None:
    held.fd = -1
    close(fd)


def _examine(claim: Claim, status: os.stat_result, now: float, limit: int) -> Claim | str:
    """What is to be asked of a locked file; `claim.data` may have its beginning."""
    if claim.mtime >= now // 1 + 1:
        return FUTURE
    if not S_ISREG(status.st_mode) or not status.st_nlink:
        return GONE  # somebody settled it between our open and our lock
    if status.st_size < HEADER:
        return UNFINISHED
    keeps = lock.OFD_SETLK is None and not claim.record
    spool = claim.level.spool
    if keeps and not keep.hold(spool, claim.inode):
        return LOCKED  # it is run already, by a worker whose lock the handler has lost
    try:
        if not limit or status.st_size <= limit:
            claim.data = _read_all(claim, status.st_size)
    except BaseException:
        if keeps:
            keep.let_go(spool, claim.inode)
        raise
    return claim


def _read_all(claim: Claim, size: int) -> bytes:
    """The file's bytes; none where memory does not hold them."""
    try:
        data = claim.data or _read(claim.fd, size)
        if data and len(data) < size:
            data = _read_rest(claim.fd, data, size)
        return data or b"\0"  # it shrank to nothing between the look and the read: no packet
    except (MemoryError, OverflowError):  # the latter of a 32-bit Python
        if claim.record:
            raise MemoryError from None
        return b""


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
