"""uWSGI's options limit-as and max-fd: set in the process that loads the app, and so in all spoolers."""

from __future__ import annotations

import errno
import os

from spoolsim.errors import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.log import Log
    from spoolsim.options import Options

#: descriptors that a spooler opens beside those that the fork server holds before the app is loaded
NEEDED = 4
_MIB = 1 << 20


def set_limits(options: Options, log: Log) -> None:
    """Set limit-as and max-fd. As in uWSGI, a limit that cannot be set is logged, and the start goes on.

    Raises OptionError for a limit that this process has used up already: uWSGI ends, too.
    """
    if not options.limit_as and not options.max_fd:
        return
    try:
        import resource
    except ImportError:
        return  # no POSIX, and no such limits

    _refuse_too_low(options)
    for name, kind, limit in (
        ("limit-as", resource.RLIMIT_AS, options.limit_as * _MIB),
        ("max-fd", resource.RLIMIT_NOFILE, options.max_fd),
    ):
        if limit:
            try:
                resource.setrlimit(kind, (limit, limit))
            except (OSError, ValueError) as error:
                log.say(f"option {name}: cannot set the limit to {limit}: {error}", error=True)


def explain(options: Options, error: Exception) -> str:
    """Return a line that says why the app cannot be loaded: which limit, from where, and what to do."""
    if isinstance(error, OptionError):
        return str(error)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        if options.limit_as:
            return f"limit-as = {options.limit_as}: out of memory; raise the limit or leave the option out"
        return "out of memory while the app was loaded; raise the limit of the address space (see ulimit -v)"
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        if options.max_fd:
            return f"max-fd = {options.max_fd}: too many open files; raise the limit or leave the option out"
        return "too many open files while the app was loaded; raise the limit of descriptors (see ulimit -n)"
    return f"cannot load the app: {error}"


def _refuse_too_low(options: Options) -> None:
    try:
        with open("/proc/self/statm") as sizes:
            used = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        opened = len(os.listdir("/proc/self/fd"))
    except OSError:
        return  # no /proc: it comes to light later, and `explain` has a line for it
    least = used // _MIB + 1
    if 0 < options.limit_as < least:
        raise OptionError(
            f"limit-as = {options.limit_as}: Python alone takes {least} MiB of address space before the app is loaded; "
            "raise the limit or leave the option out"
        )
    if 0 < options.max_fd < opened + NEEDED:
        raise OptionError(
            f"max-fd = {options.max_fd}: a spooler needs {opened + NEEDED} file descriptors before the app opens any; "
            "raise the limit or leave the option out"
        )
