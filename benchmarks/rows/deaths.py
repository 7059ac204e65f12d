"""Deaths: the gap at a recycle, how late a harakiri strikes, and how soon a killed task is tried again."""

from __future__ import annotations

import os
import select
from itertools import pairwise

from benchmarks.apps import marks
from benchmarks.contestants import Missing
from benchmarks.contestants.servers import Server
from benchmarks.instance import Instance, TooLate
from benchmarks.model import Experiment, Row, Values, at_most
from benchmarks.rooms import MEMORY, Places
from benchmarks.sizes import Sizes

_BOTH = ("uwsgi", "spoolsim")
#: tasks of one process before it is recycled
_EACH = 20
#: seconds a task may take before harakiri
_HARAKIRI = 1


def recycle(server: Server, places: Places, sizes: Sizes) -> Values:
    """Milliseconds from the last handler call of a process to the first of its successor."""
    count = _EACH * (sizes.recycles + 1)
    with places.room(MEMORY) as room:
        room.fill(count)
        more = ("--spooler-max-tasks", str(_EACH))
        with server.start(room, "noop", more=more) as instance:
            instance.wait(lambda: room.reader.total() >= count, "the tasks")
            lives = sorted(
                (found[marks.FIRST], found[marks.LAST]) for found in room.reader.processes().values() if found[3]
            )
    return {"ms": [(after[0] - before[1]) / 1e6 for before, after in pairwise(lives)]}


def kills(server: Server, places: Places, sizes: Sizes) -> Values:
    """A handler that hangs is killed, and tried again: both in milliseconds."""
    late, retry = [], []
    with places.room(MEMORY) as room:
        room.fill(1)
        with server.start(room, "hang", more=("--spooler-harakiri", str(_HARAKIRI))) as instance:
            known: set[int] = set()
            pid, began = _next_call(instance, room.reader, known)
            for _ in range(sizes.kills):
                died = _death(pid)
                pid, again = _next_call(instance, room.reader, known)
                late.append((died - began) / 1e6 - _HARAKIRI * 1000)
                retry.append((again - died) / 1e6)
                began = again
    return {"late": late, "retry": retry}


def _next_call(instance: Instance, reader: marks.Reader, known: set[int]) -> tuple[int, int]:
    """The process that has the task now, and since when."""

    def new() -> list[int]:
        return [pid for pid, found in reader.processes().items() if pid not in known and found[marks.COUNT]]

    instance.wait(new, "the next process to take the task", step=0.005)
    (pid,) = new()
    known.add(pid)
    return pid, reader.processes()[pid][marks.FIRST]


def _death(pid: int, timeout: float = 30) -> int:
    """Wait for a process, not a child of ours, to die; when it did."""
    if not hasattr(os, "pidfd_open"):
        raise Missing("the death of another program's process is seen through pidfd, which this system lacks")
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], timeout)[0]:
            raise TooLate(f"process {pid} was not killed in {timeout:g} s")
        return marks.now()
    finally:
        os.close(fd)


EXPERIMENTS = (
    Experiment(
        "recycle",
        _BOTH,
        recycle,
        (Row("recycle: last task of the old process to first of the new", "ms", "ms", at_most(0.01)),),
    ),
    Experiment(
        "harakiri",
        _BOTH,
        kills,
        (
            Row("harakiri: kill after the deadline", "late", "ms", at_most(0.1)),
            Row("kill to start of the retry", "retry", "ms", at_most(0.05)),
        ),
    ),
)
