"""What the history costs: `python -m benchmarks.history`.

Waiting tasks are drained by one quiet process with the history and without it (`--history-size 0`), taking turns: tasks
that do nothing, and tasks that print ten lines; on a memory and on a disk file system. Each round compares the two
that ran beside each other, so that what slows the machine for a while slows both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

if not __package__:  # run as a file
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import machine
from benchmarks.contestants import Missing
from benchmarks.contestants.servers import Spoolsim
from benchmarks.rooms import DISK, MEMORY, Places

#: app -> what its tasks do, and the part of the rate that is to be left with a history
GOALS = {
    "noop": ("tasks that do nothing", 0.9),
    "prints": ("tasks that print ten lines of one text each", 0.8),
    "pieces": ("tasks that print ten lines of three arguments each", 0.8),
}


def rate(places: Places, place: str, app: str, count: int, *, kept: bool) -> float:
    """Tasks a second, from the first handler call to the last. kept: with the history. Raises Missing."""
    with places.room(place) as room:
        room.fill(count)
        more = () if kept else ("--history-size", "0")
        with Spoolsim().start(room, app, more=more) as instance:
            instance.wait(lambda: room.reader.total() >= count, f"{count} tasks to be run", timeout=60 + count / 100)
            first, last = room.reader.span()
            return (count - 1) / (last - first) * 1e9


def noise(rates: list[float]) -> str:
    """How much two runs of the same differ: of those without a history, each to the next."""
    parts = sorted(one / other for one, other in zip(rates[::2], rates[1::2], strict=False))
    return f"{statistics.median(parts):.3f} [{parts[0]:.3f}-{parts[-1]:.3f}]" if parts else "not known"


def line(name: str, app: str, rates: dict[bool, list[float]]) -> str:
    """The result of one app on one file system."""
    what, goal = GOALS[app]
    parts = sorted(kept / plain for kept, plain in zip(rates[True], rates[False], strict=True))
    found = statistics.median(parts)
    kept, plain = (statistics.median(rates[each]) for each in (True, False))
    verdict = "met" if found >= goal else "MISSED"
    return (
        f"{name}, {what}: {plain:,.0f} a second without, {kept:,.0f} with a history; "
        f"ratio {found:.3f} [{parts[0]:.3f}-{parts[-1]:.3f}], goal {goal}: {verdict}; "
        f"without to without {noise(rates[False])}"
    )


def main() -> int:
    """Print a line for each app and file system; 1 when a goal was missed."""
    ap = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    ap.add_argument("--rounds", type=int, default=9)
    ap.add_argument("--count", type=int, default=10_000, help="tasks of each drain")
    ap.add_argument("--memory", metavar="DIR", help="where a tmpfs is")
    ap.add_argument("--disk", metavar="DIR", help="where a disk's file system is")
    a = ap.parse_args()
    print(machine.line())
    places = Places(a.memory, a.disk)
    lines = []
    try:
        for place in (MEMORY, DISK):
            for app in GOALS:
                rates: dict[bool, list[float]] = {True: [], False: []}
                try:
                    for turn in range(a.rounds):
                        for kept in (True, False) if turn % 2 else (False, True):
                            rates[kept].append(rate(places, place, app, a.count, kept=kept))
                except Missing as error:
                    print(f"{place}: {error}")
                    continue
                lines.append(line(places.kind(place), app, rates))
                print(lines[-1], flush=True)
    finally:
        places.close()
    return 1 if any("MISSED" in each for each in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
