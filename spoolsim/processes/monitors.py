"""File monitors as uWSGI's master has them, for --faithful: one kernel watch on the file or directory itself.

Whatever happens to it raises the signal once for each look at the events, so a file that is made by `touch` in a
directory raises it twice: it is made, and its times are set. A file that is not there at the start is never watched,
and one that another is renamed over no more.
"""

from __future__ import annotations

import os

from spoolsim.spool import inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WHATEVER = inotify.ANY_CHANGE & ~inotify.CLOSE_WRITE | inotify.MOVE_SELF


class Monitors:
    """Watches files for a master. files: absolute path -> numbers of the signals. Raises OSError without inotify."""

    def __init__(self, files: Mapping[str, Sequence[int]]) -> None:
        self.fd = inotify.open()
        self._numbers: dict[int, list[int]] = {}
        for path, numbers in files.items():
            try:
                watch = inotify.add(self.fd, path, _WHATEVER)
            except OSError:
                continue  # not there: it never fires
            self._numbers.setdefault(watch, []).extend(numbers)  # two paths of one file share a watch

    def collect(self) -> list[int]:
        """What is to be raised for all that has happened since the last time."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return []
        happened = inotify.watches(data)
        return [number for watch, numbers in self._numbers.items() if watch in happened for number in numbers]

    def close(self) -> None:
        """Stop watching."""
        os.close(self.fd)
