"""Where a master's scoreboard is: `.spoolsim/run/<pid>` of its first directory, locked for its life.

So other programs find it, and recognise one whose master is gone: nobody holds its lock.
"""

from __future__ import annotations

import os

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.lock import try_lock
from spoolsim.work import signalbox
from spoolsim.work.scoreboard import Scoreboard


def make(spool: SpoolDir | None, slots: int) -> tuple[Scoreboard, str, str]:
    """A new scoreboard with so many slots.

    Returns it, its path, and why it has none ('' when it has): no directory is served, or it cannot be written to.
    """
    if spool is None:
        return Scoreboard.create(None, slots), "", ""
    try:
        run = spool.make_corner("run")
        sweep(run)
        path = os.path.join(run, str(os.getpid()))
        board = Scoreboard.create(path, slots)
        try_lock(board.fd, record=True)  # not the kind that forked processes share
        return board, path, ""
    except OSError as error:
        why = f"no scoreboard in {spool.corner()}: {error.strerror}; other programs cannot see us"
        return Scoreboard.create(None, slots), "", why


def sweep(run: str) -> None:
    """Remove what masters that are gone left: scoreboards that nobody locks, FIFOs that nobody reads."""
    for name in os.listdir(run):
        path = os.path.join(run, name)
        if name.endswith(signalbox.SUFFIX) and not signalbox.is_read(path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass  # another one starts, and does the same
        if not name.isdigit():
            continue
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if try_lock(fd, record=True):
                os.unlink(path)
        finally:
            os.close(fd)
