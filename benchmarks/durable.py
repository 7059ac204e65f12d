"""What `--durable` costs: `python -m benchmarks.durable`.

The same small enqueue with and without it, taking turns, on a memory and on a disk file system. How long a disk takes
to say that something is on it differs by orders of magnitude from one to the next: measure where production runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

if not __package__:  # run as a file
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import machine
from benchmarks.contestants import Missing
from benchmarks.rooms import DISK, MEMORY, Places
from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer


def seconds(places: Places, place: str, count: int, *, durable: bool) -> float:
    """What one of `count` small enqueues takes there."""
    with places.room(place) as room:
        notes = Notes(lambda *said: None)
        producer = Producer([SpoolDir(room.spool)], log=Log(), notes=notes, quiet=True, durable=durable)
        began = time.perf_counter()
        for number in range(count):
            producer.spool({b"n": b"%d" % number})
        return (time.perf_counter() - began) / count


def main() -> int:
    """Print a line for each file system."""
    ap = argparse.ArgumentParser(prog="python -m benchmarks.durable", description=__doc__)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--count", type=int, default=500, help="enqueues of each kind in each round")
    ap.add_argument("--memory", metavar="DIR", help="where a tmpfs is")
    ap.add_argument("--disk", metavar="DIR", help="where a disk's file system is")
    a = ap.parse_args()
    print(machine.line())
    places = Places(a.memory, a.disk)
    try:
        for place in (MEMORY, DISK):
            taken: dict[bool, list[float]] = {False: [], True: []}
            try:
                for turn in range(a.rounds):
                    for durable in (False, True) if turn % 2 else (True, False):
                        taken[durable].append(seconds(places, place, a.count, durable=durable))
            except Missing as error:
                print(f"{place}: {error}")
                continue
            plain, synced = (statistics.median(taken[durable]) for durable in (False, True))
            told = f"plain {plain * 1e6:.0f} µs, durable {synced * 1e6:.0f} µs, {synced / plain:.1f} times as long"
            print(f"{places.kind(place)}: {told}")
    finally:
        places.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
