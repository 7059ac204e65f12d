"""A time limit for tasks that run inside a test: one that is stuck is interrupted, and the test told where.

A thread looks at the machine's clock, which no frozen time stops; it lives only while tasks run. A task that swallows
the interrupt is interrupted again, until it ends. Somebody who sits at a debugger's prompt is given all the time they
want. A task that is stuck in C code hears no interrupt: pytest ends, and says where the task is stuck.
"""

from __future__ import annotations

import _thread
import faulthandler
import os
import signal
import sys
import threading
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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

#: a task that no interrupt has ended so many seconds after its time limit ends pytest
_HOPELESS = 30.0

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


class LastWord:
    """Ends the process where a task is stuck in C code, which no interrupt reaches.

    Where that code lets other threads run, `end` does it. Where it does not, faulthandler's thread does it, which is C
    itself. descriptor: of the real standard error, for pytest captures the other one; None: nobody ends anything.
    """

    def __init__(self) -> None:
        self.descriptor: int | None = None

    def arm(self, seconds: float) -> None:
        """Begin to wait, or begin again: in so many seconds the process ends, unless `disarm` is called before."""
        if self.descriptor is not None:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self.descriptor)

    def disarm(self) -> None:
        """Wait no longer."""
        if self.descriptor is not None:
            faulthandler.cancel_dump_traceback_later()

    def end(self, limit: float) -> None:
        """Say which test is stuck and where, and end the process with status 1."""
        if self.descriptor is not None:
            test = os.environ.get("PYTEST_CURRENT_TEST", "a test").rpartition(" (")[0] or "a test"
            said = (
                f"\nspoolsim: {test}: a task does not end, {_HOPELESS:g} s after its time limit of {limit:g} s: "
                "it runs code that Python cannot interrupt. pytest ends here, and the tests that follow do not run. "
                "The task is here:\n"
            )
            os.write(self.descriptor, said.encode(errors="backslashreplace"))
            faulthandler.dump_traceback(self.descriptor)
            os._exit(1)


#: of this process; the plugin says where standard error is
last_word = LastWord()


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
        self._reported_by: Callable[[sys.UnraisableHookArgs], object] | None = None
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
        last_word.arm(self.seconds + _HOPELESS + 1.0)  # a second later than the thread of Python
        _thread.start_new_thread(self._watch, ())  # its start is not waited for, nor its end: that takes milliseconds
        return self

    def __exit__(self, *error: object) -> None:
        self._running.release()
        last_word.disarm()
        self._relentless.end()
        with self._lock:
            self._report_again()
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
        waited = 0.0
        pause = self.seconds
        while not self._running.acquire(timeout=pause):
            if _debugged(sys._current_frames().get(self.target)):
                last_word.arm(pause + _HOPELESS + 1.0)
                continue
            with self._lock:
                self.expired = True
                if self.busy:
                    self._fired = True
                    self._report_no_interrupts()
                    waited += pause if strikes else 0.0
                    if waited > _HOPELESS:
                        last_word.end(self.seconds)
                    if strikes == _PATIENCE:
                        self._relentless.begin()
                    self._interrupt()
                    strikes += 1
            pause = _AGAIN if not strikes else _CLEANUP if strikes <= _PATIENCE else _RELENTLESS

    def _report_no_interrupts(self) -> None:
        """Python reports what it can only ignore, as in a `__del__`; an interrupt is no fault, and it comes back."""
        if self._reported_by is None:
            self._reported_by = sys.unraisablehook
            sys.unraisablehook = self._unraisable

    def _report_again(self) -> None:
        if self._reported_by is not None and sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._reported_by
        self._reported_by = None

    def _unraisable(self, ignored: sys.UnraisableHookArgs) -> None:
        if self._reported_by is not None and not isinstance(ignored.exc_value, Interrupted):
            self._reported_by(ignored)

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
