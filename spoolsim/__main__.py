"""`python -m spoolsim` and the script `spoolsim`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run a command and exit with its status: 0 well, 1 not well, 2 not understood.

    `run` is dispatched without the command line library: it starts in milliseconds.
    """
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


if __name__ == "__main__":
    main()
