"""The history: of each attempt what the journal has no room for: the bytes of the task, its traceback, its output.

A record is a head and four byte strings; numbers are little-endian. `ended` and `task` are those of a journal's line.

    mark  4 | size  4 | ended  8 (microseconds) | task  4 | data  4 | traceback  4 | output  4     lengths in bytes

As the journal it only observes: what cannot be written is left out, and never a reason for a task to fail. Records are
gathered and written together, at the latest when a scan ends. It is bounded: at half of its limit it becomes
`history.1`, in place of an older one. A reader passes over what is no whole record.
"""

from __future__ import annotations

import os
from struct import Struct

from spoolsim import system
from spoolsim.spool import regular
from spoolsim.spool.lock import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.spool.directory import SpoolDir

NAME, OLDER = "history", "history.1"
#: bytes of a task's file that are kept: all variables, and as much of its body
DATA = 2 << 16
#: so many records, or bytes, are gathered at most
GATHERED, _MANY_BYTES = 128, 1 << 20

_MARK = b"\xf5sp1"
_HEAD = Struct("<4sIQIIII")
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW | system.O_NONBLOCK


class Record:
    """One record, read back. ended: microseconds since 1970. task: path below the spool directory."""

    __slots__ = ("data", "ended", "output", "task", "traceback")

    def __init__(self, ended: int, task: str, data: bytes, traceback: str, output: str) -> None:
        self.ended = ended
        self.task = task
        self.data = data
        self.traceback = traceback
        self.output = output


class History:
    """Writes the history of one directory, for one process. limit: bytes of all that is kept."""

    __slots__ = ("_bytes", "_gathered", "_limit", "_spool")

    def __init__(self, spool: SpoolDir, limit: int) -> None:
        self._spool = spool
        self._limit = limit
        self._gathered: list[bytes] = []
        self._bytes = 0

    def add(self, ended: int, task: str, data: bytes, traceback: bytes = b"", output: bytes = b"") -> None:
        """An attempt has ended, at `ended` (microseconds since 1970). data: the bytes of its file, cut to `DATA`."""
        name = task.encode("utf-8", "surrogateescape")
        if len(data) > DATA:
            data = data[:DATA]
        size = _HEAD.size + len(name) + len(data) + len(traceback) + len(output)
        head = _HEAD.pack(_MARK, size, ended, len(name), len(data), len(traceback), len(output))
        self._gathered.append(b"".join((head, name, data, traceback, output)))
        self._bytes += size
        if len(self._gathered) >= GATHERED or self._bytes >= _MANY_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._gathered:
            return
        text = b"".join(self._gathered)
        self._gathered.clear()
        self._bytes = 0
        try:
            path = os.path.join(self._spool.make_corner(), NAME)
            fd = os.open(path, _APPEND, 0o600)
            try:
                os.write(fd, text)
                status = os.fstat(fd)
                # by one process alone: a second would put the new file in the place of the one that is full
                if status.st_size > self._limit // 2 and try_lock(fd) and os.stat(path).st_ino == status.st_ino:
                    os.rename(path, self._spool.corner(OLDER))
            finally:
                os.close(fd)
        except OSError:
            pass  # the disk is full, or the directory gone: the tasks matter more


def read(spool: SpoolDir) -> Iterator[Record]:
    """All records there are, oldest first."""
    for name in (OLDER, NAME):
        try:
            data = regular.read(spool.corner(name))
        except OSError:
            continue
        yield from records(data)


def records(data: bytes) -> Iterator[Record]:
    """The whole records in the bytes of a file."""
    at = data.find(_MARK)
    while at >= 0 and at + _HEAD.size <= len(data):
        _, size, ended, *lengths = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        if size != _HEAD.size + sum(lengths) or at + size > len(data):  # torn, or chance
            at = data.find(_MARK, at + 1)
            continue
        parts = []
        for length in lengths:
            parts.append(data[begin : begin + length])
            begin += length
        task, content, traceback, output = parts
        yield Record(
            ended,
            task.decode("utf-8", "surrogateescape"),
            content,
            traceback.decode("utf-8", "replace"),
            output.decode("utf-8", "replace"),
        )
        at = data.find(_MARK, at + size)
