"""The three inotify calls of Linux.

By hand, because the wrappers on PyPI take 20 ms to import, and a spooler wants its first task sooner.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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

_libc = ctypes.CDLL(None, use_errno=True)


def open() -> int:
    """A new inotify descriptor, non-blocking. Raises OSError (the user's limit of instances is reached)."""
    fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def add(fd: int, path: str, mask: int) -> int:
    """Watch a path; returns the watch's number. Raises OSError (gone, or the user's limit of watches is reached)."""
    watch: int = _libc.inotify_add_watch(fd, os.fsencode(path), mask)
    if watch < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
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
