"""Which tasks the other workers of an ordered directory have tried since our scan began.

All of them walk the same names in the same order: without this each would open the files of all the others, to find
them locked or gone. Unordered, each begins with a share of its own and needs none of it.

Each worker has a ring of the last tasks it tried, in memory that all of one fork server share, and reads the others'
before it tries one itself: a few words of memory in place of three system calls. What falls out of a ring before it
was read is tried as ever. And what another one could not have (still being written, no descriptors left) is not left to
that one alone, which may be busy by now: it is counted, and who passed over a name then looks again.
"""

from __future__ import annotations

import mmap

#: tasks in the ring of one worker
SIZE = 1024
#: before the ring: how many tasks its worker has tried so far, and how many of them could not be had
_COUNT, _FAILED, _HEAD = 0, 1, 2
_WIDTH = _HEAD + SIZE
_MASK = 2**64 - 1


def share(count: int) -> memoryview:
    """The words of the rings of so many workers, shared with every process forked from now on. Raises OSError."""
    return memoryview(mmap.mmap(-1, 8 * count * _WIDTH)).cast("Q")


class _Other:
    """The ring of another worker, as far as it was read, and what it could not have before our scan."""

    __slots__ = ("failed", "read", "words")

    def __init__(self, words: memoryview) -> None:
        self.words = words
        self.begin()

    def begin(self) -> None:
        self.read = self.words[_COUNT]
        self.failed = self.words[_FAILED]


class AttemptRing:
    """One worker's view. words: of all rings. index: which is ours; the others are read."""

    __slots__ = ("_marks", "_others", "_passed", "_words")

    def __init__(self, words: memoryview, index: int) -> None:
        rings = [words[start : start + _WIDTH] for start in range(0, len(words), _WIDTH)]
        self._words = rings.pop(index)
        self._others = [_Other(ring) for ring in rings]
        self._marks: set[int] = set()
        self._passed: list[str] = []

    def begin(self) -> None:
        """A scan begins: what was tried before it may be waiting again."""
        self._marks.clear()
        self._passed.clear()
        for other in self._others:
            other.begin()

    def failed(self) -> None:
        """What we tried last could not be had, for the time being."""
        self._words[_FAILED] += 1

    def to_recheck(self) -> list[str]:
        """The names that were passed over in this scan, if some that others tried could not be had."""
        return self._passed if any(other.words[_FAILED] != other.failed for other in self._others) else []

    def by_another(self, below: str, name: str) -> bool:
        """Has another worker tried this task since the scan began? If not, we are the one who does.

        below: of its directory (`Level.below`). Both are marked by a hash that all processes of a fork server share.
        """
        marks = self._marks
        for other in self._others:
            if other.words[_COUNT] != other.read:
                _read(other, marks)
        mark = (hash(below) ^ hash(name)) & _MASK
        if mark in marks:
            marks.remove(mark)
            self._passed.append(name)
            return True
        words = self._words
        count = words[_COUNT]
        words[_HEAD + count % SIZE] = mark
        words[_COUNT] = count + 1
        return False


def _read(other: _Other, marks: set[int]) -> None:
    words = other.words
    head = words[_COUNT]
    for number in range(max(other.read, head - SIZE), head):
        marks.add(words[_HEAD + number % SIZE])
    other.read = head
