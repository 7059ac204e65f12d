"""touch-spoolers-reload: has one of the files been touched?

Pure: what stat found before and now is handed in.
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
