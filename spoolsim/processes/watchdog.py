"""`run --inline --inline-harakiri`: a process beside the one that runs the tasks, which kills it at its deadline.

No thread and no signal could: a handler that is stuck in C lets neither run, and the process keeps its handlers.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import time

from spoolsim.errors import AppError
from spoolsim.work.scoreboard import SERIAL, WIDTH, deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from spoolsim.log import Log

_SECOND = 1_000_000_000
#: how often it is looked whether a deadline was set, in seconds: the shortest there is
_LOOK = 1.0
#: what a terminal sends to all who use it; the one that runs the tasks decides what it means
_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


class Watchdog:
    """Kills this process once a deadline in `words` has passed, until it is closed or this process is gone.

    words: those of a worker, shared with the process beside.
    Raises AppError when the system gives no process.
    """

    __slots__ = ("_lifeline", "words")

    def __init__(self, log: Log) -> None:
        self.words = memoryview(mmap.mmap(-1, 8 * WIDTH)).cast("Q")
        victim = os.getpid()
        lifeline, self._lifeline = os.pipe()
        try:
            child = os.fork()
        except OSError as error:
            raise AppError(f"--inline-harakiri: no process for it: {error.strerror}") from None
        if not child:
            try:
                os.close(self._lifeline)
                if not os.fork():  # nobody's child: a handler that waits for its own children never meets it
                    _watch(victim, self.words, lifeline, log)
            finally:
                os._exit(0)
        os.close(lifeline)
        os.waitpid(child, 0)

    def close(self) -> None:
        """Nothing strikes any more."""
        os.write(self._lifeline, b".")  # its end alone tells nothing while a child of a handler has it, too
        os.close(self._lifeline)


def _watch(victim: int, words: memoryview, lifeline: int, log: Log) -> NoReturn:
    for number in _TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    step = _LOOK
    while not select.select((lifeline,), (), (), step)[0] and _lives(victim):
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        at = deadline(words)
        if not at or words[SERIAL] % 2:
            step = _LOOK if not at else 0.0
        elif now < at:
            step = min(_LOOK, (at - now) / _SECOND)
        else:
            # not stopped first, as a spooler is: the shell that waits for this one would take its terminal back
            log.line(f"*** HARAKIRI ON THE SPOOLER (pid: {victim}) ***")
            os.kill(victim, signal.SIGKILL)
            break
    os._exit(0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
