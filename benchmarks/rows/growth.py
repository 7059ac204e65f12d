"""Growth: what a task costs among 100,000 and 1,000,000 files, against what it costs among 1,000.

Unordered from the first handler call to the last. Ordered from when the process is ready to scan, because reading and
sorting all names comes before the first call.
"""

from __future__ import annotations

import statistics

from benchmarks.apps.marks import READY
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Row, Values, value_at_most
from benchmarks.rooms import MEMORY, Places
from benchmarks.rows.drain import run
from benchmarks.sizes import Sizes

#: files -> the goal
_GOALS = {100_000: value_at_most(1.15), 1_000_000: value_at_most(1.25)}


def _cost(server: Server, places: Places, count: int, ordered: bool) -> float:
    """Nanoseconds a task."""
    with places.room(MEMORY) as room:
        first, last = run(server, room, count, ordered=ordered)
        if ordered:
            first = min(found[READY] for found in room.reader.processes().values())
        return (last - first) / count


def _experiment(ordered: bool, index: int, size: int) -> Experiment:
    def measure(server: Server, places: Places, sizes: Sizes) -> Values:
        small = statistics.median(_cost(server, places, sizes.growth[0], ordered) for _ in range(sizes.growth_repeats))
        big = _cost(server, places, sizes.growth[min(index, len(sizes.growth) - 1)], ordered)
        return {"growth": big / small, "small": small, "big": big}

    order = "ordered" if ordered else "unordered"
    title = f"cost of a task at {size:,} files against 1,000, {order}"
    row = Row(title, "growth", "times", _GOALS[size])
    return Experiment(f"growth.{order}.{size}", ("uwsgi", "spoolsim"), measure, (row,), quick=index == 1)


EXPERIMENTS = tuple(
    _experiment(ordered, index, size) for index, size in ((1, 100_000), (2, 1_000_000)) for ordered in (False, True)
)
