"""Where a program that no master has forked puts a uwsgi signal: a FIFO beside the scoreboard of the run.

In uWSGI a web worker inherits a pipe to the master. A web server under `dev` or `exec` inherits nothing, so it finds
`.spoolsim/run/<pid of the master>.signals`, one byte for a signal. The master alone reads it, and routes.
"""

from __future__ import annotations

import errno
import os
import stat

from spoolsim import system

SUFFIX = ".signals"


def make(board_path: str) -> int:
    """Make the FIFO beside a scoreboard; returns a descriptor to read from. Raises OSError."""
    path = board_path + SUFFIX
    new = f"{path}-new"  # under its own name it always has a reader, else others would take it for a dead one
    if os.path.lexists(new):
        os.unlink(new)
    os.mkfifo(new, 0o600)
    # for both, as with a reader alone the FIFO would be at its end whenever no program has it open
    fd = os.open(new, os.O_RDWR | system.O_NONBLOCK | system.O_CLOEXEC | system.O_NOFOLLOW)
    os.rename(new, path)
    return fd


def put(board_path: str, number: int) -> bool:
    """Put a signal in. False when nobody reads there. Raises BlockingIOError when it is full."""
    fd = _writer(board_path + SUFFIX)
    if fd < 0:
        return False
    try:
        os.write(fd, bytes((number,)))
    finally:
        os.close(fd)
    return True


def find(run: str) -> str:
    """The scoreboard's path of a master in a directory `.spoolsim/run` that reads signals; '' for none."""
    try:
        names = sorted(os.listdir(run))
    except OSError:
        return ""
    for name in names:
        path = os.path.join(run, name)
        if name.endswith(SUFFIX) and is_read(path):
            return path.removesuffix(SUFFIX)
    return ""


def is_read(path: str) -> bool:
    """Is there a master behind a FIFO?"""
    fd = _writer(path)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _writer(path: str) -> int:
    """The writing end of a FIFO; -1 when there is none, or nobody reads it."""
    try:
        fd = os.open(path, os.O_WRONLY | system.O_NONBLOCK | system.O_CLOEXEC | system.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            return -1
        raise
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd
