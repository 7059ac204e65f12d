"""Marks that a measured process leaves in mapped memory, and that the benchmark reads.

The same file is imported by the app under the real uWSGI, under spoolsim, and by the benchmark itself. A mark costs
no system call, so it weighs the same in every contestant. Times are CLOCK_MONOTONIC nanoseconds, which all
processes of a machine share.
"""

from __future__ import annotations

import mmap
import os
import time

#: the environment variable with the directory of the marks
HOME = "SPOOLBENCH_MARKS"
#: words of one process: ready to scan, first and last handler call, number of calls
READY, FIRST, LAST, COUNT = range(4)
_WORDS = 4


def now() -> int:
    """The time of a mark."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def words(path: str, count: int) -> memoryview:
    """The 8-byte words of a file, made or enlarged as needed, mapped."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.fstat(fd).st_size < 8 * count:
        os.ftruncate(fd, 8 * count)
    mapped = mmap.mmap(fd, 8 * count)
    os.close(fd)
    return memoryview(mapped).cast("Q")


def own() -> memoryview:
    """The marks of this process."""
    mine = words(f"{os.environ[HOME]}/process-{os.getpid()}", _WORDS)
    mine[READY] = now()
    return mine


def shared(name: str, count: int) -> memoryview:
    """Words that all processes of one measurement share."""
    return words(f"{os.environ[HOME]}/{name}", count)


class Reader:
    """The benchmark's view of all processes' marks in a directory."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._known: dict[int, memoryview] = {}

    def processes(self) -> dict[int, memoryview]:
        """By pid, every process that has left marks."""
        for name in os.listdir(self.home):
            kind, _, pid = name.partition("-")
            path = f"{self.home}/{name}"
            if kind == "process" and int(pid) not in self._known and os.stat(path).st_size == 8 * _WORDS:
                self._known[int(pid)] = words(path, _WORDS)
        return self._known

    def total(self) -> int:
        """Handler calls of all processes together."""
        return sum(found[COUNT] for found in self.processes().values())

    def span(self) -> tuple[int, int]:
        """From the first handler call of any process to the last of any."""
        called = [found for found in self.processes().values() if found[COUNT]]
        return min(found[FIRST] for found in called), max(found[LAST] for found in called)
