"""`python -m spoolsim` and the script `spoolsim`."""

from __future__ import annotations

import os
import signal
import sys

from spoolsim.system import another_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def hear_stops() -> None:
    """As process 1, end by the signals that end any other process.

    The kernel drops every signal for which process 1 of a container has no handler. The master sets its own later.
    """
    from spoolsim.work import handlers

    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:
            handlers.handle(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def command() -> None:
    """Run a command and exit with its status: 0 well, 1 not well, 2 not understood.

    `run` is dispatched without the command line library: it starts in milliseconds.
    """
    if why := another_python():
        sys.stderr.write(f"[spoolsim] {why}\n")
        sys.exit(2)
    argv = sys.argv[1:]
    if argv[:1] == ["run"]:
        if not {"--help", "-h"} & set(argv):
            try:
                if hasattr(signal, "SIG_UNBLOCK"):
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # dev holds it back as Python starts
                from spoolsim.cli.run import main as run

                sys.exit(run(argv[1:]))
            except KeyboardInterrupt:  # before there was anything to end
                sys.exit(128 + signal.SIGINT)
        del sys.argv[2:]  # the command `run` of the library prints the help, whatever else was given
    from spoolsim.cli.commands import commands

    commands(prog_name="spoolsim")


def hold_standard_streams() -> None:
    """Open what was closed (`>&-`) on /dev/null: else a file of ours takes its number, and what is printed.

    Raises OSError.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the least number that is free: this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 # for as long as the process lives


def main() -> None:
    """As `command`; nothing but a line reaches whoever typed it: the system's refusals and Ctrl-C have no traceback."""
    first = os.getpid() == 1
    if first:
        hear_stops()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and sys.argv[1:2] != ["run"]:
        signal.signal(
            signal.SIGINT, _end if first else signal.SIG_DFL
        )  # while it is loaded; cli/commands.py sets it back
    try:
        from spoolsim.cli.ends import end_of  # before there is perhaps no descriptor left to read it

        try:
            hold_standard_streams()
            command()
        except OSError as error:
            sys.exit(end_of(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
