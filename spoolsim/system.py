"""The names of POSIX that the in-process side of spoolsim uses, and what stands for them on a system without POSIX.

On POSIX each of them is the function of `os` or `time` itself, so that it costs nothing. Without (Windows), one process
serves a directory: paths take the place of directory descriptors, and what an open file keeps from being removed or
renamed is closed before.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from stat import S_ISCHR

TYPE_CHECKING = False
if TYPE_CHECKING:
    Entries = os._ScandirIterator[str]

#: does this system fork?
POSIX = hasattr(os, "fork")
#: what is said where it would have to
NEEDED = (
    "{command} needs POSIX (fork, fcntl, signals), which this system lacks; run --inline works without it, and so do "
    "exec, enqueue, check, config and spoolsim.testing"
)

O_CLOEXEC: int = getattr(os, "O_CLOEXEC", getattr(os, "O_NOINHERIT", 0))
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
#: Windows would translate the ends of lines
O_BINARY: int = getattr(os, "O_BINARY", 0)

if hasattr(time, "clock_gettime"):
    CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
    clock_gettime, clock_gettime_ns = time.clock_gettime, time.clock_gettime_ns
else:
    CLOCK_MONOTONIC = 1
    _monotonic, _monotonic_ns = time.monotonic, time.monotonic_ns  # before a library that stops clocks replaces them

    def clock_gettime(clock: int, /) -> float:
        """The machine's clock, in seconds."""
        return _monotonic()

    def clock_gettime_ns(clock: int, /) -> int:
        """The machine's clock, in nanoseconds."""
        return _monotonic_ns()


if hasattr(time, "CLOCK_REALTIME"):
    _CLOCK_REALTIME = time.CLOCK_REALTIME

    def real_time() -> float:
        """Now, in epoch seconds, also where a library that stops clocks has replaced those of `time`."""
        return clock_gettime(_CLOCK_REALTIME)

else:
    real_time = time.time


#: Linux stamps files by CLOCK_REALTIME_COARSE, whose ticks are up to 10 ms long; Python has no name for it
_FILES = 5


def read_whole(path: str) -> bytes:
    """The bytes of a file. Raises OSError, also for a device whose bytes have no end, such as /dev/zero."""
    with open(path, "rb") as file:
        endless = S_ISCHR(os.fstat(file.fileno()).st_mode) and not file.isatty()
        if endless and not os.path.samefile(path, os.devnull):
            raise OSError(errno.EINVAL, "a device, whose bytes have no end; name a file", path)
        return file.read()


def file_time() -> float:
    """Now, in epoch seconds, no later than the time of a file that is written from now on."""
    if sys.platform != "linux" or not hasattr(time, "clock_gettime"):
        return time.time()
    return clock_gettime(_FILES) - 1e-6  # two floats of one time may differ


def another_python() -> str:
    """Return why spoolsim does not run on this Python (PyPy, say); '' on CPython."""
    name = sys.implementation.name
    return "" if name == "cpython" else f"spoolsim runs on CPython alone; this is {name}"


def getuid() -> int:
    """The user's number; 0 where users have none, as files then belong to 0."""
    return os.getuid() if hasattr(os, "getuid") else 0


def getgid() -> int:
    """The number of the user's group; 0 where groups have none."""
    return os.getgid() if hasattr(os, "getgid") else 0


def getgroups() -> list[int]:
    """The numbers of all groups of the user."""
    return os.getgroups() if hasattr(os, "getgroups") else []


def nodename() -> str:
    """The name of this machine, as it is in the names of spool files."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME") or "localhost"


def user_name() -> str:
    """The user's name, or number where it has none."""
    try:
        import pwd
    except ImportError:
        return os.environ.get("USERNAME") or str(getuid())
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def group_name() -> str:
    """The name of the user's group, or its number where it has none."""
    try:
        import grp
    except ImportError:
        return str(getgid())
    try:
        return grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        return str(os.getgid())


#: are there descriptors of directories, and calls that take them?
AT = {os.open, os.stat, os.unlink, os.rename} <= os.supports_dir_fd and os.scandir in os.supports_fd
#: where there are not: numbers that stand for directories, all negative, and their paths
_directories: dict[int, str] = {}


def _path(name: str, dir_fd: int | None) -> str:
    return name if dir_fd is None else os.path.join(_directories[dir_fd], name)


def open_directory(path: str, flags: int, *, dir_fd: int | None = None) -> int:
    """A descriptor of a directory, or a number that stands for one. Raises OSError."""
    if AT:
        return os.open(path, flags, dir_fd=dir_fd)
    full = _path(path, dir_fd)
    if not os.path.isdir(full):
        os.stat(full)  # raises where there is nothing
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), full)
    fd = min(_directories, default=-1) - 1
    _directories[fd] = full
    return fd


def close_directory(fd: int) -> None:
    """Close it: nothing was written through it, so an error would say nothing."""
    if not AT:
        _directories.pop(fd, None)
        return
    try:
        os.close(fd)
    except OSError:
        pass


def stat_directory(fd: int) -> os.stat_result:
    """os.fstat of it."""
    return os.fstat(fd) if AT else os.stat(_directories[fd])


def scan_directory(fd: int) -> Entries:
    """os.scandir of it."""
    return os.scandir(fd) if AT else os.scandir(_directories[fd])


def enter_directory(fd: int) -> None:
    """os.fchdir to it."""
    if AT:
        os.fchdir(fd)
    else:
        os.chdir(_directories[fd])


def open_at(name: str, flags: int, *, dir_fd: int) -> int:
    """os.open of a file in it."""
    return os.open(name, flags, dir_fd=dir_fd) if AT else os.open(_path(name, dir_fd), flags)
