"""What a worker shows of itself in its slot of the scoreboard: the running task, since when, and until when at most."""

from __future__ import annotations

import os
import time
from struct import Struct

from spoolsim import system
from spoolsim.work.scoreboard import (
    BUSY,
    HARAKIRI,
    IDLE,
    LEAVE,
    SCANNING,
    SERIAL,
    STARTED,
    STATE,
    TASK,
    USER,
    WIDTH,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.work.app import App

_SECOND = 1_000_000_000
#: after so many nanoseconds it is checked whether the parent lives: a system call for each task would be too many
_POLL_PARENT = 1_000_000
_NEVER = 1 << 63
#: a task's path that is longer than the kernel takes one is cut, bytes; nearly all are short
_LONGEST, _SHORT = TASK - 2, 254
_pack_short = Struct(f"<H{_SHORT}s").pack_into
_pack_size = Struct("<H").pack_into
_clock, _MONOTONIC = system.clock_gettime_ns, system.CLOCK_MONOTONIC


class Status:
    """One slot, which this worker alone writes to.

    words: of the slot; its own memory without. place: where the running task's name goes, if anywhere.
    """

    __slots__ = ("_began", "_harakiri", "_parent", "_poll_at", "_serial", "app", "place", "words")

    def __init__(self, app: App, words: memoryview | None = None, place: memoryview | None = None) -> None:
        self.words = memoryview(bytearray(8 * WIDTH)).cast("Q") if words is None else words
        self.place = place
        self.app = app
        self._harakiri = app.options.harakiri
        #: the number of the running task, twice
        self._serial = 0
        self._began = 0
        self._parent = 0
        #: when it is to be checked whether the parent lives, monotonic nanoseconds
        self._poll_at = _NEVER
        app.harakiri_word = self.arm_user

    def begin(self, task: bytes) -> None:
        """A task begins, by its path below the spool directory."""
        place = self.place
        if place is not None:
            size = len(task)
            if size <= _SHORT:
                _pack_short(place, 0, size, task)
            else:
                task = task[:_LONGEST]
                place[2 : len(task) + 2] = task
                _pack_size(place, 0, len(task))
        words = self.words
        self._serial = serial = self._serial + 2
        words[SERIAL] = serial - 1
        words[STATE] = BUSY
        self._began = began = _clock(_MONOTONIC)
        words[STARTED] = began
        if self._harakiri:
            words[HARAKIRI] = self._deadline(self._harakiri, began)
        words[SERIAL] = serial

    def end(self) -> int:
        """The handler has returned, and the scan goes on; returns how many nanoseconds it took.

        Until whoever settles the task clears STARTED, a death of this process is still the task's.
        """
        now = _clock(_MONOTONIC)
        words = self.words
        if self._harakiri:
            words[HARAKIRI] = 0
        words[STATE] = SCANNING
        if words[USER]:
            self.app.notes.give("user-harakiri-armed")
        if now > self._poll_at:
            self._poll_parent(now)
        return now - self._began

    def _poll_parent(self, now: int) -> None:
        """Tell ourselves to leave when the process whose child we are is gone."""
        self._poll_at = now + _POLL_PARENT
        if os.getppid() != self._parent:
            self.words[LEAVE] = 1

    def follow(self, parent: int) -> None:
        """When this process, whose child we are, is gone, we finish the task we hold, not the scan."""
        self._parent = parent
        self._poll_at = 0

    def guard(self, call: Callable[[], None]) -> None:
        """Run something that is not a task, a signal handler, under the same harakiri."""
        self.begin(b"")  # the task before is not what kills us here
        try:
            call()
        finally:
            self.end()
            self.words[STARTED] = 0
            self.words[STATE] = IDLE

    def arm_user(self, seconds: int) -> None:
        """uwsgi.set_user_harakiri(): 0 disarms."""
        now = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
        self.words[USER] = self._deadline(seconds, now) if seconds > 0 else 0

    def _deadline(self, seconds: int, now: int) -> int:
        """When a harakiri of so many seconds strikes, in monotonic nanoseconds.

        uWSGI compares whole seconds of the clock and kills when they are more than `seconds` apart.
        """
        if not self.app.policy.harakiri_at_deadline:
            return now + int((seconds + 1 - time.time() % 1) * _SECOND)
        return now + seconds * _SECOND
