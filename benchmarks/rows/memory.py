"""Memory: an idle tree, and the peak of a worker over many files. Linux only: /proc tells."""

from __future__ import annotations

import os
import re

from benchmarks.contestants import Missing
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Goal, Row, Values, at_most
from benchmarks.rooms import MEMORY, Places
from benchmarks.sizes import Sizes

_BOTH = ("uwsgi", "spoolsim")


def _megabytes(path: str, field: str) -> float:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = re.search(rf"^{field}:\s+(\d+) kB", file.read(), re.MULTILINE)
    except FileNotFoundError:
        if not os.path.isdir("/proc/self"):
            raise Missing("memory is read from /proc, which this system lacks") from None
        raise
    if found is None:
        raise Missing(f"{path} has no {field}")
    return int(found[1]) / 1024


def _idle(processes: int) -> Experiment:
    def measure(server: Server, places: Places, sizes: Sizes) -> Values:
        count = 200
        with places.room(MEMORY) as room:
            room.fill(count)
            with server.start(room, "noop", processes=processes) as instance:
                instance.wait(lambda: room.reader.total() >= count, "the tasks")
                instance.wait(lambda: len(room.reader.processes()) == processes, "all spoolers")
                workers = list(room.reader.processes())
                rss = [_megabytes(f"/proc/{pid}/status", "VmRSS") for pid in workers]
                tree = sum(_megabytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in instance.members())
                return {"rss": rss, "tree": tree}

    rows = [Row(f"memory, whole tree, {processes} idle, PSS", "tree", "MB", at_most(3 if processes == 1 else 1.7))]
    if processes == 1:
        rows.insert(0, Row("memory, idle worker, RSS", "rss", "MB", at_most(1.2)))
    return Experiment(f"memory.idle.{processes}", _BOTH, measure, tuple(rows))


def _peak(ordered: bool, goal: Goal) -> Experiment:
    def measure(server: Server, places: Places, sizes: Sizes) -> Values:
        with places.room(MEMORY) as room:
            room.fill(sizes.peak)
            with server.start(room, "noop", ordered=ordered) as instance:
                instance.wait(lambda: room.reader.total() >= sizes.peak, "the tasks", timeout=300, step=0.05)
                (pid,) = room.reader.processes()
                return {"peak": _megabytes(f"/proc/{pid}/status", "VmHWM")}

    order = "ordered" if ordered else "unordered"
    row = Row(f"memory, worker's peak over 100,000 files, {order}", "peak", "MB", goal)
    return Experiment(f"memory.peak.{order}", _BOTH, measure, (row,))


EXPERIMENTS = (_idle(1), _idle(4), _peak(False, at_most(2)), _peak(True, at_most(2)))
