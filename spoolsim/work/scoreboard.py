"""The scoreboard: a small mapped file in which every process says what it is doing.

Behind the words each slot has TASK bytes with the name of the task that runs, or ran last, none for the handler of a
uwsgi signal: when a worker dies, that says which task killed it. Behind these are the tasks that are done and could not
be removed (work/unremoved.py).

Workers write their own words and nobody else's, with no system call and no message per task; the fork server, the
master, `top` and the progress bar read. Whole words never tear, but pairs can: the task number is odd while its
slot changes, and a reader that meets that reads again.

    word        written by    meaning
    PID         fork server   0 when the slot is empty
    STATE       worker        IDLE, SCANNING, BUSY; DRAINED when it found nothing more to try, and ends
    SERIAL      worker        number of the task; odd while the words below change
    TASKS       worker        tasks that counted, in this process
    STARTED     worker        CLOCK_MONOTONIC nanoseconds; 0 when no task runs or is being settled
    HARAKIRI    worker        deadline, the same clock; 0 for none
    USER        worker        set_user_harakiri's deadline; 0 for none
    OUTCOME     worker        the last outcome: 1 done, 2 retry, 3 ignored
    LEAVE       both          1: settle what you hold and exit; the master and the fork server
    SPAWNS      fork server   processes this slot has had
    DONE        worker        tasks done in this slot since the start, all its processes together
    KEPT        worker        tasks kept (retried or ignored), likewise
"""

from __future__ import annotations

import mmap
import os
import sys
from stat import S_ISREG

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]  # has no seals

from spoolsim import system
from spoolsim.work import nameless, unremoved

(PID, STATE, SERIAL, TASKS, STARTED, HARAKIRI, USER, OUTCOME, LEAVE, SPAWNS, DONE, KEPT) = range(12)

IDLE, SCANNING, BUSY, DRAINED = range(4)

#: words before the slots: the master's pid, the number of slots, frequency (set_spooler_frequency), 1 once the app is
#: imported, four with a bit for each uwsgi signal that has a handler, and how many signals were lost as their queue
#: was full (written by whoever raises one), and 1 while nothing runs as the app could not be imported
HEAD = 16
MASTER, SLOTS, FREQUENCY, LOADED, SIGNALS = range(5)
DROPPED, STALLED = 8, 9
#: words of one slot: 128 bytes, two cache lines
WIDTH = 16
#: bytes of a slot's task: its size (2 bytes, little-endian), then its path below the spool directory, as long as the
#: kernel takes one
TASK = 4096

LAST_OUTCOME = {"done": 1, "retry": 2, "ignored": 3}


class Scoreboard:
    """The mapped words of one instance; `words[...]` for the head, `slot(n)` for a slot."""

    __slots__ = ("_map", "_tasks", "fd", "slots", "unremoved", "words")

    def __init__(self, fd: int, slots: int) -> None:
        self.fd = fd
        self.slots = slots
        self._map = mmap.mmap(fd, size(slots))
        self.words = memoryview(self._map)[: 8 * (HEAD + slots * WIDTH)].cast("Q")
        tasks = 8 * (HEAD + slots * WIDTH)
        self._tasks = memoryview(self._map)[tasks : tasks + slots * TASK]
        #: for work/unremoved.py
        self.unremoved = memoryview(self._map)[tasks + slots * TASK : size(slots)].cast("Q")

    @classmethod
    def create(cls, path: str | None, slots: int) -> Scoreboard:
        """A new scoreboard at `path`, or in a file without a name.

        Raises OSError, and leaves no file, when there is no room for it.
        """
        if path is None:
            fd = nameless.create(size(slots))
        else:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | system.O_CLOEXEC, 0o600)
        try:
            if path is None:
                _seal(fd)
            else:
                nameless.fill(fd, size(slots))
            board = cls(fd, slots)
        except BaseException:
            os.close(fd)
            if path is not None:
                os.unlink(path)
            raise
        board.words[SLOTS] = slots
        board.words[MASTER] = os.getpid()
        return board

    @classmethod
    def open(cls, path: str) -> Scoreboard | None:
        """Another instance's, to look at, and to be closed; None where there is none, or it is still being made."""
        try:
            fd = os.open(path, os.O_RDWR | system.O_CLOEXEC | system.O_NONBLOCK)
        except OSError:
            return None
        slots = count(fd)
        if slots < 0:
            os.close(fd)
            return None
        return cls(fd, slots)

    def slot(self, number: int) -> memoryview:
        """The words of one slot, 0 and up."""
        start = HEAD + number * WIDTH
        return self.words[start : start + WIDTH]

    def serving(self, number: int) -> memoryview:
        """The words of the process that serves slot `number` of the master, which has two seats here.

        The first seat's, all zeros perhaps, while none does.
        """
        first, second = self.slot(2 * number), self.slot(2 * number + 1)
        return second if second[PID] and not second[LEAVE] and (first[LEAVE] or not first[PID]) else first

    def task(self, number: int) -> memoryview:
        """The bytes of a slot's task."""
        return self._tasks[number * TASK : (number + 1) * TASK]

    def close(self) -> None:
        """Unmap; slots handed out must be released before."""
        self.words.release()
        self._tasks.release()
        self.unremoved.release()
        try:
            self._map.close()
        except BufferError:
            pass  # a slot is still looked at; the map goes with the process
        os.close(self.fd)


def count(fd: int) -> int:
    """How many slots the scoreboard behind a descriptor has; -1 for something else."""
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode):
        return -1
    slots = int.from_bytes(os.pread(fd, 8, 8 * SLOTS), sys.byteorder)
    return slots if status.st_size == size(slots) else -1


def runs(words: memoryview) -> bool:
    """Whether a handler runs in this slot: not any more while its task is settled."""
    return words[STARTED] != 0 and words[STATE] == BUSY


def deadline(words: memoryview) -> int:
    """The nearer of the two deadlines of a worker, in monotonic nanoseconds; 0 for none."""
    harakiri, user = words[HARAKIRI], words[USER]
    return min(harakiri, user) if harakiri and user else harakiri or user


def _seal(fd: int) -> None:
    """Nobody can cut it any more, which would kill every process that has it mapped."""
    if hasattr(fcntl, "F_ADD_SEALS"):
        try:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        except OSError:
            pass  # a file without a name, which nobody finds


def size(slots: int) -> int:
    """Bytes of a scoreboard."""
    return 8 * (HEAD + slots * WIDTH) + slots * TASK + 8 * unremoved.SIZE


def read_task(place: memoryview) -> str:
    """Which task runs, or ran last; '' for none yet, or for a signal's handler."""
    return bytes(place[2 : (place[0] | place[1] << 8) + 2]).decode("utf-8", "surrogateescape")
