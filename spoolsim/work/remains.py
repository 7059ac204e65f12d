"""What a drain tried and did not get done: gathered from every process, so that its last line tells the truth.

A spooler reports at once, by one write to a pipe: what it would only remember would be lost if it died.
"""

from __future__ import annotations

import os

from spoolsim.work.notices import DROPPED, MOVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: bytes of one report: a pipe takes this many at once, never mixed with those of others
_LONGEST = 4096


class Remains:
    """What is known of the tasks that were not done.

    reasons: path -> what happened, of tasks that should still be there. aside: the same, of tasks that were moved into
    `.spoolsim/`. dropped: of broken ones that were deleted as uWSGI does. stopped: why the drain ended before its end,
    '' if it did not.
    """

    __slots__ = ("_partial", "aside", "dropped", "reasons", "stopped")

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.aside: dict[str, str] = {}
        self.dropped: dict[str, str] = {}
        self.stopped = ""
        self._partial = b""

    def report(self, how: str, path: str, why: str) -> None:
        """Take in one report of a worker (`Notices.tell`)."""
        where = {MOVED: self.aside, DROPPED: self.dropped}.get(how, self.reasons)
        where[path] = why

    def collect(self, fd: int) -> None:
        """Take in what has come on a pipe so far; `fd` does not block."""
        while True:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            *fields, last = (self._partial + data).split(b"\0")
            whole = len(fields) // 3 * 3
            self._partial = b"\0".join([*fields[whole:], last])
            for at in range(0, whole, 3):
                how, path, why = fields[at : at + 3]
                self.report(how.decode(), os.fsdecode(path), why.decode("utf-8", "replace"))


def reporter(fd: int) -> Callable[[str, str, str], None]:
    """What a worker reports to, in another process: the writing end of that pipe."""

    def report(how: str, path: str, why: str) -> None:
        head = how.encode() + b"\0" + os.fsencode(path) + b"\0"
        reason = why.replace("\0", " ").encode("utf-8", "backslashreplace")
        try:
            os.write(fd, head + reason[: max(_LONGEST - len(head) - 1, 0)] + b"\0")
        except OSError:
            pass  # the master is gone, and nobody asks any more

    return report
