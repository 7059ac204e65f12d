"""What is in a spool directory, for people: every task, its state, and why it is not running.

Looking changes nothing: no lock is taken, nothing is written.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from spoolsim import system
from spoolsim.printable import counted
from spoolsim.spool import names
from spoolsim.spool.lock import held
from spoolsim.spool.packet import HEADER
from spoolsim.spool.scan import DEPTH, TOO_DEEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.spool.directory import SpoolDir

WAITING, FUTURE, CLAIMED, UNFINISHED, UNREACHED = "waiting", "future", "claimed", "unfinished", "unreached"


class Found:
    """One task.

    path: absolute. state: one of the words above. mtime: epoch seconds. size: bytes. why: in words. inode: of its file,
    0 where that could not be opened.
    """

    __slots__ = ("inode", "mtime", "path", "size", "state", "why")

    def __init__(self, path: str, state: str, mtime: float, size: int, why: str = "", inode: int = 0) -> None:
        self.path = path
        self.state = state
        self.mtime = mtime
        self.size = size
        self.why = why
        self.inode = inode


def look(spool: SpoolDir, *, ordered: bool, now: float) -> Iterator[Found]:
    """Every task of a directory at `now` (epoch seconds), those in priority directories behind their level's.

    A task that uWSGI never looks at is UNREACHED; so is, in place of its tasks, a directory that cannot be read, or one
    that is too deep.
    """
    yield from _level(spool.path, ordered, now, "")


def _level(
    path: str, ordered: bool, now: float, unreached: str, depth: int = 0, entered: float = 0.0
) -> Iterator[Found]:
    """The tasks of one directory, and of those in it. entered: epoch seconds from which on spoolers enter it."""
    try:
        below, found = _names(path)
        if depth:
            entered = max(entered, os.stat(path).st_mtime)
    except OSError as error:
        if depth and isinstance(error, FileNotFoundError | NotADirectoryError):
            return  # it has gone since its level was read
        yield Found(path, UNREACHED, 0, 0, f"the directory cannot be read: {error.strerror}")
        return
    for name in found:
        if names.counts(name, True) and (task := _task(f"{path}/{name}", name, ordered, now, unreached)):
            if task.state == WAITING and not names.due(entered, now):
                task.state, task.mtime = FUTURE, entered
                task.why = "the time of its priority directory is in the future"
            yield task
    for name in below:
        if name.startswith("."):
            continue
        if not names.counts(name, True):
            yield from _stray(f"{path}/{name}", ordered, now)
            continue
        why = unreached
        if not ordered:
            why = "uWSGI never enters priority directories unless spooler-ordered is set"
        if depth == DEPTH:
            yield Found(f"{path}/{name}", UNREACHED, 0, 0, TOO_DEEP)
        else:
            yield from _level(f"{path}/{name}", ordered, now, why, depth + 1, entered)


def _names(path: str) -> tuple[list[str], list[str]]:
    """What is in a directory, sorted: the directories, and all else."""
    with os.scandir(path) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    return [name for name, is_dir in found if is_dir], [name for name, is_dir in found if not is_dir]


def _stray(path: str, ordered: bool, now: float) -> Iterator[Found]:
    """The tasks of a directory that no spooler enters, such as the priority `high`; not what is below."""
    try:
        found = sorted(name for name in os.listdir(path) if name.startswith(names.PREFIX))
    except OSError:
        return  # a directory of somebody's own
    for name in found:
        why = "uWSGI never enters a priority directory whose name is not all digits"
        if task := _task(f"{path}/{name}", name, ordered, now, why):
            yield task


def _task(path: str, name: str, ordered: bool, now: float, unreached: str) -> Found | None:
    if not ordered and not name.startswith(names.PREFIX):
        unreached = unreached or "uWSGI runs a file whose name is a number only with spooler-ordered"
    try:
        fd = os.open(path, os.O_RDONLY | system.O_NOFOLLOW | system.O_NONBLOCK | system.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(path):
            return Found(path, UNREACHED, 0, 0, "a symbolic link, which uWSGI never runs")
        if not os.path.isfile(path):
            return None
        return Found(path, UNREACHED, 0, 0, f"cannot be opened: {error.strerror}")
    try:
        status = os.fstat(fd)
        if not S_ISREG(status.st_mode):
            return None
        found = Found(path, WAITING, status.st_mtime, status.st_size, inode=status.st_ino)
        if unreached:
            found.state, found.why = UNREACHED, unreached
        elif held(fd):
            found.state, found.why = CLAIMED, "locked: a spooler runs it, or a producer writes it"
        elif found.size < HEADER:
            found.state = UNFINISHED
            found.why = f"{counted(found.size, 'byte')}: being written, or its producer died"
        elif not names.due(found.mtime, now):
            found.state = FUTURE
        elif not os.access(path, os.W_OK):
            found.why = "a spooler must write to it, and this user may not"
        return found
    except OSError as error:  # a disk's error, or a time after 2038 where the C library has 32 bits for it
        return Found(path, UNREACHED, 0, 0, f"cannot be looked at: {error.strerror}")
    finally:
        os.close(fd)
