"""A lifeline that also holds who does not look at it: while user code is imported, its end kills."""

from __future__ import annotations

import fcntl
import os
import select
import signal


class DieWithParent:
    """Within it, this process is killed when the other end of `fd` is closed, whatever it is doing just then.

    fd: a pipe or socket in which nothing arrives meanwhile.
    """

    __slots__ = ("_fd", "_flags")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._flags = -1

    def __enter__(self) -> None:
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # whose default action is the end, also of code that is stuck in C
        try:
            flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
            fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags | os.O_ASYNC)
        except OSError:
            return  # a system that does not tell of this kind of descriptor: the end is seen after the import
        self._flags = flags
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if poll.poll(0):  # it was closed before we could be told
            os._exit(1)

    def __exit__(self, *exception: object) -> None:
        if self._flags >= 0:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)
