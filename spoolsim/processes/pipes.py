"""The queues of uwsgi signals, which all processes of a run inherit: one for the spoolers, one for the web worker."""

from __future__ import annotations

from spoolsim.work.signals import Pipe


class Pipes:
    """Both.

    Attributes:
        spoolers: Its signals go to whichever spooler is free first.
        workers: Likewise for the stand-in worker; None without one.
    """

    __slots__ = ("spoolers", "workers")

    def __init__(self, *, stand_in: bool) -> None:
        self.spoolers = Pipe.open()
        self.workers = Pipe.open() if stand_in else None

    def descriptors(self) -> list[int]:
        """All, for a process that is to inherit them."""
        pipes = [self.spoolers, self.workers] if self.workers else [self.spoolers]
        return [fd for pipe in pipes for fd in (pipe.reader, pipe.writer)]

    def renew(self) -> None:
        """New ones: signals that nobody took are lost."""
        self.spoolers.close()
        self.spoolers = Pipe.open()
        if self.workers:
            self.workers.close()
            self.workers = Pipe.open()
