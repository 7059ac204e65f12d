"""Keeping a claim (invariant I3) where the system has record locks alone.

A process loses its record lock on a task as soon as anything in it, a handler say, opens and closes the task's file;
and such a lock does not keep one part of a process from another. So a claim there is three things: the record lock,
which uWSGI and producers see; the lock on one byte of `.spoolsim/held`, the byte whose offset is the task's inode,
which every process of ours sees, which nobody else opens, and which ends with the process; and this process's memory.
"""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.spool import lock
from spoolsim.spool.directory import CORNER, SpoolDir
from spoolsim.spool.names import is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    Kept = tuple[SpoolDir, int]

HELD = "held"
_OPEN = os.O_RDWR | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW
#: inodes have 64 bits, offsets 63
_OFFSETS = (1 << 62) - 1

#: the inodes of the tasks that this process holds, by the path of their spool directory
_mine: dict[str, set[int]] = {}
#: the open file of each, and which one it is. It stays open: closing it would give all its locks up
_files: dict[str, tuple[int, tuple[int, int]]] = {}


def of_path(path: str, inode: int) -> Kept | None:
    """What hold() takes for a task's path; None for a file that is in no spool directory of ours."""
    home = os.path.dirname(path)
    while is_number(os.path.basename(home)) and not os.path.isdir(os.path.join(home, CORNER)):
        home = os.path.dirname(home)
    return (SpoolDir(home), inode) if os.path.isdir(os.path.join(home, CORNER)) else None


def hold(spool: SpoolDir, inode: int) -> bool:
    """Keep a task whose record lock we have; False when it is another one's.

    Where `.spoolsim` cannot be written to, only this process's memory is asked.
    """
    mine = _mine.setdefault(spool.path, set())
    if inode in mine:
        return False
    if lock.SHARED:
        try:
            if not lock.byte(_file(spool), inode & _OFFSETS, take=True):
                return False
        except OSError:
            pass
    mine.add(inode)
    return True


def let_go(spool: SpoolDir, inode: int) -> None:
    """The task is settled."""
    mine = _mine.get(spool.path)
    if mine is None or inode not in mine:
        return
    mine.discard(inode)
    if spool.path in _files:
        try:
            lock.byte(_files[spool.path][0], inode & _OFFSETS, take=False)
        except OSError:
            pass


def let_all_go() -> None:
    """Give up whatever this process holds."""
    for path, mine in _mine.items():
        for inode in list(mine):
            let_go(SpoolDir(path), inode)


def _file(spool: SpoolDir) -> int:
    """The descriptor of `.spoolsim/held`, opened anew when the directory was removed and made again."""
    path = spool.state_dir(HELD)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        spool.make_state_dir()
        there = None
    known = _files.get(spool.path)
    if known is not None:
        if there is not None and known[1] == (there.st_dev, there.st_ino):
            return known[0]
        os.close(known[0])
        del _files[spool.path]
    fd = os.open(path, _OPEN, 0o600)
    status = os.fstat(fd)
    _files[spool.path] = fd, (status.st_dev, status.st_ino)
    return fd


def _forget() -> None:
    """A fork holds none of its parent's locks."""
    _mine.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - where processes fork
    os.register_at_fork(after_in_child=_forget)
