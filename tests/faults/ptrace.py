"""Killing or disturbing a process at its N-th system call, from outside, through ptrace(2).

What strace's `inject=…:signal=KILL:when=N` and `inject=…:error=E:when=N` do, without a strace for each time:
thousands a minute.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

_TRACEME, _CONT, _GETREGS, _SETREGS, _DETACH, _SYSCALL = 0, 7, 12, 13, 17, 24
_SETOPTIONS, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 0x4200, 0x4206, 0x4207, 0x420E
_SYSGOOD, _EXITKILL = 1, 0x100000
_ENTRY = 1
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_EVENT_STOP = 128

#: registers are laid out differently elsewhere
CAN_REFUSE = sys.platform == "linux" and platform.machine() == "x86_64"
#: of x86-64: the calls that name a file or a descriptor of one
FILE_CALLS = frozenset(
    (0, 1, 2, 3, 5, 8, 20, 72, 74, 77, 79, 80, 81, 82, 83, 84, 86, 87, 217, 257, 258, 262, 263, 264, 265, 280, 316, 332)
)
#: of those, the calls that take a name away
TAKING = frozenset((82, 87, 263, 264, 316))
_CLOSE = 3
_NUMBER, _RESULT, _REGISTERS = 15, 10, 27

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class _Info(ctypes.Structure):
    """struct ptrace_syscall_info, as far as the number of a system call that is entered."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 7),
    )


def _ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> int:
    done: int = _libc.ptrace(request, pid, address, data)
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return done


class Child:
    """A forked child that runs `action`, stopped before its first step.

    silent: its standard error goes nowhere.
    """

    def __init__(self, action: Callable[[], object], *, silent: bool = True) -> None:
        self.pid = os.fork()
        if not self.pid:
            try:
                if silent:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                _ptrace(_TRACEME, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                action()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFSTOPPED(status), status
        _ptrace(_SETOPTIONS, self.pid, 0, _SYSGOOD | _EXITKILL)

    def run(self, kill_at: int = 0) -> tuple[int, int]:
        """Let it run; kill it as it enters its `kill_at`-th system call (from 1; 0: never).

        Returns how many it entered, and its wait status. The call it was killed at was not carried out.
        """
        return _follow(self.pid, kill_at, deadline=None)

    def disturb(self, at: int, how: Callable[[int, int], None], seconds: float) -> tuple[int, int]:
        """Let it run; as it enters its `at`-th call of FILE_CALLS, call how(pid, number of the call).

        Returns how many of these it entered, and its wait status: -1 if it was not done after so many seconds, for
        which it was killed.
        """
        count, status = _follow(self.pid, at, time.monotonic() + seconds, how)
        if status < 0:
            os.kill(self.pid, signal.SIGKILL)
            while not os.WIFSIGNALED(_wait(self.pid, None)):
                pass
        return count, status


class Seized:
    """A living process of somebody else's, stopped; to be used as a context: it goes on behind it, if it lives.

    Raises OSError when it is dead.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.dead = False
        _ptrace(_SEIZE, pid, 0, _SYSGOOD)
        try:
            _ptrace(_INTERRUPT, pid)
        except ProcessLookupError:
            _wait(pid, None)  # it died in between; the tracer collects it first
            raise
        if not os.WIFSTOPPED(_wait(pid, None)):
            raise ProcessLookupError(pid)

    def __enter__(self) -> Seized:
        return self

    def run(self, kill_at: int, seconds: float) -> int:
        """Let it run for so many seconds at most, and kill it at its `kill_at`-th system call; how many it entered."""
        count, status = _follow(self.pid, kill_at, deadline=time.monotonic() + seconds)
        self.dead = status >= 0 and not os.WIFSTOPPED(status)
        return count

    def __exit__(self, *error: object) -> None:
        if self.dead:
            return
        try:
            _ptrace(_INTERRUPT, self.pid)
        except ProcessLookupError:
            pass  # it died meanwhile; its parent cannot bury it before we have collected it
        status = _wait(self.pid, None)
        if os.WIFSTOPPED(status):
            try:
                _ptrace(_DETACH, self.pid, 0, 0 if _is_trace_stop(status) else os.WSTOPSIG(status))
            except ProcessLookupError:
                _wait(self.pid, None)


def _follow(
    pid: int, at: int, deadline: float | None, how: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    count = 0
    pass_on = 0
    while True:
        try:
            _ptrace(_SYSCALL, pid, 0, pass_on)
        except ProcessLookupError:  # killed by somebody else meanwhile
            return count, _wait(pid, None)
        status = _wait(pid, deadline)
        if status < 0 or not os.WIFSTOPPED(status):
            return count, status
        pass_on = 0
        if os.WSTOPSIG(status) == _SYSCALL_STOP:
            number = _entering(pid)
            if number < 0 or (how is not None and number not in FILE_CALLS):
                continue
            count += 1
            if count != at:
                continue
            if how is None:
                os.kill(pid, signal.SIGKILL)
                return count, _wait(pid, None)
            how(pid, number)
        elif not _is_trace_stop(status):
            pass_on = os.WSTOPSIG(status)


def refuse(pid: int, error: int) -> None:
    """The system call that a stopped process enters is not carried out, and gives this error instead.

    A descriptor is closed also when close(2) gives an error, so that one is carried out.
    """
    registers = (ctypes.c_uint64 * _REGISTERS)()
    _ptrace(_GETREGS, pid, 0, ctypes.byref(registers))
    if registers[_NUMBER] != _CLOSE:
        registers[_NUMBER] = 2**64 - 1
        _ptrace(_SETREGS, pid, 0, ctypes.byref(registers))
    _ptrace(_SYSCALL, pid)
    status = _wait(pid, None)
    assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == _SYSCALL_STOP, status
    _ptrace(_GETREGS, pid, 0, ctypes.byref(registers))
    registers[_RESULT] = 2**64 - error
    _ptrace(_SETREGS, pid, 0, ctypes.byref(registers))


def _is_trace_stop(status: int) -> bool:
    return os.WSTOPSIG(status) in (_SYSCALL_STOP, signal.SIGTRAP) or status >> 16 == _EVENT_STOP


def _entering(pid: int) -> int:
    """The number of the system call it enters; -1 when it enters none."""
    info = _Info()
    try:
        _ptrace(_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.byref(info))
    except ProcessLookupError:
        return -1  # somebody else killed it just now
    return int(info.number) if info.op == _ENTRY else -1


def _wait(pid: int, deadline: float | None) -> int:
    """The next status of a traced process; -1 when there is none until the deadline.

    One that was killed is waited for until it is dead.
    """
    pause = 0.00005
    while True:
        try:
            found, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
        except ChildProcessError:
            return 0
        if found:
            return status
        if deadline is not None and time.monotonic() > deadline:
            return -1
        select.select((), (), (), pause)
        pause = min(pause * 2, 0.002)


def unavailable() -> str:
    """Why nothing can be traced here; '' when it can."""
    if sys.platform != "linux":
        return "ptrace is used on Linux only"
    try:
        count, status = Child(os.getppid).run()
    except OSError as error:
        return f"ptrace: {error.strerror}"
    if os.WIFEXITED(status) and count >= 2:
        return ""
    return f"ptrace tells of {count} system calls where there are two"
