"""Moving a task that nobody runs, safe against every spooler on its directory, real uWSGI included.

A spooler opens a file and then locks it. If we only renamed the file in between, a spooler of ours would still run
what it has open; and where another file has the name by then, real uWSGI runs the old bytes and deletes the new file
(it checks that the name is there, not whose it is). So a task that moves gets a new inode, and the old one is emptied
before its lock goes:

    1  lock the file, without waiting; check that its name is still its own
    2  write a whole copy under a dotted temporary name in the target directory, synced to the disk
    3  rename the file to its target: at every instant it is one complete file (I2)
    4  rename the copy over it
    5  empty the old inode, which has no name any more, and close it

Whoever opened the old inode finds an empty file, which every spooler leaves alone (I1). A crash after 3 leaves
the task at its target, and a temporary file that `spoolsim sweep` clears.
"""

from __future__ import annotations

import errno
import os
from itertools import count
from stat import S_ISREG

from spoolsim import system
from spoolsim.errors import UsageError
from spoolsim.spool import keep, lock
from spoolsim.spool.claim import GONE, LOCKED, OPEN, UNREADABLE
from spoolsim.spool.lock import close, try_lock

_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | system.O_CLOEXEC
_CHUNK = 1 << 20
_counter = count(1)


class Grip:
    """A file that is ours: locked, and still under its name.

    path: absolute. size: bytes. mtime_ns: nanoseconds since 1970.
    """

    __slots__ = ("_kept", "fd", "mtime_ns", "path", "size")

    def __init__(self, path: str, fd: int, status: os.stat_result, kept: keep.Kept | None) -> None:
        self._kept = kept
        self.path = path
        self.fd = fd
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        parts = []
        at = 0
        while more := os.pread(self.fd, _CHUNK, at):
            parts.append(more)
            at += len(more)
        return b"".join(parts)

    def stamp(self, when: float) -> None:
        """Make it due at `when`, epoch seconds. Raises OSError."""
        os.utime(self.fd, (when, when))

    def close(self) -> None:
        """Give it up, as it is now."""
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
            if self._kept is not None:
                keep.let_go(*self._kept)

    def __enter__(self) -> Grip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def grip(path: str) -> Grip | str:
    """Lock a task's file, or say in one word why it cannot be had: LOCKED, GONE or UNREADABLE (see claim.py).

    Raises UsageError without POSIX, where a file that is open cannot be moved.
    """
    if not system.POSIX:
        raise UsageError(system.NEEDED.format(command="this command"))
    try:
        fd = os.open(path, OPEN)
    except FileNotFoundError:
        return GONE
    except OSError:
        return UNREADABLE
    why = LOCKED
    try:
        if try_lock(fd):
            status = os.fstat(fd)
            named = os.stat(path, follow_symlinks=False)
            if not S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) != (named.st_dev, named.st_ino):
                why = GONE
            elif lock.OFD_SETLK is not None:
                why = ""
                return Grip(path, fd, status, None)
            elif (kept := keep.of_path(path, status.st_ino)) is None or keep.hold(*kept):
                why = ""
                return Grip(path, fd, status, kept)
    except FileNotFoundError:
        why = GONE
    except OSError:
        why = UNREADABLE
    finally:
        if why:
            close(fd)
    return why


def move(task: Grip, target: str, mtime_ns: int | None = None, data: bytes | None = None) -> None:
    """Move a task to the absolute path `target`, on the same file system; the grip is closed.

    mtime_ns: its new mtime in nanoseconds since 1970; by default it keeps its own. data: other bytes for it, which
    it may also get under the name that it has.
    Raises FileExistsError when something else has that name, OSError with errno EXDEV for another file system, and
    other OSErrors; the task is then where it was.
    """
    with task:
        home = os.path.dirname(target)
        if target != task.path and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        if os.stat(home).st_dev != os.fstat(task.fd).st_dev:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        copy = _copied(task, home, os.path.basename(target), data, mtime_ns)
        try:
            if target != task.path:
                os.rename(task.path, target)
        except BaseException:
            os.unlink(copy)
            raise
        os.rename(copy, target)
        os.ftruncate(task.fd, 0)


def copy_to(task: Grip, target: str) -> None:
    """Write a copy of a task to `target`, whole at once, on whatever file system; the task stays as it is.

    Raises FileExistsError, OSError.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    copy = _copied(task, os.path.dirname(target), os.path.basename(target), None, None)
    try:
        os.rename(copy, target)
    except BaseException:
        os.unlink(copy)
        raise


def drop(task: Grip) -> None:
    """Remove a task for good: unlinked, emptied, closed. Raises OSError."""
    with task:
        os.unlink(task.path)
        os.ftruncate(task.fd, 0)


def _copied(task: Grip, home: str, name: str, data: bytes | None, mtime_ns: int | None) -> str:
    """A temporary file in `home` with a task's bytes, or others, and its time; returns its path."""
    path = f"{home}/.{name}.{os.getpid()}.{next(_counter)}"
    fd = os.open(path, _CREATE, 0o600)
    try:
        try:
            if data is None:
                at = 0
                while more := os.pread(task.fd, _CHUNK, at):
                    _write(fd, more)
                    at += len(more)
            else:
                _write(fd, data)
            stamp = task.mtime_ns if mtime_ns is None else mtime_ns
            os.utime(fd, ns=(stamp, stamp))
            status = os.fstat(task.fd)
            os.fchmod(fd, status.st_mode & 0o7777)
            if status.st_uid != system.getuid():
                os.fchown(fd, status.st_uid, status.st_gid)  # root looks after the tasks of others
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise
    return path


def _write(fd: int, data: bytes) -> None:
    """All of it; a full disk gives a short write first, and its error at the next."""
    left = memoryview(data)
    while left:
        count = os.write(fd, left)
        if not count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[count:]
