"""Where a master's scoreboard is: `.spoolsim/run/<pid>` of its first directory, with a lock beside it for its life.

So other programs find it, and recognise one whose master is gone: nobody holds `<pid>.lock`. Two masters may have one
pid, as process 1 of two containers: the second takes the name `<pid>-2`.

The scoreboard itself is memory that nobody can cut, as a process that has a file mapped dies when another one cuts it;
its name is a link to it. Where the system has no such memory (it is Linux's) it is a file.
"""

from __future__ import annotations

import errno
import os

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.lock import try_lock
from spoolsim.spool.regular import open_regular
from spoolsim.work import signal_fifo
from spoolsim.work.scoreboard import Scoreboard

_LOCK = ".lock"
#: so many masters may have one pid
_MANY = 1000


class BoardFile:
    """A scoreboard and its place.

    board: the scoreboard. path: its name, '' when it has none. why: the reason for that, '' where there is none.
    """

    __slots__ = ("_lock", "board", "path", "why")

    def __init__(self, spool: SpoolDir | None, slots: int) -> None:
        """A new one with so many slots; spool: the directory whose state directory has it, None for no directory."""
        self.path = self.why = ""
        self._lock = -1
        board = None
        if spool is not None:
            try:
                board = self._make(spool.make_state_dir("run"), slots)
            except OSError as error:
                self._remove()
                self.why = f"no scoreboard in {spool.state_dir()}: {error.strerror}; other programs cannot see us"
        self.board = board or Scoreboard.create(None, slots)

    def _make(self, run: str, slots: int) -> Scoreboard:
        sweep(run)
        self.path, self._lock = _take_name(run)
        _unlink(self.path)
        if not _has_memory():
            return Scoreboard.create(self.path, slots)
        board = Scoreboard.create(None, slots)
        try:
            os.symlink(f"/proc/{os.readlink('/proc/self')}/fd/{board.fd}", self.path)
        except OSError:
            board.close()
            raise
        return board

    def close(self) -> None:
        """Give it back; nothing of it stays."""
        self._remove()
        self.board.close()

    def _remove(self) -> None:
        if self.path:
            _unlink(self.path)
            _unlink(self.path + _LOCK)
            self.path = ""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _has_memory() -> bool:
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


def _take_name(run: str) -> tuple[str, int]:
    """A name that no living master has, and the descriptor that locks it."""
    for number in range(1, _MANY):
        path = os.path.join(run, f"{os.getpid()}-{number}" if number > 1 else str(os.getpid()))
        try:
            fd = open_regular(path + _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue
        # not the kind of lock that forked processes share
        if try_lock(fd, record=True) and os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # another one that starts took it for a dead one's
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), run)


def sweep(run: str) -> None:
    """Remove what masters that are gone left: locks that nobody holds, scoreboards without, FIFOs that nobody reads."""
    names = sorted(os.listdir(run), key=lambda name: name.endswith(_LOCK))
    for name in names:
        path = os.path.join(run, name)
        if name.endswith(signal_fifo.SUFFIX):
            if not signal_fifo.is_read(path):
                _unlink(path)
        elif name.endswith(_LOCK):
            _remove_unheld(path, path.removesuffix(_LOCK), path)
        elif name.replace("-", "").isdigit() and not os.path.lexists(path + _LOCK):
            if os.path.islink(path):
                _unlink(path)
            else:
                _remove_unheld(path, path)


def _remove_unheld(held: str, *paths: str) -> None:
    """Remove files if nobody holds the lock of `held`. We hold it meanwhile: who starts may take the name otherwise."""
    try:
        fd = open_regular(held, os.O_RDWR)
    except OSError:
        return
    try:
        if try_lock(fd, record=True):
            for path in paths:
                _unlink(path)
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # another one starts, and does the same; or it is nothing of ours
