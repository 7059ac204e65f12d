"""Opening what should be a file of ours: nothing else that lies in its place can make us wait, or lead us elsewhere."""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

from spoolsim import system


def open_regular(path: str, flags: int, mode: int = 0o600) -> int:
    """A descriptor of a regular file: as os.open(), but never through a link, and never waiting for a FIFO's other end.

    Raises OSError, also for anything else than a regular file.
    """
    fd = os.open(path, flags | system.O_NONBLOCK | system.O_NOFOLLOW | system.O_CLOEXEC, mode)
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd


def read(path: str, offset: int = 0) -> bytes:
    """What is in a regular file, from an offset on. Raises OSError."""
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        file.seek(offset)
        return file.read()
