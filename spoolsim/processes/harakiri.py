"""Harakiri: when the time of a task is over, and how its process is held for a second look before it is killed."""

from __future__ import annotations

import os
import select
import time

from spoolsim.work.scoreboard import SERIAL, deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND = 1_000_000_000
#: how often a deadline that a task sets meanwhile is looked for, in seconds; uWSGI's master looks as often
POLL = 1.0
#: how long a stopped process may take to be seen stopped, in seconds
STOP_DEADLINE = 0.1


def is_over(words: memoryview) -> bool:
    """Has the deadline of what runs passed? words: of its process, on the scoreboard."""
    at = deadline(words)
    return bool(at) and time.clock_gettime_ns(time.CLOCK_MONOTONIC) >= at


def still_runs(words: memoryview) -> bool:
    """Of a process that is stopped: did it not begin something else just before?"""
    return words[SERIAL] % 2 == 0 and is_over(words)


def until_next(running: Iterable[memoryview], option: float) -> float:
    """Seconds until the next deadline passes, or a new one could have been set. option: the time that each task has."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    nearest = min((at for words in running if (at := deadline(words))), default=0)
    step = min(POLL, option) if option else POLL
    return min(step, max(nearest - now, 0) / _SECOND) if nearest else step


def wait_stopped(pid: int) -> int | None:
    """Wait until a child that was sent SIGSTOP has stopped; its wait status, if it has ended instead.

    Gives up after a tenth of a second. Raises ChildProcessError where somebody else has collected it.
    """
    end = time.clock_gettime(time.CLOCK_MONOTONIC) + STOP_DEADLINE
    pause = 0.0005
    while time.clock_gettime(time.CLOCK_MONOTONIC) < end:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found:
            return None if os.WIFSTOPPED(status) else status
        select.select((), (), (), pause)
        pause *= 2
    return None
