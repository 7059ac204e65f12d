"""The three inotify calls of Linux.

By hand, because the wrappers on PyPI take 20 ms to import, and a spooler wants its first task sooner. By `_ctypes`,
because `ctypes` itself, since Python 3.14, imports sysconfig and threading at every start. A Python that was built
without it has no file events, and polls.
"""

from __future__ import annotations

import errno
import os
import struct

try:
    import _ctypes
except ImportError:
    _ctypes = None  # type: ignore[assignment]  # built without libffi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CREATE = 0x100
MOVED_TO = 0x80
MODIFY = 0x2
CLOSE_WRITE = 0x8
MOVE_SELF = 0x800
ONLYDIR = 0x01000000
#: whatever changes a file of a directory, its times included; not reading it
ANY_CHANGE = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200
#: what the kernel says of a watch that is no more
_IGNORED = 0x8000
_EVENT = struct.Struct("iIII")


def _calls() -> tuple[Callable[..., int], Callable[..., int]] | None:
    """inotify_init1 and inotify_add_watch of the C library, each setting our errno; None where they cannot be had."""
    if _ctypes is None:
        return None

    class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # as ctypes.c_int is made; no class of it takes [int]
        _type_ = "i"

    class Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
        _restype_ = Int

    try:
        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is this program; the stub knows no such call
        found = (_ctypes.dlsym(library, name) for name in ("inotify_init1", "inotify_add_watch"))
        init, add = map(Function, found)
    except OSError:
        return None
    return init, add


_known = _calls()


def open() -> int:
    """A new inotify descriptor, non-blocking. Raises OSError (none to be had, or the user's limit is reached)."""
    if _known is None:
        raise OSError(errno.ENOSYS, "this Python was built without ctypes")
    fd = _known[0](os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(_ctypes.get_errno(), os.strerror(_ctypes.get_errno()))
    return fd


def add(fd: int, path: str, mask: int) -> int:
    """Watch a path; returns the watch's number. Raises OSError (gone, or the user's limit of watches is reached)."""
    watch = -1 if _known is None else _known[1](fd, os.fsencode(path), mask)
    if watch < 0:
        raise OSError(_ctypes.get_errno(), os.strerror(_ctypes.get_errno()), path)
    return watch


def told(data: bytes) -> tuple[bool, str]:
    """Do these events say that a watched file or directory was removed? And the name that the last one is of, or ""."""
    gone = False
    name = b""
    at = 0
    while at < len(data):
        _, mask, _, size = _EVENT.unpack_from(data, at)
        gone |= bool(mask & _IGNORED)
        at += _EVENT.size + size
        if size:
            name = data[at - size : at]
    return gone, os.fsdecode(name.rstrip(b"\0"))


def watches(data: bytes) -> set[int]:
    """The watches that these events are of, but for the news that one is no more."""
    return {watch for watch, mask in _events(data) if not mask & _IGNORED}


def _events(data: bytes) -> Iterator[tuple[int, int]]:
    """(watch, mask) of each event."""
    at = 0
    while at < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, at)
        yield watch, mask
        at += _EVENT.size + size
