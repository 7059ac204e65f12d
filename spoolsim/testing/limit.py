"""A time limit for tasks that run inside a test: one that is stuck is interrupted, and the test told where.

A thread looks at the machine's clock, which no frozen time stops; it lives only while tasks run. A task that swallows
the interrupt is interrupted again, until it ends. Somebody who sits at a debugger's prompt is given all the time they
want.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_DEBUGGERS = ("bdb", "pdb", "cmd", "IPython", "ipdb", "pydevd", "_pydevd_bundle", "debugpy", "pudb")


#: what ends a blocking call in the main thread: a signal that nobody sends us, and that does nothing when it is late.
#: No SIGINT: asyncio takes that as a wish to cancel
_SIGNAL = getattr(signal, "SIGURG", None)


#: a task that began just as the time was over is looked for after so many seconds
_AGAIN = 0.01


#: a task that swallows every interrupt is given so many seconds for its cleanup, this many times; then no more
_CLEANUP, _PATIENCE = 1.0, 3
_RELENTLESS = 0.001


class Interrupted(BaseException):
    """Raised inside a task that took too long."""


class _Again(Interrupted):
    """One that comes back when it is swallowed: where an `except` lets go of it, the signal comes again.

    It then strikes behind that `except`, and so ends the loop around it. Cleanup is left alone: in a `finally`, and up
    to the end of an `except`, the exception is still held. The function is one of C, or the signal would strike in it.
    """

    if _SIGNAL is not None:
        __del__ = staticmethod(partial(_thread.interrupt_main, _SIGNAL))


class Limit:
    """At most `seconds` for what happens inside the `with`.

    expired: the time is over; whoever loops looks at it between tasks. busy: set when a task begins.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self.busy = False
        self._fired = False
        self._running = threading.Lock()  # held as long as tasks run
        self._lock = threading.Lock()
        self._target = threading.get_ident()
        self._by_signal = (
            _SIGNAL is not None
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(_SIGNAL) is signal.SIG_DFL
        )

    def __enter__(self) -> Limit:
        if self._by_signal and _SIGNAL is not None:
            signal.signal(_SIGNAL, self._arrived)
        self._running.acquire()
        _thread.start_new_thread(self._watch, ())  # its start is not waited for, nor its end: that takes milliseconds
        return self

    def __exit__(self, *error: object) -> None:
        self._running.release()
        if self._by_signal and _SIGNAL is not None:
            signal.signal(_SIGNAL, signal.SIG_DFL)  # which is to be ignored

    def end(self) -> bool:
        """A task has ended, by itself or not; True if it was interrupted."""
        try:
            self.busy = False
            if not self.expired:  # who interrupts says so before it looks whether we are busy
                return False
            with self._lock:
                pass  # until it has looked
            for _ in range(1000 if self._fired else 0):
                pass  # let an interrupt that is on its way arrive here
        except Interrupted:
            pass
        return self._fired

    def _watch(self) -> None:
        strikes = 0
        pause = self.seconds
        while not self._running.acquire(timeout=pause):
            if _debugged(sys._current_frames().get(self._target)):
                continue
            with self._lock:
                self.expired = True
                if self.busy:
                    self._fired = True
                    self._interrupt()
                    strikes += 1
            pause = _AGAIN if not strikes else _CLEANUP if strikes <= _PATIENCE else _RELENTLESS

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._fired and self.busy:
            raise _Again

    def _interrupt(self) -> None:
        if self._by_signal and _SIGNAL is not None:
            signal.pthread_kill(self._target, _SIGNAL)
        else:
            try:
                import ctypes
            except ImportError:  # built without: the task is reported when it ends by itself
                return
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._target), ctypes.py_object(Interrupted))


def _debugged(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False
