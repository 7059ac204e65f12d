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
    from types import CodeType, FrameType

_DEBUGGERS = ("bdb", "pdb", "cmd", "IPython", "ipdb", "pydevd", "_pydevd_bundle", "debugpy", "pudb")


#: what ends a blocking call in the main thread: a signal that nobody sends us, and that does nothing when it is late.
#: No SIGINT: asyncio takes that as a wish to cancel
_SIGNAL = getattr(signal, "SIGURG", None)


#: a task that began just as the time was over is looked for after so many seconds
_AGAIN = 0.01


#: a task that swallows every interrupt is given so many seconds for its cleanup, this many times; then no more
_CLEANUP, _PATIENCE = 1.0, 3
_RELENTLESS = 0.001

#: our own package, which is never interrupted by the last resort
_HERE = __file__.rpartition("testing")[0]


class Interrupted(BaseException):
    """Raised inside a task that took too long."""


class _Again(Interrupted):
    """One that comes back when it is swallowed: where an `except` lets go of it, the signal comes again.

    It then strikes behind that `except`, and so ends the loop around it. Cleanup is left alone: in a `finally`, and up
    to the end of an `except`, the exception is still held. The function is one of C, or the signal would strike in it.
    """

    if _SIGNAL is not None:
        __del__ = staticmethod(partial(_thread.interrupt_main, _SIGNAL))


class _Relentless:
    """The last resort, from Python 3.12 on: raises `Interrupted` at each line that the task runs, its own `except` too.

    Until 3.11 the signal of `_Again` strikes behind every `except`; since then it may strike inside the next `try`.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._tool = -1

    def begin(self) -> None:
        """Do nothing where there is no sys.monitoring, or no free number for a tool."""
        if sys.version_info >= (3, 12) and self._tool < 0:
            events = sys.monitoring
            free = [number for number in range(6) if events.get_tool(number) is None]
            if free:
                self._tool = free[-1]
                events.use_tool_id(self._tool, "spoolsim")
                events.register_callback(self._tool, events.events.LINE, self._line)
                events.set_events(self._tool, events.events.LINE)

    def end(self) -> None:
        """Leave the tasks alone that follow."""
        if sys.version_info >= (3, 12) and self._tool >= 0:
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.free_tool_id(self._tool)
            self._tool = -1

    def _line(self, code: CodeType, line: int) -> None:
        limit = self._limit
        if limit.busy and threading.get_ident() == limit.target and not code.co_filename.startswith(_HERE):
            raise Interrupted


class Limit:
    """At most `seconds` for what happens inside the `with`.

    expired: the time is over; whoever loops looks at it between tasks. busy: set when a task begins. target: the thread
    that the tasks run in.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self.busy = False
        self._fired = False
        self._running = threading.Lock()  # held as long as tasks run
        self._lock = threading.Lock()
        self._relentless = _Relentless(self)
        self.target = threading.get_ident()
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
        self._relentless.end()
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
            if _debugged(sys._current_frames().get(self.target)):
                continue
            with self._lock:
                self.expired = True
                if self.busy:
                    self._fired = True
                    if strikes == _PATIENCE:
                        self._relentless.begin()
                    self._interrupt()
                    strikes += 1
            pause = _AGAIN if not strikes else _CLEANUP if strikes <= _PATIENCE else _RELENTLESS

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._fired and self.busy:
            raise _Again

    def _interrupt(self) -> None:
        if self._by_signal and _SIGNAL is not None:
            signal.pthread_kill(self.target, _SIGNAL)
        else:
            try:
                import ctypes
            except ImportError:  # built without: the task is reported when it ends by itself
                return
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.target), ctypes.py_object(Interrupted))


def _debugged(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False
