"""How a command line ends when something else than its own errors stops it: in one line, without a traceback."""

from __future__ import annotations

import os

from spoolsim.errors import SpoolsimError
from spoolsim.log import Log


def end_of(error: OSError) -> int:
    """Say in one line what the system refused, and return the exit status."""
    _forget_output()
    Log().say(_reason(error), error=True)
    return SpoolsimError.exit_code


def _reason(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else error.filename}: {what}"
    try:
        os.getcwd()
    except OSError:
        return "the working directory is not there any more; change to one that is"
    return f"{what}: the system refused it (a full disk, too few descriptors or processes: see ulimit -a)"


def _forget_output() -> None:
    """What the buffer of standard output still holds would be tried again at the exit, with a traceback."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    except OSError:
        pass  # no descriptor left; then it is not the output that failed
