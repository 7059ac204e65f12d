"""What became of each task: one byte for each of acknowledged, begun and done, in a file that all processes map."""

from __future__ import annotations

import mmap
import os

FILE = "SOAK_LEDGER"
#: bytes before the counts: how far producers may go, as one native word
HEAD = 8


class Ledger:
    """The counts of tasks 0 up to `tasks`. A task has one writer at a time: its producer, then whoever claimed it."""

    def __init__(self, path: str, tasks: int) -> None:
        self.tasks = tasks
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < HEAD + 3 * tasks:
                os.ftruncate(fd, HEAD + 3 * tasks)
            self._map = mmap.mmap(fd, HEAD + 3 * tasks)
        finally:
            os.close(fd)
        view = memoryview(self._map)
        self._gate = view[:HEAD].cast("Q")
        self.acknowledged, self.begun, self.done = (
            view[HEAD + part * tasks : HEAD + (part + 1) * tasks] for part in range(3)
        )

    @property
    def gate(self) -> int:
        """Tasks of lower numbers may be enqueued."""
        return self._gate[0]

    @gate.setter
    def gate(self, number: int) -> None:
        self._gate[0] = number

    def count(self, part: memoryview) -> int:
        """Tasks with a count above 0."""
        return self.tasks - bytes(part).count(0)


def add(part: memoryview, number: int) -> int:
    """Count one more; returns the new count."""
    part[number] = min(part[number] + 1, 255)
    return part[number]
