"""The lock that keeps a task to one process.

uWSGI takes a POSIX record lock on the whole file. An open file description lock conflicts with it both ways and
cannot be lost by opening and closing the file, so that is what we take where the system has it; under --faithful,
and elsewhere, it is the record lock itself.
"""

from __future__ import annotations

import os
import sys
from struct import pack, unpack_from

try:
    import fcntl
except ImportError:  # no POSIX: one process alone, which remembers what it holds (the testing engine)
    from spoolsim.spool import held_here as fcntl  # type: ignore[no-redef]  # its stand-in

#: struct flock of 64-bit Linux: l_type, l_whence, padding, l_start, l_len, l_pid
EXCLUSIVE = pack("hh4xqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_READ = pack("hh4xqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
_UNLOCK = pack("hh4xqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)
_has_ofd = sys.maxsize > 2**32  # the layout above is that of 64-bit systems
OFD_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None) if _has_ofd else None
_OFD_SETLKW: int | None = getattr(fcntl, "F_OFD_SETLKW", None) if _has_ofd else None
#: fcntl(2)
call = fcntl.fcntl
_close = os.close


def try_lock(fd: int, *, record: bool = False) -> bool:
    """Take the exclusive lock on a descriptor open for writing, without waiting; False when somebody has it.

    record: take the POSIX record lock, as uWSGI does.
    """
    try:
        if record or OFD_SETLK is None:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            call(fd, OFD_SETLK, EXCLUSIVE)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as POSIX leaves open
        return False
    return True


def lock(fd: int) -> None:
    """Take the exclusive lock on a new file, waiting for a spooler that looks at it just now."""
    if _OFD_SETLKW is None:
        fcntl.lockf(fd, fcntl.LOCK_EX)
    else:
        call(fd, _OFD_SETLKW, EXCLUSIVE)


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
    """Does somebody hold the exclusive lock? Asked without taking it; always False where that cannot be asked."""
    if OFD_SETLK is None:
        return False
    found: bytes = call(fd, fcntl.F_GETLK, _READ)
    kind: int = unpack_from("h", found)[0]
    return kind != fcntl.F_UNLCK
