"""Files that are mapped and shared between processes, without a name that anybody could open."""

from __future__ import annotations

import os


def create(size: int) -> int:
    """The descriptor of a file of `size` zero bytes, which goes with the last process that has it open.

    It is in memory, where the system has that. Raises OSError when there is no room for it.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("scoreboard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        import tempfile

        fd, name = tempfile.mkstemp()
        os.unlink(name)
    try:
        fill(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def fill(fd: int, size: int) -> None:
    """Zeros, really written: where a full disk has left a hole, the first word stored in the map would be a SIGBUS."""
    while size:
        size -= os.write(fd, bytes(size))
