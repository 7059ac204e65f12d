"""What a spooler knows from one scan to the next."""

from __future__ import annotations

from spoolsim.work.wait import LOOKS, POLL


class Turn:
    """What one turn of a spooler leaves to the next.

    Attributes:
        why: What ended the last wait.
        ran: How many tasks the last scan ran.
        only: The names that alone are to be tried; None for all.
        newest: The name that an event told of, which is tried before the directory is read.
        tried: The name that was just tried, and stays.
        pauses: Of a drain, the pauses before it looks again for files that are being written.
        rests: Nothing is to be scanned now.
    """

    __slots__ = ("newest", "only", "pauses", "ran", "rests", "tried", "why")

    def __init__(self) -> None:
        self.why = POLL
        self.ran = 0
        self.only: set[str] | None = None
        self.newest = self.tried = ""
        self.pauses = iter(LOOKS)
        self.rests = False
