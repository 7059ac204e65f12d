"""Wake-up: from enqueue to handler in an idle spooler; and a file that another program drops."""

from __future__ import annotations

import random
import statistics
import time
from functools import partial

from benchmarks.apps import marks
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Row, Values, at_most, value_at_most
from benchmarks.rooms import MEMORY, Places, Room
from benchmarks.sizes import Sizes

_LATE = 100_000  # microseconds
#: a wake-up that uWSGI loses would otherwise cost 30 s each; seen as late all the same
_POLL = ("--spooler-frequency", "1")


def _latencies(room: Room, count: int) -> list[float]:
    """Microseconds from put to handler of each task but the warm-up."""
    times = marks.words(f"{room.marks}/wake", 2 * (count + 1))
    return [(times[2 * n + 1] - times[2 * n]) / 1000 for n in range(1, count + 1)]


def _env(count: int, produce: bool) -> dict[str, str]:
    return {"SPOOLBENCH_COUNT": str(count), "SPOOLBENCH_PRODUCE": str(int(produce))}


def _summary(found: list[float]) -> Values:
    cuts = statistics.quantiles(found, n=100, method="inclusive") if len(found) > 1 else found * 99
    return {"p50": cuts[49], "p99": cuts[98], "max": max(found), "late": float(sum(us > _LATE for us in found))}


def enqueued(server: Server, places: Places, sizes: Sizes) -> Values:
    """A web worker (or its stand-in) enqueues one at a time."""
    count = sizes.wake
    with places.room(MEMORY) as room:
        with server.start(room, "wake", worker=True, more=_POLL, env=_env(count, True)) as instance:
            times = marks.words(f"{room.marks}/wake", 2 * (count + 1))
            last = 2 * count + 1
            instance.wait(lambda: times[last], f"{count} tasks", timeout=60 + count * 0.1, step=0.05)
        return _summary(_latencies(room, count))


def _dropped(server: Server, places: Places, count: int, timeout: float) -> Values:
    with places.room(MEMORY) as room, server.start(room, "wake", env=_env(count, False)) as instance:
        times = marks.words(f"{room.marks}/wake", 2 * (count + 1))
        room.put(0)  # met by the first scan: from then on it is idle
        instance.wait(lambda: times[1], "the first task")
        for n in range(1, count + 1):
            _until_idle()
            times[2 * n] = marks.now()
            room.put(n)
            slot = 2 * n + 1
            instance.wait(partial(times.__getitem__, slot), f"task {n}", timeout=timeout, step=0.0005)
        return _summary(_latencies(room, count))


def _until_idle() -> None:
    time.sleep(random.uniform(0.002, 0.004))


def dropped(server: Server, places: Places, sizes: Sizes) -> Values:
    """This program drops files; uWSGI finds one at its poll, so it gets a single one."""
    if server.name == "uwsgi":
        return _dropped(server, places, 1, 65)
    return _dropped(server, places, sizes.dropped, 65)


_WHO = ("uwsgi", "spoolsim")

EXPERIMENTS = (
    Experiment(
        "wake.enqueued",
        _WHO,
        enqueued,
        (
            Row("enqueue to handler, idle, p50", "p50", "µs", at_most(1.5)),
            Row("enqueue to handler, idle, p99", "p99", "µs", at_most(2.5)),
            Row("enqueue to handler, idle, over 100 ms", "late", "tasks", value_at_most(0), total=True),
        ),
    ),
    Experiment(
        "wake.dropped",
        ("spoolsim",),
        dropped,
        (
            Row("file dropped by another program, p50", "p50", "µs", value_at_most(2000)),
            Row("file dropped by another program, p99", "p99", "µs", value_at_most(20000)),
        ),
    ),
    Experiment(
        "wake.dropped-poll",
        ("uwsgi",),
        dropped,
        (Row("file dropped by another program, uWSGI's poll", "p50", "µs", None, subject="uwsgi"),),
        rounds=1,
        quick=False,
    ),
)
