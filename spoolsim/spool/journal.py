"""The journal: one appended line for each outcome, so that a person can see what was tried, and how often.

    time  pid  outcome  attempt  took  task  why

Fields are separated by tabs; `time` in microseconds since 1970, `attempt` from 1, `took` in microseconds, `task` below
the spool directory, written as a Python string would be where it holds anything but printable characters. It only
observes: what cannot be written is left out, and never a reason for a task to fail. Lines are gathered and written
together, at the latest when a scan ends. It is bounded: at LIMIT bytes it becomes `journal.1`, in place of an older
one, and the new one begins with the last lines of the tasks that are still there: how often they were tried is not
forgotten for what happened to others.
"""

from __future__ import annotations

import os
import time

from spoolsim import system
from spoolsim.log import encoded
from spoolsim.spool import regular
from spoolsim.spool.lock import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.spool.directory import SpoolDir

NAME = "journal"
OLDER = "journal.1"
#: bytes of one file
LIMIT = 1_000_000
#: so many lines are gathered at most
GATHERED = 128
#: so many characters of a reason are written
_LONG = 1000
#: attempts of so many tasks that stay are remembered
_REMEMBERED = 10_000

#: without waiting, should a FIFO lie in its place
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW | system.O_NONBLOCK
#: in the line of a task that is done at the first try, and in no other
_FIRST = b"\tdone\t1\t"

#: what a name may hold that is written as it is: printable ASCII but the backslash
_TAME = bytes(byte for byte in range(32, 127) if byte != ord("\\"))

#: outcomes beside done, retry and ignored: the worker died while it ran; the task was moved to failed/
DIED, FAILED = "died", "failed"


class _Row:
    """Of one task: attempts so far, how many came before the last row of the same kind, and that kind and its reason.

    asked: the handler asked for the task to be kept, and did not fail.
    """

    __slots__ = ("asked", "attempt", "before", "why")

    def __init__(self, attempt: int, before: int, asked: bool, why: str) -> None:
        self.attempt = attempt
        self.before = before
        self.asked = asked
        self.why = why


_NONE = _Row(0, 0, False, "")


def _asked(outcome: str, why: str) -> bool:
    """Did the handler ask for its task to be kept (SPOOL_RETRY, which has no reason, or SPOOL_IGNORE)?"""
    return outcome == "ignored" or (outcome == "retry" and not why)


class Line:
    """One line, read back. time: epoch seconds. seconds: how long the task took."""

    __slots__ = ("attempt", "outcome", "pid", "seconds", "task", "time", "why")

    def __init__(self, time: float, pid: int, outcome: str, attempt: int, seconds: float, task: str, why: str) -> None:
        self.time = time
        self.pid = pid
        self.outcome = outcome
        self.attempt = attempt
        self.seconds = seconds
        self.task = task
        self.why = why


class Tail:
    """Reads what was added to the journal of one directory since it read last; the first time, all that is there."""

    __slots__ = ("_inode", "_offset", "_spool")

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool
        #: how far the file has been read
        self._inode = 0
        self._offset = 0

    def lines(self) -> Iterator[Line]:
        """The new lines, oldest first; what is no whole line is passed over, and one without an end is left."""
        inode, data = _added(self._spool.state_dir(NAME), self._inode, self._offset)
        if inode != self._inode:  # what was added to the one before has another name now
            yield from _whole(_added(self._spool.state_dir(OLDER), self._inode, self._offset)[1])[1]
            self._inode, self._offset = inode, 0
        size, found = _whole(data)
        self._offset += size
        yield from found


