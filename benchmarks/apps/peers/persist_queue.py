"""persist-queue: its SQLite queue with acknowledgement, the one that loses no task when the consumer dies."""

from __future__ import annotations

import os
import sys

import persistqueue
from timing import main, timed

KINDS = {
    "ack": lambda path: persistqueue.SQLiteAckQueue(path, auto_commit=True),
    "fifo": lambda path: persistqueue.FIFOSQLiteQueue(path, auto_commit=True),
    "file": lambda path: persistqueue.Queue(path, autosave=False),
}


def measure(directory: str, count: int) -> float:
    kind = sys.argv[3]
    queue = KINDS[kind](os.path.join(directory, kind))
    for n in range(count):
        queue.put({"n": n})

    def drain() -> None:
        for _ in range(count):
            item = queue.get()
            if kind == "ack":
                queue.ack(item)
            elif kind == "file":
                queue.task_done()

    return timed(drain)


main(measure)
