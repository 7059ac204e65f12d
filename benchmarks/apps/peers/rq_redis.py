"""rq on a local redis, in a database of its own, with the worker that does not fork for each job."""

from __future__ import annotations

import logging
import operator

import redis
from rq import Queue, SimpleWorker
from timing import main, timed


def measure(directory: str, count: int) -> float:
    logging.disable(logging.CRITICAL)
    connection = redis.Redis(db=15)
    if connection.dbsize():
        raise SystemExit("redis database 15 is not empty: it is not touched")
    try:
        queue = Queue("spoolsim-bench", connection=connection)
        for n in range(count):
            queue.enqueue(operator.index, n, result_ttl=0)
        worker = SimpleWorker([queue], connection=connection)
        return timed(lambda: worker.work(burst=True))
    finally:
        connection.flushdb()


main(measure)
