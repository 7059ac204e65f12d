"""huey on SQLite: its own dequeue and execute in a tight loop, without the consumer's threads and logging."""

from __future__ import annotations

import logging
import os

from huey import SqliteHuey
from timing import main, timed


def measure(directory: str, count: int) -> float:
    logging.getLogger("huey").setLevel(logging.CRITICAL)
    huey = SqliteHuey(filename=os.path.join(directory, "huey.db"), results=False)

    @huey.task()
    def noop(n: int) -> None:
        return None

    for n in range(count):
        noop(n)

    def drain() -> None:
        for _ in range(count):
            huey.execute(huey.dequeue())

    return timed(drain)


main(measure)
