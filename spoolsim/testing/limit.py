"""A time limit for tasks that run inside a test: one that is stuck is interrupted, and the test told where.

A thread looks at the machine's clock, which no frozen time stops; it lives only while tasks run. Somebody who sits
at a debugger's prompt is given all the time they want.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_DEBUGGERS = ("bdb", "pdb", "cmd", "IPython", "ipdb", "pydevd", "_pydevd_bundle", "debugpy", "pudb")


class Interrupted(BaseException):
    """Raised inside a task that took too long, where SIGINT cannot be used."""


class Limit:
    """At most `seconds` for what happens inside the `with`.

    expired: the time is over; whoever loops looks at it between tasks.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._busy = False
        self._fired = False
        self._running = threading.Lock()  # held as long as tasks run
        self._lock = threading.Lock()
        self._target = threading.get_ident()
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Limit:
        self._running.acquire()
        _thread.start_new_thread(self._watch, ())  # its start is not waited for, nor its end: that takes milliseconds
        return self

    def __exit__(self, *error: object) -> None:
        self._running.release()

    def begin(self) -> None:
        """A task begins."""
        self._busy = True

    def end(self) -> bool:
        """A task has ended, by itself or not; True if it was interrupted."""
        try:
            with self._lock:
                self._busy = False
            for _ in range(1000 if self._fired else 0):
                pass  # let an interrupt that is on its way arrive here
        except (KeyboardInterrupt, Interrupted):
            if not self._fired:
                raise
        return self._fired

    def _watch(self) -> None:
        while not self._running.acquire(timeout=self.seconds):
            if _debugged(sys._current_frames().get(self._target)):
                continue
            with self._lock:
                self.expired = True
                if self._busy:
                    self._fired = True
                    self._interrupt()
            return

    def _interrupt(self) -> None:
        by_signal = self._main and hasattr(signal, "pthread_kill")
        if by_signal and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.pthread_kill(self._target, signal.SIGINT)  # ends a blocking call too
        else:
            import ctypes

            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._target), ctypes.py_object(Interrupted))


def _debugged(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False
