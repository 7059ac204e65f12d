"""The lock that keeps a task to one process.

uWSGI takes a POSIX record lock on the whole file. An open file description lock conflicts with it both ways and
cannot be lost by opening and closing the file, so that is what we take where the system has it. Under --faithful it is
the record lock itself; so it is where the system has nothing better, be it by its headers or because its kernel
refuses (gVisor). What that lock alone cannot do, `spool/keep.py` does then.
"""

from __future__ import annotations

import errno
import os
import sys
from struct import pack, unpack_from

try:
    import fcntl

    #: are there locks that other processes see?
    SHARED = True
except ImportError:  # no POSIX: one process alone, which remembers what it holds
    from spoolsim.spool import held_here as fcntl  # type: ignore[no-redef]  # its stand-in

    SHARED = False

#: those whose struct flock begins with l_start; Linux's begins with l_type
_BSD = ("darwin", "freebsd", "netbsd", "openbsd", "dragonfly")


def flock(kind: int, platform: str = sys.platform) -> bytes:
    """struct flock for a lock of this kind on a whole file, as this system's C compiler lays it out.

    b'' where the layout is not known. Python is built with 64-bit offsets, also on a 32-bit system.
    """
    if platform == "linux":
        return pack("hhqqi0q", kind, os.SEEK_SET, 0, 0, 0)
    if platform.startswith(_BSD):
        return pack("qqihh0q", 0, 0, 0, kind, os.SEEK_SET)
    return b""


#: where l_type is
_KIND = 20 if sys.platform.startswith(_BSD) else 0
EXCLUSIVE = flock(fcntl.F_WRLCK)
_READ = flock(fcntl.F_RDLCK)
_UNLOCK = flock(fcntl.F_UNLCK)
#: None where there are record locks alone; this can turn out at the first lock
OFD_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None) if EXCLUSIVE else None
_OFD_SETLKW: int | None = getattr(fcntl, "F_OFD_SETLKW", None) if EXCLUSIVE else None
#: what a kernel says that does not know a command of fcntl(2)
_UNKNOWN = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
#: fcntl(2)
call = fcntl.fcntl
_close = os.close


def try_lock(fd: int, *, record: bool = False) -> bool:
    """Take the exclusive lock on a descriptor open for writing, without waiting; False when somebody has it.

    record: take the POSIX record lock, as uWSGI does.
    """
    try:
        if not record and OFD_SETLK is not None:
            try:
                call(fd, OFD_SETLK, EXCLUSIVE)
                return True
            except OSError as error:
                _refused(error)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as POSIX leaves open
        return False
    return True


def lock(fd: int) -> None:
    """Take the exclusive lock on a new file, waiting for a spooler that looks at it just now."""
    if _OFD_SETLKW is not None:
        try:
            call(fd, _OFD_SETLKW, EXCLUSIVE)
            return
        except OSError as error:
            _refused(error)
    fcntl.lockf(fd, fcntl.LOCK_EX)


def _refused(error: OSError) -> None:
    """Record locks from now on, if the kernel knows no others; raises the error if that is not what it says."""
    global OFD_SETLK, _OFD_SETLKW
    if error.errno not in _UNKNOWN:
        raise error
    OFD_SETLK = _OFD_SETLKW = None


def unlock(fd: int, *, record: bool = False) -> None:
    """Give the lock up even if a forked child still holds the descriptor."""
    if record or OFD_SETLK is None:
        fcntl.lockf(fd, fcntl.LOCK_UN)
    else:
        call(fd, OFD_SETLK, _UNLOCK)


def close(fd: int) -> None:
    """Close, and so unlock, a descriptor through which nothing was written: its error would say nothing."""
    try:
        _close(fd)
    except OSError:
        pass


def held(fd: int) -> bool:
    """Does somebody hold the exclusive lock? Asked without taking it; False where that cannot be asked.

    Of record locks, only those of other processes can be asked for.
    """
    if not _READ or not SHARED:
        return False
    try:
        found: bytes = call(fd, fcntl.F_GETLK, _READ)
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise
    kind: int = unpack_from("h", found, _KIND)[0]
    return kind != fcntl.F_UNLCK


def byte(fd: int, number: int, *, take: bool) -> bool:
    """Take the record lock on one byte of a file, without waiting, or give it up; False when another process has it."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN, 1, number)
    except (BlockingIOError, PermissionError):
        return False
    return True
