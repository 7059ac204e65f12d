"""What may befall a process between two of its steps, other than death: a call that fails, a file that is meddled with.

Each is drawn by a seed and called while the process stands still at the entry of a system call.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from spoolsim.spool import file
from spoolsim.spool.names import PREFIX
from tests.faults import ptrace
from tests.oracle.packets import packet

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)
#: the number of the task that is laid in the place of another
NEWCOMER = b"9"


class Refusal:
    """The disk, or the system, refuses the call with one of ERRORS: so many seeds in a row have each of them once."""

    def __init__(self, seed: int) -> None:
        self.error = ERRORS[seed % len(ERRORS)]

    def __call__(self, pid: int, number: int) -> None:
        ptrace.refuse(pid, self.error)

    def __str__(self) -> str:
        return errno.errorcode[self.error]


class Race:
    """Somebody is at one of the task files."""

    def __init__(self, draw: random.Random, spool: Path) -> None:
        self._draw = draw
        self._spool = spool
        self._what: Callable[[Path], None] = draw.choice(
            (_unlink, _rename, _empty, _cut, _replace, _link, _hard_link, _pipe, _directory, _bare)
        )
        self._number = b""
        self.happened = False
        #: another task was laid in the place of one, and can be run
        self.replaced = False

    def __call__(self, pid: int, number: int) -> None:
        tasks = sorted(path for path in self._spool.rglob(f"{PREFIX}*") if ".spoolsim" not in path.parts)
        if not tasks:
            return
        target = self._draw.choice(tasks)
        self.happened = True
        self._number = target.read_bytes().partition(b"number")[2][2:3]
        self._what(target)
        # between the last look at a name and its unlinking nothing can be done: no call goes by inode
        self.replaced = self._what is _replace and number not in ptrace.TAKING

    def touched(self, number: bytes) -> bool:
        """Was it this task, about which nothing can be said any more?"""
        return self.happened and (number == self._number or self._what is _bare)

    def __str__(self) -> str:
        return self._what.__name__.strip("_")


def _unlink(path: Path) -> None:
    path.unlink()


def _rename(path: Path) -> None:
    path.rename(path.with_name(file.next_name()))


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _cut(path: Path) -> None:
    os.truncate(path, 7)


def _replace(path: Path) -> None:
    other = path.with_name(".other")
    other.write_bytes(packet({b"number": NEWCOMER}))
    other.rename(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _hard_link(path: Path) -> None:
    path.with_name(file.next_name()).hardlink_to(path)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _bare(path: Path) -> None:
    """The whole spool directory is emptied, as by `rm -r spool/*`."""
    for each in path.parent.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()
