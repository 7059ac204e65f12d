"""What `spool/lock.py` uses where there is no fcntl: this process remembers which files it holds.

Enough for the testing engine, which is one process; `spoolsim run` refuses to start without the real thing.
"""

from __future__ import annotations

import errno
import os

F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
LOCK_EX, LOCK_NB, LOCK_UN = 2, 4, 8

#: descriptor -> the file it held when the lock was taken
_held: dict[int, tuple[int, int]] = {}


def lockf(fd: int, operation: int) -> None:
    """Take or give up the lock on an open file. Raises BlockingIOError when another descriptor holds it.

    Closing the descriptor gives the lock up, as it does for a lock of the kernel.
    """
    if operation & LOCK_UN:
        _held.pop(fd, None)
        return
    wanted = _file(fd)
    for holder, file in list(_held.items()):
        if _file(holder) != file:
            del _held[holder]  # closed meanwhile
        elif file == wanted and holder != fd:
            raise BlockingIOError
    if wanted is not None:
        _held[fd] = wanted


def fcntl(fd: int, command: int, argument: bytes = b"") -> bytes:
    """The kernel's locks are not there to be asked. Raises OSError."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _file(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino
