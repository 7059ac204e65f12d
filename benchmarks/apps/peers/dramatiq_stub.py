"""dramatiq's StubBroker with one worker thread: tasks enqueued and run in one process, nothing on disk."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.stub import StubBroker
from timing import main, timed


def measure(directory: str, count: int) -> float:
    broker = StubBroker()
    dramatiq.set_broker(broker)

    @dramatiq.actor
    def noop(n: int) -> None:
        return None

    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)

    def run() -> None:
        for n in range(count):
            noop.send(n)
        worker.start()
        broker.join("default")
        worker.join()

    try:
        return timed(run)
    finally:
        worker.stop()


main(measure)
