"""What the processes of a run share about their log: what was said already, and whose turn it is to write.

In one small file without a name, which the master makes and every fork server and spooler maps. So what is said once
is said once in a run, also across recycles and reloads.
"""

from __future__ import annotations

import mmap

try:
    import fcntl
except ImportError:  # no POSIX: one process, which has no such file
    fcntl = None  # type: ignore[assignment]  # never reached then

from spoolsim.work import nameless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.log import Log

#: words: how many marks there are; whether a big text is being written; the marks
_COUNT, _WRITING, _HEAD = 0, 1, 2
_SLOTS = 1 << 13
#: so many marks are remembered; with more all are forgotten, and things may be said again
_FULL = _SLOTS * 3 // 4
#: bytes of the file that are locked while a mark is added, and while a big text is written
_ADDING, _TURN = 0, 1


def create() -> int:
    """The descriptor of a new file for `Said` and `Turn`. Raises OSError."""
    return nameless.create(8 * (_HEAD + _SLOTS))


def _words(fd: int) -> memoryview:
    return memoryview(mmap.mmap(fd, 8 * (_HEAD + _SLOTS))).cast("Q")


class Said:
    """What has been said, by any process that has the same file; without one (`fd` -1), by this process."""

    __slots__ = ("_fd", "_here", "_words")

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd
        self._words = _words(fd) if fd >= 0 else None
        self._here: dict[tuple[str, ...], None] = {}

    def first(self, *key: str) -> bool:
        """True for the first who asks about this key: it is to be said now."""
        here = self._here
        if key in here:
            return False
        if len(here) >= _FULL:
            del here[next(iter(here))]
        here[key] = None
        return self._words is None or self._first_of_all(self._words, _mark("\0".join(key)))

    def _first_of_all(self, words: memoryview, mark: int) -> bool:
        if words[_find(words, mark)] == mark:
            return False
        locked = _lock(self._fd, _ADDING)
        try:
            at = _find(words, mark)
            if words[at] == mark:
                return False
            if words[_COUNT] >= _FULL:
                for slot in range(_HEAD, _HEAD + _SLOTS):
                    words[slot] = 0
                words[_COUNT] = 0
                at = _find(words, mark)
            words[at] = mark
            words[_COUNT] += 1
            return True
        finally:
            if locked:
                _unlock(self._fd, _ADDING)


class Turn:
    """Lets one process at a time write a text that a pipe does not take in one piece; others wait only meanwhile."""

    __slots__ = ("_fd", "_words")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._words = _words(fd)

    def taken(self) -> bool:
        """Is a big text being written? Costs no system call."""
        return self._words[_WRITING] != 0

    def write(self, write: Callable[[], None]) -> None:
        """Call `write` while nobody else writes."""
        if not _lock(self._fd, _TURN):
            write()
            return
        try:
            self._words[_WRITING] = 1
            write()
        finally:
            self._words[_WRITING] = 0
            _unlock(self._fd, _TURN)


def share(fd: int, log: Log) -> Said:
    """What was said in the run whose file this is; the log takes turns with the others of that run."""
    log.turn = Turn(fd)
    return Said(fd)


def _lock(fd: int, at: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, at)
    except OSError:
        return False  # the app has closed our descriptor: two may say the same
    return True


def _unlock(fd: int, at: int) -> None:
    try:
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, at)
    except OSError:
        pass


def _find(words: memoryview, mark: int) -> int:
    """Where this mark is, or would be."""
    at = mark % _SLOTS
    while (found := words[_HEAD + at]) and found != mark:
        at = (at + 1) % _SLOTS
    return _HEAD + at


def _mark(text: str) -> int:
    """A hash that is the same in every process (FNV-1a); never 0."""
    mark = 0xCBF29CE484222325
    for byte in text.encode("utf-8", "surrogatepass"):
        mark = ((mark ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return mark or 1
