"""Has a file been touched (touch-spoolers-reload)? Have source files stopped changing (--watch)?

Pure: what stat found before and now, and the time, are handed in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: (mtime in nanoseconds, inode), or None for a file that is not there
    Seen = tuple[int, int] | None

_SECOND = 1_000_000_000


def touched(before: Seen, now: Seen, *, every: bool) -> bool:
    """Is this a touch? Made, removed, or changed; a replaced file (as editors do) is a changed one.

    every: any change is one. Else, as in uWSGI, whole seconds of the mtime count, and only upwards.
    """
    if before is None or now is None:
        return before is not now
    return now != before if every else now[0] // _SECOND > before[0] // _SECOND


#: an editor writes several times: seconds without a change before a reload
_QUIET = 0.1
#: but some programs never stop writing: seconds from the first change until the reload in any case
_LOUD = 2.0


class Quiet:
    """Waits until source files do not change any more. at: monotonic seconds when to ask; None: nothing changed."""

    __slots__ = ("_latest", "at")

    def __init__(self) -> None:
        self.at: float | None = None
        self._latest = 0.0

    def changed(self, now: float) -> None:
        """A file has changed."""
        if self.at is None:
            self._latest = now + _LOUD
        self.at = min(now + _QUIET, self._latest)

    def over(self, now: float) -> bool:
        """True once, when it has been quiet for long enough, or loud for too long."""
        if self.at is None or now < self.at:
            return False
        self.at = None
        return True
