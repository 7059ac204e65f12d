"""Writing a spool file, so that no reader ever sees half a task.

A small task without `at` is written as uWSGI writes it: exclusive create, lock, one write, close. Anything larger,
or with an mtime to set, is written under a name with a dot and renamed when it is whole.
"""

from __future__ import annotations

import errno
import os
import time
from itertools import count
from random import getrandbits

from spoolsim import system
from spoolsim.spool.lock import lock
from spoolsim.spool.names import task_name

_CREATE = system.O_BINARY | os.O_CREAT | os.O_EXCL | os.O_WRONLY | system.O_CLOEXEC
#: up to here one write is one block of the file system: all or nothing
_AT_ONCE = 4096


_counter = count(1)
_host = system.nodename()
#: what all names of this process begin with
_beginning = ""


def next_name() -> str:
    """The name of this process's next spool file; the counter begins at 1."""
    now = time.time()
    sec = int(now)
    return f"{_beginning}{next(_counter)}_{getrandbits(31)}_{sec}_{int((now - sec) * 1_000_000)}"


def _begin() -> None:
    """Once for each process."""
    global _beginning
    _beginning = task_name(_host, os.getpid(), 0, 0, 0, 0).removesuffix("0_0_0_0")


_begin()
if hasattr(os, "register_at_fork"):  # pragma: no branch - where processes fork
    os.register_at_fork(after_in_child=_begin)


def write(directory: str, name: str, data: bytes, body: bytes = b"", stamp: float = 0, durable: bool = False) -> str:
    """Write one spool file of mode 0600, whatever the umask; returns its path.

    data: header and variables. body: what follows them.
    stamp: epoch seconds, the atime and mtime of the file; 0 for now, as the system's clock has it.
    durable: come back only when file and directory are on the disk; what this costs is up to the disk.

    Raises OSError; then nothing is left under the task's name.
    """
    path = f"{directory}/{name}"
    if stamp or len(data) + len(body) > _AT_ONCE:
        _fill(f"{directory}/.{name}", (data, body) if body else data, durable, path, stamp)
    else:
        _fill(path, data + body, durable)
    return path


def sync(directory: str) -> None:
    """A name in a directory lives through a power cut only when the directory is synced, too. Raises OSError."""
    if not system.POSIX:
        return  # a directory cannot be opened there; the file system's journal has the name
    fd = os.open(directory, os.O_RDONLY | system.O_DIRECTORY | system.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fill(path: str, data: bytes | tuple[bytes, bytes], durable: bool, rename_to: str = "", stamp: float = 0) -> None:
    fd = os.open(path, _CREATE, 0o600)
    try:
        lock(fd)
        if isinstance(data, bytes):
            size = len(data)
            written = os.write(fd, data)
        else:
            size = len(data[0]) + len(data[1])
            written = os.writev(fd, data) if system.POSIX else os.write(fd, b"".join(data))
        if written < size:
            _write_rest(fd, data if isinstance(data, bytes) else b"".join(data), written)
        if durable:
            os.fsync(fd)
        if rename_to:
            place: int | str = fd
            if not system.POSIX:  # an open file cannot be renamed there
                os.close(fd)
                fd, place = -1, path
            if stamp:
                os.utime(place, (stamp, stamp))
            os.rename(path, rename_to)
            path = rename_to
        if durable:
            sync(os.path.dirname(path))
    except BaseException:
        _abandon(fd, path)
        raise
    try:
        if fd >= 0:
            os.close(fd)
    except OSError:  # a network file system tells only now that it has no room
        _remove(path)
        raise


def _abandon(fd: int, path: str) -> None:
    """Remove half a task, while it is locked: nobody may run it. An open file (fd -1: closed) may have to go first."""
    try:
        if system.POSIX:
            _remove(path)
    finally:
        if fd >= 0:
            os.close(fd)
    if not system.POSIX:
        _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # interrupted when it had been renamed, or removed already


def _write_rest(fd: int, data: bytes, written: int) -> None:
    """Go on after a short write; a full disk gives one first, and its error only at the next."""
    left = memoryview(data)[written:]
    while left:
        count = os.write(fd, left)
        if not count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[count:]
