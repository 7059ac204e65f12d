"""An idle spooler's wait: for a task, a uwsgi signal, the end of its parent, or the poll."""

from __future__ import annotations

import os
import select
import time

from spoolsim import system
from spoolsim.spool.wake import Watch
from spoolsim.work import handlers
from spoolsim.work.scoreboard import FREQUENCY
from spoolsim.work.signals import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.work.app import App

#: what ended a wait
POLL, TASK, SIGNAL, LIFELINE, LOOK, WOKEN = "poll", "task", "signal", "lifeline", "look", "woken"

#: a new file that was met empty or locked is looked at again after these times, in seconds, then left to the poll
LOOKS = (0.0003, 0.001, 0.004, 0.020, 0.100)
#: the least pause between two polls, in seconds, where uWSGI would have none
_LEAST = 0.1
#: where no descriptor can end a wait, seconds between two looks at what could
_STEP = 0.1


class Wait:
    """What one process waits on.

    spools: the directories it serves (one for a worker, all of them inline).
    lifeline: a descriptor that becomes readable when the parent is gone, or wants us to leave; -1 for none.
    """

    __slots__ = ("_app", "_lifeline", "_looks", "_poll", "_signals", "_wakeup", "_wakeup_writer", "watches")

    def __init__(self, app: App, spools: Sequence[SpoolDir], *, lifeline: int = -1) -> None:
        self._app = app
        self._lifeline = lifeline
        self._looks = 0
        self.watches: list[Watch] = []
        self._signals = self._wakeup = self._wakeup_writer = -1
        if not system.POSIX:
            app.log.say(f"no file events on this system: new tasks are found by polling, every {self.frequency():g} s")
            return
        self._poll = select.poll()
        for spool in spools:
            watch = Watch(spool, wake_file_only=not app.policy.watches_directory)
            if watch.why and app.policy.explains and app.said.first("polling", watch.why):
                app.log.say(f"{watch.why}: new tasks are found by polling, every {self.frequency():g} s")
            if watch.fd >= 0:
                self._poll.register(watch.fd, select.POLLIN)
            self.watches.append(watch)
        if lifeline >= 0:
            self._poll.register(lifeline, select.POLLIN | select.POLLHUP)
        pipe = app.signals.spoolers
        self._signals = -1 if pipe is None else pipe.reader
        if self._signals >= 0:
            self._poll.register(self._signals, select.POLLIN)
        self._wakeup, self._wakeup_writer = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_writer, False)
        self._poll.register(self._wakeup, select.POLLIN)

    def listen(self, fd: int) -> None:
        """Wait for uwsgi signals on this descriptor too."""
        self._signals = fd
        self._poll.register(fd, select.POLLIN)

    def also(self, fd: int) -> None:
        """End a wait when this descriptor is readable, too."""
        self._poll.register(fd, select.POLLIN)

    def no_more(self, fd: int) -> None:
        """The opposite of `also`."""
        self._poll.unregister(fd)

    def frequency(self) -> float:
        """Seconds between two polls: what set_spooler_frequency said, else the option."""
        app = self._app
        now = app.set_frequency if app.board is None else app.board.words[FREQUENCY]
        seconds = now or app.options.frequency
        if seconds <= 0 and app.policy.pauses_between_polls:
            app.notes.give("frequency-zero")
            return _LEAST
        return seconds

    def wakeup(self) -> None:
        """Signals that arrive from now on end a wait; a task may have changed this, as asyncio does."""
        if self._wakeup_writer < 0:
            return
        handlers.wake(self._wakeup_writer)

    def moved(self) -> bool:
        """Is one of the directories another one than when the watch began?"""
        return any(watch.moved() for watch in self.watches)

    def pending(self) -> bool:
        """Take what has happened to the directories so far; True if anything had."""
        happened = False
        for watch in self.watches:
            happened |= watch.drain()
        return happened

    def wait(self, *, unfinished: bool = False, limit: float | None = None) -> str:
        """Wait for something to happen, or for the next poll; returns which.

        unfinished: the last scan met a file that may be in the making: look again soon.
        limit: seconds to wait at most, shorter than the poll.
        """
        timeout = self.frequency()
        by_time = POLL
        if unfinished and self._looks < len(LOOKS) and LOOKS[self._looks] < timeout:
            timeout = LOOKS[self._looks]
            self._looks += 1
            by_time = LOOK
        if limit is not None and limit < timeout:
            timeout, by_time = limit, WOKEN
        if not system.POSIX:
            return self._sleep(timeout, by_time)
        self.wakeup()
        end = system.clock_gettime(system.CLOCK_MONOTONIC) + timeout
        while True:
            left = end - system.clock_gettime(system.CLOCK_MONOTONIC)
            ready = self._poll.poll(max(left * 1000, 0))
            if not ready:
                if left > 0:
                    continue  # the kernel's milliseconds were a little short
                return by_time
            if any(event & select.POLLNVAL for _, event in ready):
                self._app.log.say("a task closed descriptors that are the spooler's own: it cannot wait", error=True)
                return LIFELINE
            descriptors = {fd for fd, _ in ready}
            if self._lifeline in descriptors:
                return LIFELINE
            if self._wakeup in descriptors:
                os.read(self._wakeup, 4096)
                return WOKEN
            if self._signals in descriptors:
                return SIGNAL
            self.pending()
            self._looks = 0
            return TASK

    def _sleep(self, seconds: float, by_time: str) -> str:
        """The wait of a process that no descriptor can wake; Ctrl-C ends it."""
        end = system.clock_gettime(system.CLOCK_MONOTONIC) + seconds
        while (left := end - system.clock_gettime(system.CLOCK_MONOTONIC)) > 0:
            pipe = self._app.signals.spoolers
            if isinstance(pipe, Queue) and len(pipe):
                return SIGNAL
            time.sleep(min(left, _STEP))
        return by_time

    def close(self) -> None:
        """Give all descriptors back."""
        if self._wakeup < 0:
            return
        handlers.wake(-1)
        for watch in self.watches:
            watch.close()
        os.close(self._wakeup)
        os.close(self._wakeup_writer)