class Journal:
    """Writes the journal of one directory, for one process.

    gathered: tasks that are done, for the next flush: (time, took, task), both in microseconds. Hot, and so written
        in one go: whoever adds to it flushes when it holds GATHERED.
    """

    __slots__ = ("_attempts", "_pid", "_spool", "_tail", "at", "gathered")

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool
        self.gathered: list[tuple[int, int, str]] = []
        #: of the last line, microseconds since 1970
        self.at = 0
        self._pid = os.getpid()
        #: task -> what is known of its attempts, of tasks that stayed
        self._attempts: dict[str, _Row] = {}
        #: reads back what other processes write
        self._tail = Tail(spool)

    def done(self, task: str, took: int) -> None:
        """A task is done, after `took` nanoseconds."""
        self.at = at = time.time_ns() // 1000
        self.gathered.append((at, took // 1000, task))
        if len(self.gathered) >= GATHERED:
            self.flush()

    def add(self, task: str, outcome: str, took: int, why: str = "") -> int:
        """Any other outcome, after `took` nanoseconds; returns which attempt of this task it was."""
        self.flush()  # a task of that name that is done before counts no more
        if outcome == FAILED:
            attempt = self._attempts.pop(task, _NONE).attempt
        else:
            attempt = self.attempts(task) + 1
            self._remember(task, attempt, _asked(outcome, why), why)
        why = why.replace("\t", " ").replace("\n", " ")[:_LONG]
        if "\\" in task or not task.isprintable():
            task = _escaped(task)
        self.at = at = time.time_ns() // 1000
        self._write(f"{at}\t{self._pid}\t{outcome}\t{attempt}\t{took // 1000}\t{task}\t{why}\n")
        return attempt

    def attempts(self, task: str) -> int:
        """How often a task was tried before, by any process, as far as the journal reaches back."""
        self._read_on()
        return self._attempts.get(task, _NONE).attempt

    def row(self, task: str) -> tuple[int, bool, str]:
        """How often in a row a task failed, or asked to be kept (True); and why, the last time; as far as was read."""
        row = self._attempts.get(task, _NONE)
        return row.attempt - row.before, row.asked, row.why

    def _read_on(self) -> None:
        """Take in what other processes have written since."""
        for line in self._tail.lines():
            self._take(line)

    def _take(self, line: Line) -> None:
        if line.outcome in ("done", FAILED):
            self._attempts.pop(line.task, None)
        else:
            attempt = max(line.attempt, self._attempts.get(line.task, _NONE).attempt)
            self._remember(line.task, attempt, _asked(line.outcome, line.why), line.why)

    def _remember(self, task: str, attempt: int, asked: bool, why: str) -> None:
        row = self._attempts.get(task)
        before = 0 if row is None else row.before if row.asked == asked else row.attempt
        if len(self._attempts) >= _REMEMBERED and task not in self._attempts:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[task] = _Row(attempt, before, asked, why)

    def flush(self) -> None:
        """Write what was gathered."""
        rows = self.gathered
        if not rows:
            return
        tasks = "".join([row[2] for row in rows])
        if self._attempts or not tasks.isascii() or tasks.encode().translate(None, _TAME):
            text = "".join([self._line(*row) for row in rows])
        else:
            done = f"\t{self._pid}{_FIRST.decode()}"
            text = "".join([f"{at}{done}{took}\t{task}\t\n" for at, took, task in rows])
        rows.clear()
        self._write(text)

    def _line(self, at: int, took: int, task: str) -> str:
        """Of one task that is done."""
        attempt = self._attempts.pop(task, _NONE).attempt + 1
        if "\\" in task or not task.isprintable():
            task = _escaped(task)
        return f"{at}\t{self._pid}\tdone\t{attempt}\t{took}\t{task}\t\n"

    def _write(self, text: str) -> None:
        try:
            path = os.path.join(self._spool.make_state_dir(), NAME)
            fd = os.open(path, _APPEND, 0o600)
            try:
                os.write(fd, encoded(text))
                status = os.fstat(fd)
                if status.st_size > LIMIT:
                    self._rotate(path, fd, status.st_ino)
            finally:
                os.close(fd)
        except OSError:
            pass  # the disk is full, or the directory gone: the tasks matter more

    def _rotate(self, path: str, fd: int, inode: int) -> None:
        """Begin a new file.

        By one process alone: a second would put the new file in the place of the one that is full.
        """
        if not try_lock(fd) or os.stat(path).st_ino != inode:
            return
        carried = self._unfinished()
        os.rename(path, self._spool.state_dir(OLDER))
        if carried:
            fresh = os.open(path, _APPEND, 0o600)
            try:
                os.write(fresh, carried)
            finally:
                os.close(fresh)

    def _unfinished(self) -> bytes:
        """The last lines of each task that was tried and is still there; the newest, where they are many.

        Of each the last by which it failed, and the last by which it asked to be kept: so both rows can be counted.
        """
        last: dict[tuple[str, bool], bytes] = {}
        for name in (OLDER, NAME):  # the older one too: the process that began this one may have died before it carried
            try:
                data = regular.read(self._spool.state_dir(name))
            except OSError:
                continue
            if data.count(_FIRST) == data.count(b"\n"):
                continue  # all done at the first try: never unfinished
            for text in data.split(b"\n"):
                if _FIRST in text or (line := parse(text.decode("utf-8", "surrogateescape"))) is None:
                    continue
                if line.outcome in ("done", FAILED):
                    last.pop((line.task, True), None)
                    last.pop((line.task, False), None)
                else:
                    key = (line.task, _asked(line.outcome, line.why))
                    last.pop(key, None)
                    last[key] = text
        carried: list[bytes] = []
        room = LIMIT // 2
        for (task, _), text in reversed(last.items()):
            if os.path.lexists(f"{self._spool.path}/{task}"):
                room -= len(text) + 1
                if room < 0:
                    break
                carried.append(text + b"\n")
        return b"".join(reversed(carried))


def read(spool: SpoolDir) -> Iterator[Line]:
    """All lines there are, oldest first; what is no whole line is passed over."""
    for name in (OLDER, NAME):
        yield from _lines_of(spool.state_dir(name))


def _added(path: str, inode: int, offset: int) -> tuple[int, bytes]:
    """A file's inode, and what is behind the offset; all where the inode is another one; (-1, b"") for no file."""
    try:
        with open(regular.open_regular(path, os.O_RDONLY), "rb") as file:
            found = os.fstat(file.fileno()).st_ino
            if found == inode:
                file.seek(offset)
            return found, file.read()
    except OSError:
        return -1, b""


def _whole(data: bytes) -> tuple[int, list[Line]]:
    """How many bytes the whole lines are, and these lines."""
    size = data.rfind(b"\n") + 1
    texts = data[:size].decode("utf-8", "surrogateescape").split("\n")
    return size, [line for text in texts if (line := parse(text)) is not None]


def _lines_of(path: str) -> Iterator[Line]:
    try:
        fd = regular.open_regular(path, os.O_RDONLY)
        with open(fd, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for text in file:
                if (line := parse(text)) is not None:
                    yield line
    except OSError:
        return


def parse(text: str) -> Line | None:
    """One line, or None when it is none."""
    fields = text.rstrip("\n").split("\t")
    try:
        when, pid, outcome, attempt, took, task, why = fields
        if "\\" in task:
            task = task.encode("ascii").decode("unicode_escape")
        return Line(int(when) / 1e6, int(pid), outcome, int(attempt), int(took) / 1e6, task, why)
    except ValueError:
        return None


def _escaped(task: str) -> str:
    """A file name may hold tabs and ends of lines, with which it would end its field, or forge a line."""
    return task.encode("unicode_escape").decode("ascii")
