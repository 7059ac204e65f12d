"""Which tasks a drain has tried: each is tried once, by whichever process, also after one of them has died.

Every process of a directory has a ring of its own in memory that all of one fork server share: the task it runs, and
the tasks it ran that are still there. A task's lock is held while it is looked up and while it is marked, so no two
processes can both find it untried.

What is not told to be gone counts as kept, also by the process that takes the place of one that died: a task that
kills its process is tried once, too.
"""

from __future__ import annotations

import mmap

#: tasks that stay, of one process, that the others learn of; beyond, each process tries a task once
SIZE = 1 << 17
_COUNT, _LAST, _HEAD = 0, 1, 2
_WIDTH = _HEAD + SIZE
_MASK = 2**64 - 1


def share(count: int) -> memoryview:
    """The words of the rings of this many processes, shared with every process forked from now on. Raises OSError."""
    return memoryview(mmap.mmap(-1, 8 * count * _WIDTH)).cast("Q")


class Attempted:
    """One process's view. words: of all rings. index: which of them is its own."""

    __slots__ = ("_marks", "_others", "_own", "_read")

    def __init__(self, words: memoryview, index: int) -> None:
        rings = [words[start : start + _WIDTH] for start in range(0, len(words), _WIDTH)]
        self._own = rings.pop(index)
        self._others = rings
        self._read = [0] * len(rings)
        self._marks: set[int] = set()
        self._keep()  # the task in which the process before us died
        self._marks.update(self._own[_HEAD : _HEAD + self._own[_COUNT]])

    def begin(self, task: str, inode: int) -> bool:
        """True for a task that nobody has tried: it is run now. To be called with its lock held.

        task: its path below the spool directory. inode: of its file; another file under the same name is another task.
        """
        self._keep()
        mark = hash((task, inode)) & _MASK or 1
        for number, other in enumerate(self._others):
            count = other[_COUNT]
            read = self._read[number]
            if count != read:
                self._marks.update(other[_HEAD + read : _HEAD + count])
                self._read[number] = count
            if other[_LAST] == mark:  # its process has just let go of it, or died in it
                return False
        if mark in self._marks:
            return False
        self._own[_LAST] = mark
        return True

    def gone(self) -> None:
        """The task that began last is no longer in the directory."""
        self._own[_LAST] = 0

    def _keep(self) -> None:
        own = self._own
        mark = own[_LAST]
        if not mark:
            return
        self._marks.add(mark)
        count = own[_COUNT]
        if count < SIZE:
            own[_HEAD + count] = mark
            own[_COUNT] = count + 1
        own[_LAST] = 0
