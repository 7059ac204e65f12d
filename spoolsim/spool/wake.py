"""Waking an idle worker: the kernel's watch on the directory, and the wake-up file.

An event is only a hint that something may have changed; the directory is the truth, and the poll finds what no
event told. The put itself is the event, free for the producer. The wake-up file, in the state directory and written
with one call, covers what the watch does not see: priority sub-directories, and everything under --faithful, where a
file dropped by hand must wait for the poll.
"""

from __future__ import annotations

import os
import select
import sys

from spoolsim import system
from spoolsim.spool.regular import open_regular

if sys.platform == "linux":
    from spoolsim.spool import inotify  # here, so that a fork server has it for all its spoolers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.spool.directory import SpoolDir

#: the name of the wake-up file in the state directory
WAKE_FILE = "wake"
#: bytes of events that are read at once; and so few that the last one is worth a try before the scan: the largest event
_EVENTS, _FEW = 65536, 272
_NOTIFY = os.O_WRONLY | system.O_NONBLOCK | system.O_CLOEXEC | system.O_NOFOLLOW


def notify(spool: SpoolDir) -> None:
    """Write to the wake-up file of a directory, if a worker watches one."""
    try:
        fd = os.open(spool.state_dir(WAKE_FILE), _NOTIFY)
    except OSError:
        return  # nobody listens
    try:
        os.write(fd, b"!")
    except OSError:
        pass  # a hint lost costs one poll
    finally:
        os.close(fd)


class Watch:
    """A worker's own watch on one directory.

    fd: readable when something happened; -1 when the kernel gives no watch and polling must do.
    why: the reason for that, in words; '' when there is a watch.
    newest: the name that the last event was of, where they were few: likely a waiting task; '' for not known.
    """

    __slots__ = ("_identity", "_kept", "_kernel", "_lost", "_path", "fd", "newest", "why")

    def __init__(self, spool: SpoolDir, *, wake_file_only: bool = False) -> None:
        self.fd = -1
        self.why = self.newest = ""
        self._kernel: Any = None
        #: what a kqueue watches, each by a descriptor that stays open as long as the watch
        self._kept: list[int] = []
        #: there is no whole watch, or the kernel has ended it: a directory made again may get the number of the old one
        self._lost = False
        self._path = spool.path
        self._identity = _identity(spool.path)
        try:
            wake_file = _make_wake_file(spool)
        except OSError as error:
            self.why = f"no wake-up file in {spool.state_dir()}: {error.strerror}"
            wake_file = ""
        try:
            self._watch(wake_file if wake_file_only else spool.path, wake_file)
        except FileNotFoundError:
            self._lost = True  # it is being removed: no event may come of it, as somebody's working directory it stays
        except OSError as error:
            self.why = f"no file events for {spool.path}: {error.strerror}"

    def _watch(self, path: str, wake_file: str) -> None:
        # Never OPEN, CLOSE or MODIFY of the spool directory: a claim opens read-write, so its own close would wake us.
        if sys.platform == "linux":
            self.fd = inotify.open()
            if path != wake_file:
                inotify.add(self.fd, path, inotify.CREATE | inotify.MOVED_TO | inotify.ONLYDIR)
            if wake_file:
                inotify.add(self.fd, wake_file, inotify.MODIFY)
        elif hasattr(select, "kqueue"):
            self._kernel, self.fd = _kqueue([path, wake_file] if wake_file else [path], self._kept)
        else:
            self.why = "no file events on this system"

    def moved(self) -> bool:
        """Was the directory removed since the watch began, whether it was made again or not yet?"""
        return self._lost or _identity(self._path) != self._identity

    def drain(self) -> bool:
        """Take what has happened; True if anything had."""
        self.newest = ""
        if self._kernel is not None:
            found = self._kernel.control(None, 64, 0)
            self._lost |= any(event.fflags & _kqueue_gone() for event in found)
            return bool(found)
        if self.fd < 0:
            return False
        try:
            events = os.read(self.fd, _EVENTS)
        except BlockingIOError:
            return False
        few = len(events) <= _FEW
        while True:
            lost, newest = inotify.told(events)
            self._lost |= lost
            if len(events) < _EVENTS - _FEW:  # that was all: asking again would cost a wake-up more than it tells
                self.newest = newest if few else ""
                return True
            try:
                events = os.read(self.fd, _EVENTS)
            except BlockingIOError:
                return True

    def close(self) -> None:
        """Give the watch back to the kernel."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
            while self._kept:
                os.close(self._kept.pop())
        elif self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _kqueue_gone() -> int:
    events: Any = select
    return int(events.KQ_NOTE_DELETE | events.KQ_NOTE_RENAME)


def _kqueue(paths: list[str], kept: list[int]) -> tuple[Any, int]:
    # BSD and macOS; the type checker sees the system it runs on
    events: Any = select
    kernel = events.kqueue()
    for path in paths:
        fd = os.open(path, os.O_RDONLY | system.O_CLOEXEC)  # the watch lives as long as it does
        kept.append(fd)
        kernel.control(
            [
                events.kevent(
                    fd,
                    events.KQ_FILTER_VNODE,
                    events.KQ_EV_ADD | events.KQ_EV_CLEAR,
                    events.KQ_NOTE_WRITE | _kqueue_gone(),
                )
            ],
            0,
        )
    return kernel, kernel.fileno()


def _make_wake_file(spool: SpoolDir) -> str:
    spool.make_state_dir()
    path = spool.state_dir(WAKE_FILE)
    os.close(open_regular(path, os.O_WRONLY | os.O_CREAT))
    return path
