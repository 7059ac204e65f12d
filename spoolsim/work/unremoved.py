"""Tasks that are done but could not be removed: no process of this instance runs them again.

Their directory may be read-only, the file immutable, the disk at fault. The marks are in memory that all processes of
the instance share (the scoreboard), the newest in place of the oldest where there are more than fit.
"""

from __future__ import annotations

from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.claim import Claim

#: words: how many were marked so far, then their marks
SIZE = 256
_MARKS = SIZE - 1


class Unremoved:
    """The marks, in `words` (SIZE of them); its own memory without. True when there is one."""

    __slots__ = ("_words",)

    def __init__(self, words: memoryview | None = None) -> None:
        self._words = memoryview(bytearray(8 * SIZE)).cast("Q") if words is None else words

    def __bool__(self) -> bool:
        return self._words[0] != 0

    def add(self, claim: Claim) -> None:
        """This task is done, and stays."""
        count = self._words[0]
        self._words[1 + count % _MARKS] = _mark(claim)
        self._words[0] = count + 1

    def __contains__(self, claim: Claim) -> bool:
        return bool(self) and _mark(claim) in self._words[1 : 1 + min(self._words[0], _MARKS)].tolist()


def _mark(claim: Claim) -> int:
    """The same in each process for the same file; a file of the same name that comes later is another one."""
    return crc32(claim.task.encode("utf-8", "surrogateescape")) << 32 | claim.inode & 0xFFFFFFFF
