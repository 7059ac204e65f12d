r"""The history: one appended line for each attempt at a task, with all that a person may want to know of it later.

    ended  took  due  pid  generation  attempt  outcome  size  task  why  traceback  names  output  data

Fields are separated by tabs. `ended` and `due` in microseconds since 1970, `took` in microseconds; `due` is the time
of the file, from which on it might run. `generation` counts reloads. `attempt` is 0 where whoever wrote the line did
not know it: then it is one more than that of the line before of the same task. `size`: bytes of the file, of which
`data` may be the beginning. `task`: the path below the spool directory.

A backslash, an end of line and a tab in a field are written as `\\`, `\n` and `\t` (in `data`, the last one, a tab is
itself), so that nothing in a task can end its line, or forge one. A tab ends each line. Lines are written several at a
time, an end of line in front of them: one that was torn, by a full disk, spoils no other.

It only observes: what cannot be written is left out, and never a reason for a task to fail. It is bounded: at its
share of the size the file `history` gets a number as its ending, and the oldest of these go.
"""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.spool import regular
from spoolsim.spool.lock import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from spoolsim.spool.directory import SpoolDir

NAME = "history"
#: files that the size is shared by; that many less two are kept whole
PARTS = 8
#: so many bytes are kept of a body, and of what an attempt printed
MOST = 65_536
#: fields of a line
FIELDS = 14
#: characters of a number
_LONGEST = 20
_OUTCOMES = {word.encode(): word for word in ("done", "retry", "ignored", "died")}
#: without waiting, should a FIFO lie in its place
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW | system.O_NONBLOCK


class Record:
    """One line, read back; what is long is decoded only when it is asked for. Raises ValueError for what is no line.

    at: when it ended, microseconds since 1970, as the journal has it. took: microseconds. due: likewise, from when on
    it might run; 0 where that is not known. generation: how often the app had been imported. size: bytes of the file.
    """

    __slots__ = ("_line", "at", "attempt", "due", "generation", "outcome", "pid", "size", "task", "took")

    def __init__(self, line: bytes) -> None:
        fields = line.split(b"\t", FIELDS - 1)
        if len(fields) != FIELDS or fields[-1][-1:] != b"\t" or max(map(len, fields[:8])) > _LONGEST:
            raise ValueError("not a whole line")
        self._line = line
        self.at = int(fields[0])
        self.took = int(fields[1])
        self.due = int(fields[2])
        self.pid = int(fields[3])
        self.generation = int(fields[4])
        self.attempt = int(fields[5])
        self.outcome = _OUTCOMES[fields[6]] if fields[6] in _OUTCOMES else _no_outcome()
        self.size = int(fields[7])
        self.task = text_of(fields[8])

    def _field(self, number: int) -> bytes:
        return plain(self._line.split(b"\t", FIELDS - 1)[number])

    @property
    def why(self) -> str:
        """What the handler did, for a task that stayed."""
        return self._field(9).decode("utf-8", "surrogateescape")

    @property
    def traceback(self) -> str:
        """Of what was raised."""
        return self._field(10).decode("utf-8", "replace")

    @property
    def names(self) -> str:
        """A line for each frame of the traceback: where it is, and its local variables."""
        return self._field(11).decode("utf-8", "replace")

    @property
    def output(self) -> str:
        """What it printed."""
        return self._field(12).decode("utf-8", "replace")

    @property
    def data(self) -> bytes:
        """The file, or its beginning."""
        return self._field(13)[:-1]


def _no_outcome() -> str:
    raise ValueError("not an outcome")


def escaped(data: bytes) -> bytes:
    """Bytes as a field."""
    return data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")


def plain(field: bytes) -> bytes:
    """The reverse of `escaped`."""
    if b"\\" not in field:
        return field
    return b"\\".join([part.replace(b"\\n", b"\n").replace(b"\\t", b"\t") for part in field.split(b"\\\\")])


def text_of(field: bytes) -> str:
    """A field as text; bytes that are none as in a file's name."""
    return plain(field).decode("utf-8", "surrogateescape")


def append(spool: SpoolDir, lines: bytes, limit: int) -> None:
    """Write whole lines, which begin with an end of line. limit: bytes of all files together. Raises OSError."""
    path = os.path.join(spool.make_state_dir(), NAME)
    part = limit // PARTS
    fd = os.open(path, _APPEND, 0o600)
    try:
        status = os.fstat(fd)
        if status.st_size and status.st_size + len(lines) > part and _rotate(spool, path, fd, limit - part - part // 2):
            os.close(fd)
            fd = -1  # should it not be had again
            fd = os.open(path, _APPEND, 0o600)
        os.write(fd, lines)
    finally:
        if fd >= 0:
            os.close(fd)


def _rotate(spool: SpoolDir, path: str, fd: int, room: int) -> bool:
    """Begin a new file; False where another process does, or has. room: bytes that all older ones may have."""
    inode = os.fstat(fd).st_ino
    if not try_lock(fd) or os.stat(path).st_ino != inode:
        return False
    older = numbers(spool)
    os.rename(path, f"{path}.{max(older, default=0) + 1}")
    for number in reversed(numbers(spool)):
        older_path = f"{path}.{number}"
        room -= os.stat(older_path).st_size
        if room < 0:
            os.unlink(older_path)
    return True


def numbers(spool: SpoolDir) -> list[int]:
    """The numbers of the older files, oldest first."""
    try:
        names = os.listdir(spool.state_dir())
    except OSError:
        return []
    ends = [name[len(NAME) + 1 :] for name in names if name.startswith(f"{NAME}.")]
    return sorted(int(end) for end in ends if end.isascii() and end.isdigit())


def read(spool: SpoolDir, seen: dict[int, int] | None = None) -> Iterator[bytes]:
    """What is in all files, oldest first, each in one piece; of those that go meanwhile nothing. Changes nothing.

    seen: by inode, how many bytes of a file were read before, and are not again; what is read now is added.
    """
    path = spool.state_dir(NAME)
    newest = _opened(path)  # first: it may get a number while the others are read
    try:
        seen = {} if seen is None else seen
        last = os.fstat(newest).st_ino if newest >= 0 else -1
        for number in numbers(spool):
            fd = _opened(f"{path}.{number}")
            if fd >= 0:
                with open(fd, "rb") as file:
                    if os.fstat(fd).st_ino != last:
                        yield _rest(file, seen)
        if newest >= 0:
            with open(newest, "rb", closefd=False) as file:
                yield _rest(file, seen)
    finally:
        if newest >= 0:
            os.close(newest)


def _rest(file: BinaryIO, seen: dict[int, int]) -> bytes:
    """What was not read before: whole lines."""
    inode = os.fstat(file.fileno()).st_ino
    file.seek(seen.get(inode, 0))
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    seen[inode] = seen.get(inode, 0) + len(whole)
    return whole


def _opened(path: str) -> int:
    try:
        return regular.open_regular(path, os.O_RDONLY)
    except OSError:
        return -1


def records(data: bytes) -> Iterator[Record]:
    """The whole lines; what is none is passed over."""
    for line in data.split(b"\n"):
        if line:
            try:
                yield Record(line)
            except ValueError:
                continue  # torn, or somebody wrote into it
