"""What each process that is forked for a run does first, and last: its signals, its descriptor 0, its name, its end."""

from __future__ import annotations

import os
import signal
import sys

from spoolsim.work import handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from spoolsim.options import Policy
    from spoolsim.work.app import App

#: as it is before a task can break it
end_now = os._exit
#: exit statuses
OK, FAILED = 0, 1


def take_signals(policy: Policy) -> None:
    """The dispositions of a uWSGI spooler; the terminal's SIGINT is for the master alone."""
    die = _die
    handlers.wake(-1)
    handlers.handle(signal.SIGTERM, die)
    # a handler, not SIG_IGN: what a task starts must not inherit being deaf to Ctrl-C
    handlers.handle(signal.SIGINT, _nothing if policy.ignores_ctrl_c else die)
    handlers.handle(signal.SIGUSR1, _nothing)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for ignored in (signal.SIGHUP, signal.SIGALRM, signal.SIGUSR2, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(ignored, signal.SIG_IGN)


def _die(number: int, frame: object) -> None:
    """End at once, amid a task too; atexit functions run, as in uWSGI."""
    leave(OK)


def _nothing(number: int, frame: object) -> None:
    """Only to be woken."""


def name_process(app: App, name: str) -> None:
    """--auto-procname: a name for ps and top, when setproctitle is installed."""
    if not app.options.auto_procname:
        return
    try:
        from setproctitle import setproctitle
    except ImportError:
        if app.said.first("auto-procname"):
            app.log.say("auto-procname needs setproctitle: pip install 'spoolsim[procname]'", error=True)
        return
    setproctitle((app.options.procname_prefix or "") + name)


def stdin_from_null() -> int:
    """Open /dev/null as descriptor 0; return the lowest number that is free then."""
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)
    free = os.dup(0)
    os.close(free)
    return free


def close_stdin() -> int:
    """Leave descriptor 0 free, as uWSGI may, for what the hook or spooler-import opens first."""
    try:
        os.close(0)
    except OSError:
        pass  # the app has closed it
    return 0


def describe(fd: int) -> str:
    """What a descriptor is of; "" when it is not open."""
    try:
        os.fstat(fd)
    except OSError:
        return ""
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "a file or socket"
    return target if target.startswith("/") else f"a {target.partition(':')[0]}"


def exit_status(end: SystemExit) -> int:
    """What Python makes of sys.exit's argument: a number, or a text to print and 1."""
    if end.code is None:
        return OK
    code = end.code
    if issubclass(type(code), int):
        return int.__index__(code) & 0xFF  # type: ignore[arg-type]  # it is one, whatever operators it has
    try:
        sys.stderr.write(f"{code}\n")
    except Exception:
        pass  # the stream is gone, or the object has no text
    return FAILED


def leave(status: int) -> NoReturn:
    """End a forked process: atexit functions and buffers, but not what the fork server left on the stack."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        pass
    finally:
        end_now(status & 0xFF)
